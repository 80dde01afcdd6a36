"""One wake-up, one batch: all sockets of a worker that are ready are handled together."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from sidecar.io.datagrams import BATCH

log = structlog.get_logger(__name__)

_BUSY = 8
"""Packets that came, or bots that spoke, at once."""

_PAUSE = 0.003
"""Seconds from one look to the next, if there was much."""

_LONG_PAUSE = 0.007
"""The same for a batch: longer than from tick to tick, when it is looked at anyway."""

_READABLE = getattr(select, "EPOLLIN", 1)


class Source(Protocol):
    """A socket that is watched."""

    def fileno(self) -> int:
        """Its file descriptor."""

    def on_readable(self) -> int:
        """Something has come; return of how many pieces it was."""

    def on_writable(self) -> None:
        """There is room again."""


class Readiness(Protocol):
    """Watches sockets, and tells them when they are ready."""

    def add(self, source: Source) -> None:
        """Tell `source` when it can be read."""

    def add_to_batch(self, source: Source) -> None:
        """Tell when `source` can be read: it, or, of all that were added so, those that can, at once."""

    def watch_write(self, source: Source, wanted: bool) -> None:
        """Tell, or tell no more, when it can be written."""

    def remove(self, source: Source) -> None:
        """Watch it no more."""

    def look_at_batch(self) -> None:
        """Tell now of the batch, if it was to be looked at after a pause."""

    def close(self) -> None:
        """Watch nothing any more."""


def tell_each(sources: list[Any]) -> None:
    """Tell each source that it can be read."""
    for source in sources:
        source.on_readable()


Ready = list[tuple[int, int]]
"""File descriptors, and what can be done with each."""

OnBatch = Callable[[list[Any]], None]
"""Told of those sources of the batch that can be read."""


def open_readiness(
    loop: asyncio.AbstractEventLoop, on_batch: OnBatch = tell_each, *, portable: bool = False
) -> Readiness:
    """Return the fastest kind of readiness that this system has."""
    return LoopReadiness(loop) if portable or not hasattr(select, "epoll") else EpollReadiness(loop, on_batch)


class _EpollSet:
    """Sockets that the event loop watches as one file descriptor.

    A callback of the loop for each socket would cost more than reading it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: Callable[[Ready], float | None]) -> None:
        """`handle` is given what is ready, and returns after how many seconds to look again; None: when more is."""
        self.epoll = select.epoll()
        self._loop = loop
        self._handle = handle
        self._rest: asyncio.TimerHandle | None = None  # until then, the loop does not watch
        loop.add_reader(self.epoll.fileno(), self.look)

    @property
    def rests(self) -> bool:
        """Whether the next look is yet to come, whatever is ready."""
        return self._rest is not None

    def look(self) -> None:
        """Handle all that is ready. If that was much, come back after a pause: a batch costs less than its parts."""
        begun, pause = time.monotonic(), None
        try:
            pause = self._handle(self.epoll.poll(0))
        finally:  # whatever happened, somebody watches
            self._go_on(begun, pause)

    def _go_on(self, begun: float, pause: float | None) -> None:
        """Look again a pause after the last look was `begun`; who has worked for longer has no time to rest."""
        if self._rest is not None:
            self._rest.cancel()
        elif pause is not None:
            self._loop.remove_reader(self.epoll.fileno())
        if pause is not None:
            self._rest = self._loop.call_later(max(0.0, begun + pause - time.monotonic()), self.look)
        elif self._rest is not None:
            self._rest = None
            self._loop.add_reader(self.epoll.fileno(), self.look)

    def close(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self.epoll.fileno())
        self.epoll.close()


class EpollReadiness:
    """Two epoll sets: of the sockets that are told each, and of the batch."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_batch: OnBatch = tell_each) -> None:
        self._on_batch = on_batch
        self._sources: dict[int, Source] = {}
        self._batched: dict[int, Source] = {}
        self._each = _EpollSet(loop, self._tell_each)
        self._together = _EpollSet(loop, self._tell_together)

    def add(self, source: Source) -> None:
        self._sources[source.fileno()] = source
        self._each.epoll.register(source.fileno(), select.EPOLLIN)

    def add_to_batch(self, source: Source) -> None:
        self._batched[source.fileno()] = source
        self._together.epoll.register(source.fileno(), select.EPOLLIN)

    def watch_write(self, source: Source, wanted: bool) -> None:
        events = select.EPOLLIN | (select.EPOLLOUT if wanted else 0)
        self._set_of(source).epoll.modify(source.fileno(), events)

    def remove(self, source: Source) -> None:
        self._set_of(source).epoll.unregister(source.fileno())
        self._sources.pop(source.fileno(), None)
        self._batched.pop(source.fileno(), None)

    def look_at_batch(self) -> None:
        if not self._together.rests:
            return
        try:
            self._together.look()
        except Exception:  # what bots say must keep no caller from what is to be heard
            log.exception("bots not read")

    def close(self) -> None:
        self._each.close()
        self._together.close()

    def _set_of(self, source: Source) -> _EpollSet:
        return self._together if source.fileno() in self._batched else self._each

    def _tell_each(self, ready: Ready) -> float | None:
        came = sum(_tell(self._sources, fd, events) for fd, events in ready)
        if came < _BUSY:
            return None
        return 0.0 if came >= BATCH else _PAUSE  # more has come than one read can bring: nothing is gained by a pause

    def _tell_together(self, ready: Ready) -> float | None:
        batched, readable = self._batched, []
        for fd, events in ready:
            if events != _READABLE:
                _tell(batched, fd, events)
            elif fd in batched:
                readable.append(batched[fd])
        if readable:
            self._on_batch(readable)
        return _LONG_PAUSE if len(ready) >= _BUSY else None


def _tell(sources: dict[int, Source], fd: int, events: int) -> int:
    """Tell a source what it can do, while it is there; return how much has come."""
    if events & select.EPOLLOUT and fd in sources:
        sources[fd].on_writable()
    if events & ~select.EPOLLOUT and fd in sources:  # an error shows when the socket is read
        return sources[fd].on_readable()
    return 0


class LoopReadiness:
    """The event loop's own watch on each socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fds: set[int] = set()

    def add(self, source: Source) -> None:
        self._fds.add(source.fileno())
        self._loop.add_reader(source.fileno(), source.on_readable)

    def add_to_batch(self, source: Source) -> None:
        self.add(source)

    def watch_write(self, source: Source, wanted: bool) -> None:
        if wanted:
            self._loop.add_writer(source.fileno(), source.on_writable)
        else:
            self._loop.remove_writer(source.fileno())

    def remove(self, source: Source) -> None:
        self._fds.discard(source.fileno())
        self._loop.remove_reader(source.fileno())
        self._loop.remove_writer(source.fileno())

    def look_at_batch(self) -> None:
        """There are no pauses."""

    def close(self) -> None:
        for fd in self._fds:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._fds.clear()
