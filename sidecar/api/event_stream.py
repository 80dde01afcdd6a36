"""Events as they happen, to those who listen: Server-Sent Events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response

from sidecar.api.frame import Receive, Send
from sidecar.api.parameters import known_parameters_alone
from sidecar.api.problems import Problem, ProblemKind, invalid
from sidecar.core.event_ring import EventRing
from sidecar.core.events import EVENT_KINDS

MOST_LISTENERS = 64
HEART_BEAT_SECONDS = 15.0
_CHUNK_BYTES = 64 << 10
_TURN_EVENTS = 500  # that are looked at before others have their turn
_RETRY = b"retry: 2000\n\n"  # ms until a browser comes back


@dataclass(slots=True)
class ListenerCounters:
    """What became of listeners."""

    accepted: int = 0
    refused: int = 0
    sent: int = 0  # events
    missed: int = 0  # events that were not kept until their listener was ready for them


class Listeners:
    """Those who listen to the events in a ring. Each has a place in it, and nothing else is kept for it."""

    def __init__(self, ring: EventRing, *, heart_beat: float = HEART_BEAT_SECONDS) -> None:
        self.ring = ring
        self.heart_beat = heart_beat
        self.counters = ListenerCounters()
        self.closing = False
        self._waking: set[asyncio.Event] = set()

    def __len__(self) -> int:
        return len(self._waking)

    def wake(self) -> None:
        """Let all look into the ring: there is something new."""
        for event in self._waking:
            event.set()

    def close(self) -> None:
        """Let all go."""
        self.closing = True
        self.wake()

    def check_room(self) -> None:
        """Raise `Problem` if there are enough."""
        if len(self._waking) >= MOST_LISTENERS:
            self.counters.refused += 1
            detail = f"{MOST_LISTENERS} clients listen to events already"
            raise Problem(ProblemKind.UNAVAILABLE, detail, headers={"Retry-After": "5"})

    @contextmanager
    def enter(self) -> Iterator[asyncio.Event]:
        """Let somebody listen; the event is set when there is something new."""
        self.counters.accepted += 1
        awake = asyncio.Event()
        self._waking.add(awake)
        try:
            yield awake
        finally:
            self._waking.remove(awake)


class EventStream(Response):
    """The answer to somebody who listens: it goes on until one of both has had enough."""

    media_type = "text/event-stream"

    def __init__(
        self, listeners: Listeners, *, after: int, missed: bool, kinds: Collection[str], streams: Collection[str]
    ) -> None:
        """Begin with what comes after the number `after`; `missed` says that there was more before that is not kept."""
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._listeners = listeners
        self._ring = listeners.ring
        self._place = after
        self._missed = missed
        self._kinds, self._streams = kinds, streams

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Send events (ASGI)."""
        with self._listeners.enter() as awake:
            gone = asyncio.create_task(_until_gone(receive, awake))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._send_on(send, awake, gone)
                if not gone.done():
                    await send({"type": "http.response.body", "body": b""})
            finally:
                gone.cancel()

    async def _send_on(self, send: Send, awake: asyncio.Event, gone: asyncio.Task[None]) -> None:
        """Send what is new, and, when nothing was sent for a while, show that we live, and how far we are."""
        clock = asyncio.get_running_loop().time
        chunk, beat_at = _RETRY + self._position(), 0.0
        while not (gone.done() or self._listeners.closing):
            if not chunk and clock() >= beat_at:
                chunk = b": heart-beat\n" + self._position()
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                beat_at = clock() + self._listeners.heart_beat
            awake.clear()
            if not (chunk := self._chunk()) and self._place == self._ring.newest:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(beat_at):
                        await awake.wait()
            await asyncio.sleep(0)

    def _position(self) -> bytes:
        """Return what makes the client remember where it is, without an event."""
        return b"id: %s\n\n" % self._ring.id_of(self._place).encode()

    def _chunk(self) -> bytes:
        """Return the next events, as many as fit, and go on to behind them."""
        lines: list[bytes] = []
        if self._missed or self._place < self._ring.forgotten:
            self._listeners.counters.missed += max(0, self._ring.forgotten - self._place)
            self._place, self._missed = max(self._place, self._ring.forgotten), False
            lines.append(b"event: missed\nid: %s\ndata: {}\n\n" % self._ring.id_of(self._place).encode())
        size = 0
        for seen, event in enumerate(self._ring.after(self._place)):
            if seen >= _TURN_EVENTS or size >= _CHUNK_BYTES:
                break
            self._place = event.number
            if (not self._kinds or event.kind in self._kinds) and (not self._streams or event.stream in self._streams):
                id = self._ring.id_of(event.number).encode()
                lines.append(b"event: %s\nid: %s\ndata: %s\n\n" % (event.kind.encode(), id, event.data))
                size += len(lines[-1])
                self._listeners.counters.sent += 1
        return b"".join(lines)


async def _until_gone(receive: Receive, awake: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    awake.set()


def event_routes(listeners: Listeners) -> APIRouter:
    """Return the route of the events."""
    router = APIRouter(prefix="/v1/events", tags=["events"], dependencies=[Depends(known_parameters_alone)])

    @router.get("", summary="Listen to events", response_class=Response)
    async def events(
        kind: Annotated[list[str], Query(description="these kinds alone")] = [],  # noqa: B006
        stream: Annotated[list[str], Query(description="the events of these streams alone")] = [],  # noqa: B006
        last_event_id: Annotated[str | None, Header(description="the id of the last event that was seen")] = None,
    ) -> EventStream:
        listeners.check_room()
        ring = listeners.ring
        if unknown := set(kind) - set(EVENT_KINDS):
            error = f"{min(unknown)!r} is not one of {', '.join(EVENT_KINDS)}"
            raise invalid([("kind", error)])
        place = ring.number_of(last_event_id) if last_event_id else ring.newest
        return EventStream(
            listeners,
            after=ring.forgotten if place is None else place,
            missed=place is None,
            kinds=frozenset(kind),
            streams=frozenset(stream),
        )

    return router
