"""Tells FreeSWITCH servers of events, each of those of its own calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from sidecar.core.events import StreamEvent
from sidecar.core.freeswitch.channel import is_call_uuid
from sidecar.core.freeswitch.custom_event import LONGEST_BODY, CustomEvent
from sidecar.core.freeswitch.errors import EventSocketError
from sidecar.core.freeswitch.event_backlog import EventBacklog
from sidecar.io.event_socket_client import EventSocketClient

log = structlog.get_logger(__name__)

MOST_STREAMS = 5000
"""Streams of which is remembered whose they are; it is asked anew for those that were forgotten."""

_RETRY_SECONDS = 0.1


@dataclass(slots=True)
class CustomEventCounters:
    """What has become of events; every number only grows."""

    told: int = 0
    refused: int = 0  # FreeSWITCH has answered -ERR
    failed: int = 0  # by a mistake of ours


class CustomEvents:
    """Tells one FreeSWITCH, in order, of what it is given. While it is away, events wait."""

    def __init__(self, client: EventSocketClient) -> None:
        self.client = client
        self.counters = CustomEventCounters()
        self.waiting = EventBacklog[CustomEvent]()
        self._given = asyncio.Event()
        self._telling: CustomEvent | None = None
        self._login = 0  # in which it was asked for mod_lua
        self._has_lua = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, or there is nobody to tell."""
        return not self.waiting or not self.client.is_ready

    def tell(self, event: CustomEvent, *, size: int) -> None:
        """Let FreeSWITCH know, in its turn, of an event of so many bytes."""
        self.waiting.add(event, size=size)
        self._given.set()

    async def run(self) -> None:
        """Tell, until cancelled. Begun again after a mistake of ours, leave out the event which that was about."""
        if self._telling is not None:
            self.waiting.remove(self._telling)
            self.counters.failed += 1
        while True:
            await self.client.until_ready()
            self._telling = self.waiting.first
            if self._telling is None:
                self._given.clear()
                await self._given.wait()
                continue
            try:
                answer = await self._fire(self._telling)
            except EventSocketError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue  # it is told again: better twice than never
            self.waiting.remove(self._telling)
            self._take_note(answer)

    def _take_note(self, answer: str) -> None:
        if answer.startswith("-ERR"):
            self.counters.refused += 1
            log.warning("FreeSWITCH does not take an event", server=self.client.name, answer=answer.strip())
        else:
            self.counters.told += 1

    async def _fire(self, event: CustomEvent) -> str:
        if self._login != self.client.counters.connected:
            self._has_lua = (await self.client.api("module_exists mod_lua")).strip() == "true"
            self._login = self.client.counters.connected
        script = event.lua() if self._has_lua else None
        if script is not None:
            answer = await self.client.api(f"lua ~{script}")
            if answer.strip() == "-ERR no reply":  # the script has run, and says nothing
                return "+OK"
            self._has_lua = False  # it may not be run by us
        return await self.client.send_event(event.sendevent_headers(), event.body)


@dataclass(slots=True)
class _Owner:
    """Whose a stream is: None until that is known; what happens until then waits."""

    servers: Sequence[CustomEvents] | None = None


class _Unsent(NamedTuple):
    owner: _Owner
    event: CustomEvent
    size: int


class EventRouter:
    """Knows which FreeSWITCH the call of a stream is in; where it is in none of them, all are told."""

    def __init__(self, servers: Mapping[str, CustomEvents]) -> None:
        self.waiting = EventBacklog[_Unsent]()  # until it is known for whom
        self.too_long = 0
        self._servers = list(servers.values())
        self._owners: dict[tuple[str, str], _Owner] = {}  # by stream and call: an id may be given again
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether all was told."""
        return not self._tasks and all(server.is_idle for server in self._servers)

    def tell(self, event: StreamEvent) -> None:
        """Tell whoever has the call."""
        if not self._servers:
            return
        owner = self._owners.get((event.stream, event.call)) or self._new_owner(event)
        if event.kind == "stop":
            self._owners.pop((event.stream, event.call), None)
        told = _custom_event(event)
        size = len(told.body.encode())
        if size > LONGEST_BODY:
            self.too_long += 1
        elif owner.servers is None:
            self.waiting.add(_Unsent(owner, told, size), size=size)
        else:
            _tell(owner.servers, told, size)

    def _new_owner(self, event: StreamEvent) -> _Owner:
        if len(self._owners) >= MOST_STREAMS:
            del self._owners[next(iter(self._owners))]
        owner = _Owner()
        if event.stream:  # refused calls have none, and each is that of another server
            self._owners[event.stream, event.call] = owner
        if len(self._servers) == 1 or not is_call_uuid(event.call):
            owner.servers = self._servers
        else:
            task = asyncio.create_task(self._find(owner, event.call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return owner

    async def _find(self, owner: _Owner, call: str) -> None:
        found = list[CustomEvents]()
        try:
            has_it = await asyncio.gather(*(_has(server.client, call) for server in self._servers))
            found = [each for each, yes in zip(self._servers, has_it, strict=True) if yes]
        finally:
            owner.servers = found or self._servers
            for _, event, size in self.waiting.take(lambda each: each.owner is owner):
                _tell(owner.servers, event, size)


def _tell(servers: Sequence[CustomEvents], event: CustomEvent, size: int) -> None:
    for server in servers:
        server.tell(event, size=size)


async def _has(client: EventSocketClient, call: str) -> bool:
    try:
        return (await client.api(f"uuid_exists {call}")).strip() == "true"
    except EventSocketError:
        return False


def _custom_event(event: StreamEvent) -> CustomEvent:
    body = event.body.value()
    return CustomEvent(
        f"mod_audio_stream::{event.kind}",
        event.call.encode("ascii", "replace").decode(),
        (("Stream-ID", event.stream), ("Stream-Sequence", str(event.sequence)), ("Stream-Time", event.time)),
        body if isinstance(body, str) else event.body.json().decode(),
    )
