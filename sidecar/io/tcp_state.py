"""What the system knows of a TCP connection."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import sys
import termios

_RTT_AT = 68
"""Where `tcpi_rtt` is in Linux's `struct tcp_info`."""


def unacknowledged_bytes(sock: socket.socket, *, forget: bool) -> int:
    """Return how many bytes the other side has not acknowledged; with `forget`, a close ends them too."""
    with contextlib.suppress(OSError, ValueError):  # it is closed already, or the system cannot tell
        if forget:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return 0


def tcp_round_trip(sock: socket.socket) -> float | None:
    """Ask TCP for its own estimate."""
    if not hasattr(socket, "TCP_INFO"):
        return None
    with contextlib.suppress(OSError, ValueError):  # it is closed already
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_AT + 4)
        microseconds = int.from_bytes(info[_RTT_AT:], sys.byteorder)
        return microseconds / 1e6 if microseconds else None
    return None
