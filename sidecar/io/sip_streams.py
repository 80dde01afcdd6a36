"""All TCP and TLS connections of one SIP agent: those that came, those that we open, and how many there may be."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from ipaddress import ip_address
from typing import Any

import structlog

from sidecar.io.network import plain_host
from sidecar.io.sip_connection import ConnectionLimits, Ending, SipConnection
from sidecar.io.tcp_listener import TcpListener
from sidecar.io.tls_files import client_context
from sip import StreamAddress
from sip.admission import Bucket

log = structlog.get_logger(__name__)

_SEND_BUFFER = 64 << 10
"""Bytes in the kernel for a peer that does not read."""

_CHECK_SECONDS = 1.0


class Refusal(Enum):
    """Why a connection was not taken, or not opened."""

    NOT_ALLOWED = "the peer is not allowed"
    FULL = "too many connections"
    HOST_FULL = "too many connections of that host"
    NO_ADDRESS = "not an IP address"
    NO_SOCKET = "the system gives no socket"


@dataclass(slots=True)
class StreamCounters:
    """What has become of connections; every number only grows."""

    accepted: int = 0
    opened: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)
    ended: Counter[Ending] = field(default_factory=Counter)


class SipStreams:
    """Knows the connections by number and by peer, opens those that are missing, and tells of those that are lost."""

    def __init__(
        self,
        *,
        on_message: Callable[[bytes, StreamAddress], None],
        on_lost: Callable[[StreamAddress], None],
        allows: Callable[[str], bool] = lambda _host: True,
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008  frozen
        tls: Callable[[], ssl.SSLContext] = client_context,  # of the connections that we open
        tls_names: Mapping[str, str] | None = None,  # what a certificate must name instead of an address
        local_host: str | None = None,  # where these come from
    ) -> None:
        self.counters = StreamCounters()
        self._on_message = on_message
        self._on_lost = on_lost
        self._allows = allows
        self._limits = limits
        self._tls = cache(tls)  # to read what the system trusts takes a while
        self._tls_names = tls_names or {}
        self._local_host = local_host
        self._loop = asyncio.get_running_loop()
        self._listeners: list[TcpListener] = []
        self._connections: dict[int, SipConnection] = {}
        self._by_peer: dict[StreamAddress, SipConnection] = {}  # with 0 for the number
        self._of_host: Counter[str] = Counter()
        self._last_number = 0
        self._check: asyncio.TimerHandle | None = None
        self._log_allowance = Bucket(1.0, 20)
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def accept_errors(self) -> int:
        """How often a connection could not be accepted, for want of file descriptors, say."""
        return sum(listener.accept_errors for listener in self._listeners)

    def listen(self, sock: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections at a listening socket, and own it."""

        def accept(accepted: socket.socket, host: str, port: int) -> None:
            self._accept(accepted, StreamAddress(plain_host(host), port, transport="TLS" if tls else "TCP"), tls)

        self._listeners.append(TcpListener(sock, accept))

    def send(self, data: bytes, address: StreamAddress) -> None:
        """Send over the connection that the address names, else over another to its host and port, else over a new one.

        See RFC 3261, sections 18.1.1 and 18.2.2. What cannot be sent is told to the agent, but not at once.
        """
        if self._is_closed:
            return
        there = StreamAddress(*address, transport=address.transport)
        connection = self._connections.get(address.connection) or self._by_peer.get(there) or self._open(there)
        if connection is None:
            self._loop.call_soon(self._tell_lost, address)
            return
        connection.add_name(address)
        connection.send(data)

    def close(self) -> None:
        """Close everything."""
        self._is_closed = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections.values()):
            connection.end(Ending.STOPPED)
        if self._check is not None:
            self._check.cancel()

    # --- connections begin

    def _accept(self, sock: socket.socket, there: StreamAddress, tls: ssl.SSLContext | None) -> None:
        if not self._allows(there[0]):
            self.counters.refused[Refusal.NOT_ALLOWED] += 1
            sock.close()
            return
        connection = self._new_connection(there, is_ours=False)
        if connection is None:
            sock.close()
            return
        self.counters.accepted += 1
        _prepare(sock)
        self._begin(
            connection,
            lambda: self._loop.connect_accepted_socket(lambda: connection, sock, ssl=tls),
            sock,
            on_failure=Ending.NOT_SHAKEN,
        )

    def _open(self, there: StreamAddress) -> SipConnection | None:
        try:
            family = socket.AF_INET6 if ip_address(there[0]).version == 6 else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
        except ValueError:
            self.counters.refused[Refusal.NO_ADDRESS] += 1
            return None
        except OSError:
            self.counters.refused[Refusal.NO_SOCKET] += 1
            return None
        connection = self._new_connection(there, is_ours=True)
        if connection is None:
            sock.close()
            return None
        self.counters.opened += 1
        self._begin(connection, lambda: self._connect(connection, sock), sock, on_failure=Ending.NOT_OPENED)
        return connection

    async def _connect(self, connection: SipConnection, sock: socket.socket) -> None:
        """Connect, verify the peer if it is to be TLS, and hand the socket over."""
        _prepare(sock)
        host, port = connection.address
        if self._local_host is not None and (":" in self._local_host) == (":" in host):
            sock.bind((self._local_host, 0))
        await self._loop.sock_connect(sock, (host, port))
        is_tls = connection.address.transport == "TLS"
        await self._loop.create_connection(
            lambda: connection,
            sock=sock,
            ssl=self._tls() if is_tls else None,
            server_hostname=self._tls_names.get(host, host) if is_tls else None,
        )

    def _new_connection(self, there: StreamAddress, *, is_ours: bool) -> SipConnection | None:
        if len(self._connections) >= self._limits.connections:
            self.counters.refused[Refusal.FULL] += 1
            return None
        if self._of_host[there[0]] >= self._limits.of_one_host:
            self.counters.refused[Refusal.HOST_FULL] += 1
            return None
        self._last_number += 1
        connection = SipConnection(
            StreamAddress(*there, transport=there.transport, connection=self._last_number),
            self._limits,
            is_ours=is_ours,
            on_message=self._on_message,
            on_end=self._forget,
        )
        self._connections[self._last_number] = self._by_peer[there] = connection
        self._of_host[there[0]] += 1
        if self._check is None:
            self._check = self._loop.call_later(_CHECK_SECONDS, self._check_times)
        return connection

    def _begin(
        self,
        connection: SipConnection,
        opening: Callable[[], Coroutine[Any, Any, object]],
        sock: socket.socket,
        *,
        on_failure: Ending,
    ) -> None:
        async def open_in_time() -> None:
            async with asyncio.timeout(self._limits.opening_seconds):
                await opening()

        def is_done(task: asyncio.Task[None]) -> None:
            connection.opening = None
            if task.cancelled():
                sock.close()
            elif (error := task.exception()) is not None:
                sock.close()
                self._log_failure(connection, error)
                connection.end(on_failure)

        connection.opening = self._loop.create_task(open_in_time())
        connection.opening.add_done_callback(is_done)

    # --- and end

    def _forget(self, connection: SipConnection) -> None:
        assert connection.ending is not None
        self.counters.ended[connection.ending] += 1
        address = connection.address
        del self._connections[address.connection]
        there = StreamAddress(*address, transport=address.transport)
        if self._by_peer.get(there) is connection:
            del self._by_peer[there]
        self._of_host[address[0]] -= 1
        if not self._of_host[address[0]]:
            del self._of_host[address[0]]
        for name in connection.names:
            self._loop.call_soon(self._tell_lost, name)

    def _tell_lost(self, address: StreamAddress) -> None:
        if not self._is_closed:
            self._on_lost(address)

    def _check_times(self) -> None:
        for connection in list(self._connections.values()):
            connection.check_time(self._loop.time())
        self._check = self._loop.call_later(_CHECK_SECONDS, self._check_times) if self._connections else None

    def _log_failure(self, connection: SipConnection, error: BaseException) -> None:
        if self._log_allowance.take(now=self._loop.time()):
            host, port = connection.address
            why = getattr(error, "verify_message", "") or str(error) or type(error).__name__
            log.warning("no SIP connection", transport=connection.address.transport, peer=host, port=port, why=why)


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
