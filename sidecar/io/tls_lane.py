"""How the bytes of a `BotConnection` travel through TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

from sidecar.core.bot_connection import BotConnection
from sidecar.core.errors import ErrorCode
from sidecar.core.outbox import Outbox
from sidecar.io.bot_lane import BotLane
from sidecar.io.parting import MOST_UNHEARD
from sidecar.io.stream_error import StreamError
from sidecar.io.tcp_state import unacknowledged_bytes

_WRITE_BUFFER = 64 << 10
"""Bytes that wait in the event loop: little, since the outbox knows what to drop and it does not."""


class TlsLane(BotLane, asyncio.Protocol):
    """A TLS connection that the event loop runs."""

    def __init__(self, connection: BotConnection, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._heard = False  # anything at all
        self._on_parted: Callable[[], None] | None = None  # set while nothing is heard any more
        self._unheard = 0  # bytes since then

    async def open(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self._socket = sock  # the event loop's own for us can do less
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self,
                sock=sock,
                ssl=context,
                server_hostname=self.connection.uri.host,
            )
        except ConnectionError:
            sock.close()
            raise StreamError(ErrorCode.SSL_HANDSHAKE_FAILED, "TLS handshake failed: connection lost") from None
        except BaseException:
            sock.close()
            raise
        self.outbox.put_ahead(b"".join(self.connection.data_to_send()))
        self.pump()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._on_parted is None:
            self._received(data)
            return
        self._unheard += len(data)
        if self._unheard > MOST_UNHEARD:
            self._on_parted()

    def eof_received(self) -> None:
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._gone:
            self._lost(exc)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.pump()

    def _write(self, data: bytes) -> int:
        assert self._transport is not None
        if self._paused:
            return 0
        self._transport.write(data)
        return len(data)

    def _wait_to_write(self, waiting: bool) -> None:
        """Nothing to do: `resume_writing` is called when there is room."""

    def _unacknowledged_by_peer(self, *, forget: bool) -> int:
        if self._transport is None or self._socket is None:
            return 0
        return self._transport.get_write_buffer_size() + unacknowledged_bytes(self._socket, forget=forget)

    def _part(self, rest: bytes, on_end: Callable[[], None]) -> None:
        """TLS cannot be shut down for writing alone: the bot closes, as it is to (RFC 6455, section 7.1.1)."""
        assert self._transport is not None
        self._on_parted = on_end
        if rest:
            self._transport.write(rest)

    def _close_socket(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _lost(self, exc: Exception | None) -> None:
        """A bot that does not like our certificate may say so only now (RFC 8446, section 4.4.2.4), or not at all."""
        if self._on_parted is not None:
            self._on_parted()
            return
        if isinstance(exc, ssl.SSLError):
            self.connection.fail(*explain_tls(exc))
        elif not self._heard:
            why = "the bot hung up on us, perhaps for want of a client certificate"
            self.connection.fail(ErrorCode.SSL_HANDSHAKE_FAILED, why)
        self._received(b"")


def explain_tls(error: ssl.SSLError) -> tuple[ErrorCode, str]:
    """Say what is wrong with TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ErrorCode.SSL_ERROR, f"certificate refused: {error.verify_message}"
    return ErrorCode.SSL_HANDSHAKE_FAILED, f"TLS handshake failed: {error.reason}"
