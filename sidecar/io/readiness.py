"""One wake-up, one batch: all sockets of a worker that are ready are handled together."""

from __future__ import annotations

import asyncio
import select
from typing import Protocol


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

    def watch_write(self, source: Source, wanted: bool) -> None:
        """Tell, or tell no more, when it can be written."""

    def remove(self, source: Source) -> None:
        """Watch it no more."""

    def close(self) -> None:
        """Watch nothing any more."""


def open_readiness(loop: asyncio.AbstractEventLoop, *, portable: bool = False) -> Readiness:
    """Return the fastest kind of readiness that this system has."""
    return LoopReadiness(loop) if portable or not hasattr(select, "epoll") else EpollReadiness(loop)


class EpollReadiness:
    """An epoll set of its own, which the event loop watches as one file descriptor.

    A callback of the loop for each socket would cost more than reading it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._sources: dict[int, Source] = {}
        loop.add_reader(self._epoll.fileno(), self._wake_up)

    def add(self, source: Source) -> None:
        self._sources[source.fileno()] = source
        self._epoll.register(source.fileno(), select.EPOLLIN)

    def watch_write(self, source: Source, wanted: bool) -> None:
        self._epoll.modify(source.fileno(), select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def remove(self, source: Source) -> None:
        del self._sources[source.fileno()]
        self._epoll.unregister(source.fileno())

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _wake_up(self) -> None:
        sources = self._sources
        for fd, events in self._epoll.poll(0):
            if events & select.EPOLLOUT and fd in sources:
                sources[fd].on_writable()
            if events & ~select.EPOLLOUT and fd in sources:  # an error shows when the socket is read
                sources[fd].on_readable()


class LoopReadiness:
    """The event loop's own watch on each socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fds: set[int] = set()

    def add(self, source: Source) -> None:
        self._fds.add(source.fileno())
        self._loop.add_reader(source.fileno(), source.on_readable)

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
