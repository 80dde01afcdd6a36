"""All that is done over event sockets, for as long as the sidecar runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sidecar.io.custom_events import CustomEvents, EventRouter
from sidecar.io.event_socket_client import EventSocketClient

_GOODBYE_SECONDS = 1.0


class FreeSwitchServers:
    """The event sockets of the configured servers, and what is told over them."""

    def __init__(self, clients: Mapping[str, EventSocketClient]) -> None:
        self.clients = clients
        self.outlets = {name: CustomEvents(client) for name, client in clients.items()}
        self.events = EventRouter(self.outlets)

    async def run(self) -> None:
        """Be connected and tell of events, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for client in self.clients.values():
                tasks.create_task(client.run())
            for outlet in self.outlets.values():
                tasks.create_task(outlet.run())

    async def tell_the_rest(self) -> None:
        """Wait, though not for long, until those servers that are there have been told all."""
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                while not self.events.is_idle:  # noqa: ASYNC110  once, at the end of everything
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return
