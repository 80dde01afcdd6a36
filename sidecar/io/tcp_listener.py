"""Accepts connections, but for those that nobody wants; nothing is read or shaken before."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

_AT_ONCE = 64
"""Connections accepted in one turn."""

_PAUSE_SECONDS = 1.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class TcpListener:
    """A listening socket. The event loop's own server would finish a TLS handshake before it asks whose it is."""

    def __init__(self, sock: socket.socket, on_accept: Callable[[socket.socket, str, int], None]) -> None:
        self._socket = sock
        self._on_accept = on_accept
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self.accept_errors = 0
        self._listen()

    def close(self) -> None:
        """Accept no more."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _listen(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def _on_readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self.accept_errors += 1
                if error.errno in _EXHAUSTED:  # it stays readable: do not spin
                    self._loop.remove_reader(self._socket.fileno())
                    self._pause = self._loop.call_later(_PAUSE_SECONDS, self._listen)
                    return
            else:
                self._on_accept(sock, address[0], address[1])
