"""Which addresses this machine has for others, and sockets at them."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from ipaddress import ip_address

AUTO = "auto"

_SOMEWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}  # RFC 5737, RFC 3849: nobody lives there, and nothing is sent
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_MOST_PEERS = 256
_ROUTE_SECONDS = 10.0
_MAPPED = "::ffff:"
_BACKLOG = 256
_PORT_ATTEMPTS = 100


def own_address(host: str, *, peer: str | None = None) -> str:
    """Return `host`, or, where that means all addresses, the one that the route to `peer` leaves from.

    A peer of the family that `host` cannot speak to stands for one at the same place that it can.
    """
    listening = ip_address(host)
    if not listening.is_unspecified:
        return host
    there = None if peer is None else ip_address(peer)
    if there is None or (there.version == 6 and listening.version == 4):
        loopback = there is not None and there.is_loopback
        peer = (_LOOPBACK if loopback else _SOMEWHERE)[listening.version]
    assert peer is not None
    family = _family(peer)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((peer, 9))
        except OSError:  # no route at all
            return _LOOPBACK[6 if family == socket.AF_INET6 else 4]
        return str(sock.getsockname()[0])


class OwnAddresses:
    """Our address as each peer reaches it: what the settings say, or the one that the route to it leaves from.

    Routes change: one that was looked up is good for 10 s.
    """

    def __init__(self, host: str, advertised: str = AUTO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._fixed = advertised if advertised != AUTO else None
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}

    def __call__(self, peer: str) -> str:
        """Return our address for the host `peer`, an IP address."""
        if self._fixed is not None:
            return self._fixed
        now = self._clock()
        address, until = self._known.get(peer, ("", now))
        if until <= now:
            if len(self._known) >= _MOST_PEERS:
                self._known.clear()
            address = own_address(self._host, peer=peer)
            self._known[peer] = address, now + _ROUTE_SECONDS
        return address


def plain_host(host: str) -> str:
    """Return an IPv4 address as such, where an IPv6 socket has it as `::ffff:192.0.2.1`."""
    return host.removeprefix(_MAPPED) if "." in host else host


def mapped_host(host: str) -> str:
    """Return how an IPv6 socket wants an address of either family."""
    return host if ":" in host else _MAPPED + host


def bound_socket(host: str, port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    """Bind a socket that does not block, and listen if it is one of streams; raise OSError if that cannot be.

    At `::` it takes IPv4 too.
    """
    family = _family(host)
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not ip_address(host).is_unspecified)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def bound_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Bind a UDP and a TCP socket to one port; 0 is any that both can have."""
    for _ in range(_PORT_ATTEMPTS):
        udp = bound_socket(host, port)
        try:
            return udp, bound_socket(host, udp.getsockname()[1], socket.SOCK_STREAM)
        except OSError:
            udp.close()
            if port:
                raise
    raise OSError("no port is free for both UDP and TCP")


def bind_trouble(host: str, port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> OSError | None:
    """Say why a socket cannot be bound there now; None if it can be. For messages: who binds, tries it."""
    try:
        bound_socket(host, port, kind).close()
    except OSError as error:
        return error
    return None


def system_words(error: OSError) -> str:
    """Say what went wrong in the system's words, without the addresses that event loops add to them."""
    if error.errno is None or isinstance(error, socket.gaierror | ssl.SSLError):  # whose numbers are their own
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
