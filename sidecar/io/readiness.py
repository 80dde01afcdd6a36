"""One wake-up, one batch: all sockets of a worker that are ready are handled together."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from typing import Any, Protocol

_BUSY = 8
"""Sockets that are ready at once."""

_PAUSE = 0.003
"""Seconds from one look to the next, if there was much."""

_READABLE = getattr(select, "EPOLLIN", 1)


class Source(Protocol):
    """A socket that is watched."""

    def fileno(self) -> int:
        """Its file descriptor."""

    def on_readable(self) -> None:
        """Something has come."""

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

    def close(self) -> None:
        """Watch nothing any more."""


def tell_each(sources: list[Any]) -> None:
    """Tell each source that it can be read."""
    for source in sources:
        source.on_readable()


OnBatch = Callable[[list[Any]], None]
"""Told of those sources of the batch that can be read."""


def open_readiness(
    loop: asyncio.AbstractEventLoop, on_batch: OnBatch = tell_each, *, portable: bool = False
) -> Readiness:
    """Return the fastest kind of readiness that this system has."""
    return LoopReadiness(loop) if portable or not hasattr(select, "epoll") else EpollReadiness(loop, on_batch)


class EpollReadiness:
    """An epoll set of its own, which the event loop watches as one file descriptor.

    A callback of the loop for each socket would cost more than reading it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_batch: OnBatch = tell_each) -> None:
        self._loop = loop
        self._on_batch = on_batch
        self._epoll = select.epoll()
        self._sources: dict[int, Source] = {}
        self._batched: dict[int, Source] = {}
        self._pause: asyncio.TimerHandle | None = None
        loop.add_reader(self._epoll.fileno(), self._wake_up)

    def add(self, source: Source) -> None:
        self._sources[source.fileno()] = source
        self._epoll.register(source.fileno(), select.EPOLLIN)

    def add_to_batch(self, source: Source) -> None:
        self._batched[source.fileno()] = source
        self.add(source)

    def watch_write(self, source: Source, wanted: bool) -> None:
        self._epoll.modify(source.fileno(), select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def remove(self, source: Source) -> None:
        del self._sources[source.fileno()]
        self._batched.pop(source.fileno(), None)
        self._epoll.unregister(source.fileno())

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _wake_up(self) -> None:
        """Handle all that is ready. If that was much, come back after a pause: a batch costs less than its parts."""
        begun = time.monotonic()
        if self._handle_ready() >= _BUSY:
            self._loop.remove_reader(self._epoll.fileno())
            self._come_back(begun)

    def _after_pause(self) -> None:
        self._pause, ready, begun = None, 0, time.monotonic()
        try:
            ready = self._handle_ready()
        finally:  # whatever happened, somebody watches
            if ready >= _BUSY:
                self._come_back(begun)
            else:
                self._loop.add_reader(self._epoll.fileno(), self._wake_up)

    def _come_back(self, begun: float) -> None:
        """Look again a pause after the last look was `begun`; who has worked for longer has no time to rest."""
        rest = max(0.0, begun + _PAUSE - time.monotonic())
        self._pause = self._loop.call_later(rest, self._after_pause)

    def _handle_ready(self) -> int:
        sources, batched, together = self._sources, self._batched, []
        ready = self._epoll.poll(0)
        for fd, events in ready:
            if events == _READABLE and fd in batched:
                together.append(batched[fd])
                continue
            if events & select.EPOLLOUT and fd in sources:
                sources[fd].on_writable()
            if events & ~select.EPOLLOUT and fd in sources:  # an error shows when the socket is read
                sources[fd].on_readable()
        if together:
            self._on_batch(together)
        return len(ready)


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

    def close(self) -> None:
        for fd in self._fds:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._fds.clear()
