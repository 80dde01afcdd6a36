"""Port numbers for programs that must be told one."""

from __future__ import annotations

import contextlib
import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback address that is free for UDP and for TCP.

    It is free now: nothing keeps it so until the program takes it. Our own sockets bind port 0 instead.
    """
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind((LOOPBACK, 0))
            port: int = udp.getsockname()[1]
            with contextlib.suppress(OSError):
                tcp.bind((LOOPBACK, port))
                return port
