"""How the bytes of a `BotConnection` travel: by a plain socket of the worker's own, or through TLS (`tls_lane.py`)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from sidecar.core.bot_connection import BotConnection
from sidecar.core.errors import ErrorCode
from sidecar.core.outbox import Outbox
from sidecar.io.parting import Parting
from sidecar.io.readiness import Readiness
from sidecar.io.tcp_state import tcp_round_trip, unacknowledged_bytes

log = structlog.get_logger(__name__)

_MOST_WAITING = 64
"""Control and text frames for a bot that does not read."""

NO_ROW = -1

_READ_BYTES = 32 << 10
"""Of one bot, in one turn: about half a second of audio at 32 kHz. Then the others have theirs."""


class AudioSink(Protocol):
    """Where the audio for a bot goes: its lane, or what stands in for one."""

    @property
    def write_now(self) -> Callable[[bytes], int] | None:
        """Set while audio may be written at once."""

    def send_audio(self, frame: bytes) -> None:
        """Send one whole WebSocket frame, or keep it."""

    def keep_rest(self, frame: bytes, written: int) -> None:
        """Keep what `write_now` has not written."""


class BotLane:
    """Writes in order, keeps what cannot be written, gives what is read to the connection."""

    def __init__(self, connection: BotConnection, outbox: Outbox) -> None:
        self.connection = connection
        self.outbox = outbox
        self.row = NO_ROW  # where its audio is played; none, while what it sends must be looked at
        self.write_now: Callable[[bytes], int] | None = None  # set while audio may be written past the outbox
        self.on_input: Callable[[], None] = lambda: None  # called when the connection has been given something
        self.on_overflow: Callable[[], None] = lambda: None  # called when audio is dropped, once until it has caught up
        self._ready = False  # audio may go
        self._closed = False  # nothing is written any more
        self._gone = False  # the socket is closed
        self._socket: socket.socket | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing is written any more."""
        return self._closed

    async def open(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take a connected socket over, and begin the handshake; raise OSError if TLS cannot be had."""
        raise NotImplementedError

    def _write(self, data: bytes) -> int:
        """Write what can be written now; return how many bytes that was."""
        raise NotImplementedError

    def _wait_to_write(self, waiting: bool) -> None:
        """Call `pump` when more can be written."""
        raise NotImplementedError

    def _close_socket(self) -> None:
        raise NotImplementedError

    def _part(self, rest: bytes, on_end: Callable[[], None]) -> None:
        """Write the rest, and hear nothing any more; call `on_end` when the bot has closed."""
        raise NotImplementedError

    def _unacknowledged_by_peer(self, *, forget: bool) -> int:
        raise NotImplementedError

    def unacknowledged(self, *, forget: bool) -> int:
        """Return how many bytes were on their way when the connection ended; ask before it is closed.

        With `forget`, they do not come after all, once it is closed, by a connection that everybody has forgotten.
        """
        return self.outbox.begun_bytes + (0 if self._closed else self._unacknowledged_by_peer(forget=forget))

    def round_trip(self) -> float | None:
        """Return the seconds that a byte takes to the bot and its acknowledgement back; None if that is not known."""
        return None if self._closed or self._socket is None else tcp_round_trip(self._socket)

    def start(self, metadata: str | None) -> None:
        """The handshake is done: send the metadata, then the audio."""
        if metadata is not None:
            self.connection.send_text(metadata)
        self.outbox.put_ahead(b"".join(self.connection.data_to_send()))
        self._ready = True
        self.pump()
        self._open_shortcut()

    def send_audio(self, frame: bytes) -> None:
        """Send one whole WebSocket frame, or keep it."""
        if self._closed:
            return
        if not self._ready or self.outbox:
            overflowed = self.outbox.overflows
            self.outbox.put_audio(frame)
            if self._ready and self.outbox.overflows and not overflowed:
                self.on_overflow()
            return
        self.keep_rest(frame, self._write(frame))

    def keep_rest(self, frame: bytes, written: int) -> None:
        """Keep what has not been written of a frame, and write no other before it."""
        if written < len(frame):
            self.write_now = None
            if written:
                self.outbox.put_ahead(frame[written:])
            else:
                self.outbox.put_audio(frame)
            self._wait_to_write(True)

    def flush(self) -> None:
        """Send what the connection has to say."""
        if self.connection.has_data_to_send:
            for data in self.connection.data_to_send():
                self.outbox.put(data)
            self._pump_or_refuse()

    def _pump_or_refuse(self) -> None:
        if self.outbox.other_frames > _MOST_WAITING and not self.connection.is_over:
            self.connection.refuse("and does not read")
        self.pump()

    def send_texts(self, texts: list[str]) -> None:
        """Send text messages: however many these are, they are one thing that waits, for they come at once."""
        for text in texts:
            self.connection.send_text(text)
        data = b"".join(self.connection.data_to_send())
        if data:
            self.outbox.put(data)
            self._pump_or_refuse()

    def pump(self) -> None:
        """Write as much of what waits as can be written."""
        while not self._closed and (self.outbox.begun or (self._ready and self.outbox)):
            data = self.outbox.take()
            written = self._write(data)
            if written < len(data):
                self.write_now = None
                self.outbox.put_ahead(data[written:])
                self._wait_to_write(True)
                return
        if not self._closed:
            self._wait_to_write(False)
            self._open_shortcut()

    def _open_shortcut(self) -> None:
        """Let audio be written past the outbox, if nothing waits in it."""

    def say_goodbye(self, code: int, reason: str) -> None:
        """Send what waits, then the close frame."""
        self.connection.close(code, reason)
        self.flush()

    def part(self, on_end: Callable[[], None]) -> None:
        """Our close frame is the last that is said: call `on_end` when the bot has closed too, and may be closed."""
        self._closed = True
        self.write_now = None
        self._part(self.outbox.last_words(), on_end)

    def close(self) -> None:
        """Close the socket, whatever waits."""
        self._closed = True
        self.write_now = None
        if not self._gone:
            self._gone = True
            self._close_socket()

    def _received(self, data: bytes) -> None:
        """Give the connection what was read, nothing meaning the end; a mistake of ours ends this stream alone."""
        try:
            if data:
                self.connection.receive_data(data)
            else:
                self.connection.receive_eof()
            self.on_input()
        except Exception:
            log.exception("bot input not understood")
            self.connection.fail(ErrorCode.IO, "internal error")
            self.on_input()


class SocketLane(BotLane):
    """A plain TCP socket among the worker's own: read and written with the batch."""

    def __init__(
        self, connection: BotConnection, outbox: Outbox, readiness: Readiness, *, read_bytes: int = 2048
    ) -> None:
        super().__init__(connection, outbox)
        self.read_bytes = read_bytes  # when it is read with others
        self._readiness = readiness
        self._waiting = False
        self._parting: Parting | None = None
        self.read_into: Callable[[memoryview, int], int]

    def fileno(self) -> int:
        """The file descriptor."""
        assert self._socket is not None
        return self._socket.fileno()

    async def open(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self._socket = sock
        self.read_into = sock.recv_into
        self._readiness.add_to_batch(self)
        self.outbox.put_ahead(b"".join(self.connection.data_to_send()))
        self.pump()

    def on_readable(self) -> int:
        """Read what has come."""
        data = self._read()
        if data is not None:
            self._received(data)
        return 1

    def take(self, data: bytes, *, more: bool) -> None:
        """Take what was read into some room; if there may be `more`, read on."""
        if data and more:
            data += self._read() or b""  # an end that was read here, reading will tell again
        self._received(data)

    def _read(self) -> bytes | None:
        """Return what there is to read, nothing at the end; None if there is nothing yet."""
        assert self._socket is not None
        try:
            return self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _open_shortcut(self) -> None:
        if self._ready and not self.outbox and self._socket is not None and not self._closed:
            self.write_now = self._socket.send

    def on_writable(self) -> None:
        """Write on where there was no room."""
        self.pump()

    def _write(self, data: bytes) -> int:
        assert self._socket is not None
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # broken: reading will tell

    def _wait_to_write(self, waiting: bool) -> None:
        if waiting != self._waiting and self._socket is not None:
            self._waiting = waiting
            self._readiness.watch_write(self, waiting)

    def _unacknowledged_by_peer(self, *, forget: bool) -> int:
        return 0 if self._socket is None else unacknowledged_bytes(self._socket, forget=forget)

    def _part(self, rest: bytes, on_end: Callable[[], None]) -> None:
        assert self._socket is not None
        self._readiness.remove(self)
        self._parting = Parting(self._socket, rest, self._readiness, on_end=on_end)
        self._parting.begin()

    def _close_socket(self) -> None:
        if self._parting is not None:
            self._parting.close()
        elif self._socket is not None:
            self._readiness.remove(self)
            self._socket.close()


def send_frames(lanes: Iterable[AudioSink], frames: Iterable[bytes]) -> None:
    """Send each lane its one whole WebSocket frame, as `send_audio` does."""
    for lane, frame in zip(lanes, frames, strict=True):
        write_now = lane.write_now
        if write_now is None:
            lane.send_audio(frame)
            continue
        try:
            written = write_now(frame)
        except OSError:
            lane.send_audio(frame)
            continue
        if written != len(frame):
            lane.keep_rest(frame, written)
