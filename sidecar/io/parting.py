"""A plain socket after our close frame: it stays until the bot has seen that.

Who closes a socket with input unread resets the connection (RFC 1122, section 4.2.2.13), and the other side may lose
what was sent to it last. So it is shut down for writing, and read to its end first (RFC 6455, section 7.1.1).
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from sidecar.io.readiness import Readiness

MOST_UNHEARD = 16 << 20
"""Bytes that a bot may still send: more than both kernels hold. Then it is reset after all."""

_READ_BYTES = 64 << 10  # in one turn


class Parting:
    """Writes the rest, hears nothing of what still comes, and says when the other side has closed."""

    def __init__(self, sock: socket.socket, rest: bytes, readiness: Readiness, *, on_end: Callable[[], None]) -> None:
        self._socket = sock
        self._rest = rest
        self._readiness = readiness
        self._on_end = on_end
        self._unheard = 0  # bytes

    def begin(self) -> None:
        """Take the socket over."""
        self._readiness.add(self)
        self.on_writable()

    def fileno(self) -> int:
        """The file descriptor."""
        return self._socket.fileno()

    def on_readable(self) -> int:
        """Read on; the end, or too much, is the end."""
        try:
            count = len(self._socket.recv(_READ_BYTES))
        except BlockingIOError:
            return 0
        except OSError:
            count = 0
        self._unheard += count
        if not count or self._unheard > MOST_UNHEARD:
            self._on_end()
        return 1

    def on_writable(self) -> None:
        """Write on; then say that this was all."""
        try:
            if self._rest:
                self._rest = self._rest[self._socket.send(self._rest) :]
            if not self._rest:
                self._socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self._on_end()
            return
        self._readiness.watch_write(self, bool(self._rest))

    def close(self) -> None:
        """Close the socket, whatever waits."""
        self._readiness.remove(self)
        self._socket.close()
