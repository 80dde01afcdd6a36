"""Which address this machine has for others, and which of them can be had."""

from __future__ import annotations

import socket
from ipaddress import ip_address

_SOMEWHERE = ("192.0.2.1", 9)  # RFC 5737: nobody lives there, and nothing is sent


def own_address(host: str) -> str:
    """Return `host`, or, where that means all addresses, the one that the default route leaves from."""
    if not ip_address(host).is_unspecified:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(_SOMEWHERE)
        except OSError:  # no route at all
            return "127.0.0.1"
        return str(sock.getsockname()[0])


def why_not(host: str, port: int) -> str | None:
    """Say why a UDP socket cannot be bound there now; None if it can be. For messages: who binds, tries it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
