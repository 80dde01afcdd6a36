"""One end of the link between two processes: a socket of a pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from sidecar.core.link import FromWorker, ToWorker
from sidecar.core.link_stream import LENGTH_BYTES, LinkBroken, LinkReader, LinkWriter

log = structlog.get_logger(__name__)

_READ_BYTES = 1 << 18

_M = TypeVar("_M")


class ProcessLink(Generic[_M]):
    """Sends in one system call what one turn of the loop had to say; delivers each message in a turn of its own.

    The end of the other process is the end of the link, and is told once.
    """

    def __init__(
        self,
        sock: socket.socket,
        kind: Any,
        *,
        on_message: Callable[[_M], None],
        on_closed: Callable[[str], None],
    ) -> None:
        """`kind` is the type of the messages that come; `on_closed` is told why there are no more."""
        self.writes = 0
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._reader: LinkReader[_M] = LinkReader(kind)
        self._writer = LinkWriter()
        self._on_message = on_message
        self._on_closed = on_closed
        self._flushing = False  # soon, or when there is room
        self._finishing = self._told = self._closed = False
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._on_readable)

    @property
    def counters(self) -> dict[str, int]:
        """Messages sent and received, writes that took, texts that were dropped since the other side did not read."""
        return {
            "sent": self._writer.messages,
            "received": self._reader.messages,
            "writes": self.writes,
            "dropped": self._writer.dropped,
        }

    @property
    def waiting(self) -> int:
        """How many bytes wait for the other side."""
        return self._writer.waiting

    def send(self, message: ToWorker | FromWorker | msgspec.Struct) -> None:
        """Send a message; once the link is over, nobody hears it."""
        if self._closed or self._finishing:
            return
        try:
            if not self._writer.put(message) and self._writer.dropped == 1:
                log.warning("link_congested", waiting=self._writer.waiting)
        except LinkBroken as error:
            self._end(str(error))
            return
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def finish(self) -> None:
        """Say no more than what was said; the other side ends the link when it has read that."""
        self._finishing = True
        if not self._flushing and not self._closed:
            self._flush()

    def close(self) -> None:
        """End it now, without telling."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()

    def _flush(self) -> None:
        if self._closed:
            return
        try:
            while self._writer.waiting:
                with self._writer.view() as waiting:
                    count = self._sock.send(waiting)
                self.writes += 1
                self._writer.written(count)
        except BlockingIOError:
            self._flushing = True
            self._loop.add_writer(self._sock.fileno(), self._flush)
            return
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        if self._flushing:
            self._flushing = False
            self._loop.remove_writer(self._sock.fileno())
        if self._finishing:
            with suppress(OSError):  # the other side was faster
                self._sock.shutdown(socket.SHUT_WR)

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
            messages = self._reader.feed(data)
        except BlockingIOError:
            return
        except (OSError, LinkBroken) as error:
            self._end(str(error))
            return
        for message in messages:
            self._loop.call_soon(self._on_message, message)
        if not data:  # what we have to say may still be read
            self._loop.remove_reader(self._sock.fileno())
            self._tell("the other side has ended")

    def _end(self, why: str) -> None:
        self.close()
        self._tell(why)

    def _tell(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._loop.call_soon(self._on_closed, why)


def read_first(sock: socket.socket, kind: type[_M]) -> _M:
    """Wait for the first message on a socket that no `ProcessLink` has yet; raise EOFError if there is none."""
    sock.setblocking(True)
    length = int.from_bytes(_read(sock, LENGTH_BYTES))
    return msgspec.msgpack.decode(_read(sock, length), type=kind)


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError("the other side has ended")
        data += more
    return data
