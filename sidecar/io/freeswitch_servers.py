"""All that is done over event sockets, for as long as the sidecar runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sidecar.io.custom_events import CustomEvents, EventRouter
from sidecar.io.event_socket_client import EventSocketClient
from sidecar.io.supervisor import Supervisor

_GOODBYE_SECONDS = 1.0


class FreeSwitchServers:
    """The event sockets of the configured servers, and what is told over them."""

    def __init__(self, clients: Mapping[str, EventSocketClient], supervisor: Supervisor) -> None:
        self.clients = clients
        self._supervisor = supervisor
        self.outlets = {name: CustomEvents(client) for name, client in clients.items()}
        self.events = EventRouter(self.outlets)

    async def run(self) -> None:
        """Be connected and tell of events, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, client in self.clients.items():
                tasks.create_task(self._supervisor.keep(f"event socket {name}", client.run))
                tasks.create_task(self._supervisor.keep(f"events for {name}", self.outlets[name].run))

    async def tell_the_rest(self) -> None:
        """Wait, though not for long, until those servers that are there have been told all."""
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                while not self.events.is_idle:  # noqa: ASYNC110  once, at the end of everything
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return
