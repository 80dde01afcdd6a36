"""Tells FreeSWITCH servers of events, each of those of its own calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from sidecar.core.events import StreamEvent
from sidecar.core.freeswitch.channel import is_call_uuid
from sidecar.core.freeswitch.custom_event import LONGEST_BODY, CustomEvent
from sidecar.core.freeswitch.errors import EventSocketError
from sidecar.io.event_socket_client import EventSocketClient

log = structlog.get_logger(__name__)

MOST_WAITING = 1000
"""Events that wait for one server; beyond that the oldest go."""

MOST_STREAMS = 5000
"""Streams of which is remembered whose they are; it is asked anew for those that were forgotten."""

_RETRY_SECONDS = 0.1


@dataclass(slots=True)
class CustomEventCounters:
    """What has become of events; every number only grows."""

    told: int = 0
    dropped: int = 0  # too many waited
    too_long: int = 0
    refused: int = 0  # FreeSWITCH has answered -ERR


class CustomEvents:
    """Tells one FreeSWITCH, in order, of what it is given. While it is away, events wait."""

    def __init__(self, client: EventSocketClient) -> None:
        self.client = client
        self.counters = CustomEventCounters()
        self._waiting: deque[CustomEvent] = deque()
        self._given = asyncio.Event()
        self._login = 0  # in which it was asked for mod_lua
        self._has_lua = False

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, or there is nobody to tell."""
        return not self._waiting or not self.client.is_ready

    def tell(self, event: CustomEvent) -> None:
        """Let FreeSWITCH know, in its turn."""
        if len(event.body) > LONGEST_BODY:
            self.counters.too_long += 1
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.counters.dropped += 1
        self._waiting.append(event)
        self._given.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            await self._given.wait()
            self._given.clear()
            while self._waiting:
                await self.client.until_ready()
                event = self._waiting[0]
                try:
                    answer = await self._fire(event)
                except EventSocketError:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue  # it is told again: better twice than never
                self._done(event, answer)

    def _done(self, event: CustomEvent, answer: str) -> None:
        if self._waiting and self._waiting[0] is event:  # else it has gone meanwhile, as the oldest
            self._waiting.popleft()
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
    """Whose a stream is: None until that is known; what happened until then waits."""

    servers: Sequence[CustomEvents] | None = None
    waiting: deque[CustomEvent] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))


class EventRouter:
    """Knows which FreeSWITCH the call of a stream is in; where it is in none of them, all are told."""

    def __init__(self, servers: Mapping[str, CustomEvents]) -> None:
        self._servers = list(servers.values())
        self._owners: dict[tuple[str, str], _Owner] = {}  # by stream and call: an id may be given again
        self.dropped = 0  # that waited until it was known whose they are
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether all was told."""
        return not self._tasks and all(server.is_idle for server in self._servers)

    def tell(self, event: StreamEvent) -> None:
        """Tell whoever has the call."""
        if not self._servers:
            return
        owner = self._owners.get((event.stream, event.call))
        if owner is None:
            owner = self._new_owner(event)
        told = _custom_event(event)
        if owner.servers is None:
            self.dropped += len(owner.waiting) == MOST_WAITING
            owner.waiting.append(told)
        else:
            for server in owner.servers:
                server.tell(told)
        if event.kind == "stop":
            self._owners.pop((event.stream, event.call), None)

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
        has_it = await asyncio.gather(*(_has(server.client, call) for server in self._servers))
        owner.servers = [each for each, yes in zip(self._servers, has_it, strict=True) if yes] or self._servers
        for told in owner.waiting:
            for server in owner.servers:
                server.tell(told)
        owner.waiting.clear()


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
