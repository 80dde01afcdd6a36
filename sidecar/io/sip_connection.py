"""One TCP or TLS connection of SIP: bytes in, whole messages out, and limits to what it may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import cast

from sip import SipError, StreamAddress, StreamFramer
from sip.error import MessageTooLarge

_READ_BYTES = 8 << 10
"""Of one connection, in one turn: then the others have theirs."""

_MOST_NAMES = 256
"""Addresses by which one connection is remembered as lost."""


class Ending(Enum):
    """Why a connection is over."""

    CLOSED = "closed by the peer"
    NOT_OPENED = "could not be opened"
    NOT_SHAKEN = "the TLS handshake failed or took too long"
    MALFORMED = "no Content-Length, or a malformed one"
    TOO_LARGE = "a message was too large"
    TOO_SLOW = "a message took too long"
    IDLE = "nothing came or went for long"
    UNREAD = "the peer does not read"
    STOPPED = "we stop"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may cost."""

    connections: int = 1024
    of_one_host: int = 256
    opening_seconds: float = 5.0  # connecting, and the TLS handshake
    message_seconds: float = 32.0  # from the first byte of a message to its last; from accepting to the first message
    idle_seconds: float = 1800.0  # without a message or keep-alive either way
    unsent_bytes: int = 256 << 10  # that wait for the connection to open, or for the peer to read


class SipConnection(asyncio.BufferedProtocol):
    """One connection, from before it is open until after it is closed."""

    def __init__(
        self,
        address: StreamAddress,
        limits: ConnectionLimits,
        *,
        is_ours: bool,
        on_message: Callable[[bytes, StreamAddress], None],
        on_end: Callable[[SipConnection], None],
    ) -> None:
        self.address = address  # of the peer, with the number of this connection
        self.names = {address}  # by which the agent may know it
        self.ending: Ending | None = None
        self.opening: asyncio.Task[None] | None = None
        self._limits = limits
        self._on_message = on_message
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._framer = StreamFramer()
        self._buffer = bytearray(_READ_BYTES)
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._used_at = self._loop.time()
        self._awaited_since = None if is_ours else self._used_at  # a message that has begun, or the first of all

    # --- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open, TLS and all: what has waited for it is sent."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        if self.ending is not None:
            self._transport.abort()
            return
        self._transport.write(b"".join(self._waiting))
        self._waiting.clear()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came in."""
        if self.ending is not None:
            return
        pings = self._framer.keepalives
        try:
            messages = self._framer.receive_data(bytes(self._buffer[:nbytes]))
        except SipError as error:
            self.end(Ending.TOO_LARGE if isinstance(error, MessageTooLarge) else Ending.MALFORMED)
            return
        self._note_progress(whole=bool(messages) or self._framer.keepalives > pings)
        if pongs := self._framer.data_to_send():
            self.send(pongs)
        for message in messages:
            if self.ending is None:
                self._on_message(message, self.address)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.end(Ending.CLOSED)

    # --- what its owner calls

    def send(self, data: bytes) -> None:
        """Send now, or when the connection is open; a peer that does not read for long loses the connection."""
        if self.ending is not None:
            return
        self._used_at = self._loop.time()
        if self._transport is None:
            self._waiting.append(data)
            unsent = sum(map(len, self._waiting))
        else:
            self._transport.write(data)
            unsent = self._transport.get_write_buffer_size()
        if unsent > self._limits.unsent_bytes:
            self.end(Ending.UNREAD)

    def add_name(self, address: StreamAddress) -> None:
        """Remember that the agent has sent to `address` by this connection, to tell it when that is lost.

        Past the bound it is not told, and its transactions run into their time-outs.
        """
        if not self.address.carries(address) and len(self.names) < _MOST_NAMES:
            self.names.add(address)

    def check_time(self, now: float) -> None:
        """End it if it was idle, or slow, for too long."""
        if self._awaited_since is not None and now - self._awaited_since > self._limits.message_seconds:
            self.end(Ending.TOO_SLOW)
        elif now - self._used_at > self._limits.idle_seconds:
            self.end(Ending.IDLE)

    def end(self, why: Ending) -> None:
        """Close it at once; only the first reason counts."""
        if self.ending is not None:
            return
        self.ending = why
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()
        if self.opening is not None:
            self.opening.cancel()
        self._on_end(self)

    def _note_progress(self, *, whole: bool) -> None:
        now = self._loop.time()
        if whole:
            self._used_at, self._awaited_since = now, None
        if self._framer.is_amid_message and self._awaited_since is None:
            self._awaited_since = now
