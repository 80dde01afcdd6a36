"""Port numbers for programs that must be told one."""

from __future__ import annotations

import contextlib
import socket
from random import SystemRandom

LOOPBACK = "127.0.0.1"

_given: set[int] = set()  # two programs that are yet to start must not be told the same

_FIRST, _LAST = 10_000, 19_999  # below those that the system gives to sockets that bind port 0, ours among them


def some_port() -> int:
    """Return an even port that only a program which was told so is likely to have."""
    return SystemRandom().randrange(_FIRST, _LAST, 2)


def is_taken(port: int) -> bool:
    """Tell whether a program has this UDP port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            udp.bind((LOOPBACK, port))
        except OSError:
            return True
        return False


def free_port() -> int:
    """Return a port of the loopback address that is free for UDP and for TCP.

    It is free now: nothing keeps it so until the program takes it. Our own sockets bind port 0 instead.
    """
    while True:
        port = some_port()
        if port in _given:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            with contextlib.suppress(OSError):
                udp.bind((LOOPBACK, port))
                tcp.bind((LOOPBACK, port))
                _given.add(port)
                return port
