"""One UDP socket for all calls of a worker: many datagrams a system call, straight into arrays.

Where the system has no `recvmmsg`, `PortableDatagrams` does the same with one system call a datagram.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import sys
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtp import PACKET_BYTES, PACKETS_A_FRAME, AddressKeys, address_key, address_of_key

BATCH = 256
"""Datagrams that are read at once: more would not be cheaper, and what else there is to do has its turn in between."""

MOST_SENT = PACKETS_A_FRAME * 1024
"""Datagrams that are sent at once, for the calls of one phase."""

ROW_BYTES = 2048
"""Room for each; what fills it did not fit."""

_SOCKADDR_BYTES = 16
RECEIVE_BUFFER = 8 << 20
_SO_MEMINFO, _MEMINFO_BYTES, _DROPS = 55, 36, 8  # linux/sock_diag.h: uint32 each


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("length", ctypes.c_uint))


class _Batch:
    """Rows of datagrams that the kernel reads and writes in place."""

    def __init__(self, rows: int, row_bytes: int) -> None:
        self.data = np.zeros((rows, row_bytes), np.uint8)
        self._addresses = np.zeros((rows, _SOCKADDR_BYTES), np.uint8)
        self.keys: AddressKeys = self._addresses.view(np.uint64)[:, 0]
        self._iov = (_IoVec * rows)()
        self.messages = (_MMsgHdr * rows)()
        for row in range(rows):
            self._iov[row].base = self.data.ctypes.data + row * row_bytes
            self._iov[row].length = row_bytes
            header = self.messages[row].header
            header.name = self._addresses.ctypes.data + row * _SOCKADDR_BYTES
            header.name_length = _SOCKADDR_BYTES
            header.iov = ctypes.addressof(self._iov[row])
            header.iov_length = 1
        raw = np.frombuffer(memoryview(self.messages).cast("B"), np.uint8).reshape(rows, ctypes.sizeof(_MMsgHdr))
        at = _MMsgHdr.length.offset
        self.lengths: NDArray[np.uint32] = raw[:, at : at + 4].view(np.uint32)[:, 0]
        room = np.frombuffer(memoryview(self._iov).cast("B"), np.uint64).reshape(rows, 2)
        self.lengths_to_send: NDArray[np.uint64] = room[:, 1]


class DatagramBatch(Protocol):
    """Datagrams that have come, and that are to be sent."""

    data: NDArray[np.uint8]  # uint8[BATCH, m]: what `receive` brought
    lengths: NDArray[np.uint32]
    sources: AddressKeys
    packets: NDArray[np.uint8]  # uint8[MOST_SENT, PACKET_BYTES]: what `send` takes
    packet_lengths: NDArray[np.uint64]
    destinations: AddressKeys
    send_errors: int

    @property
    def port(self) -> int:
        """The port of all; 0: there is no such port."""

    def send(self, count: int) -> None:
        """Send the first `count` packets; those that cannot be sent are counted."""

    def unread(self) -> int:
        """Return how many datagrams the system has dropped so far, modulo 2**32, as too many waited to be read."""


class Datagrams(DatagramBatch, Protocol):
    """A UDP socket that is read and written in batches."""

    def fileno(self) -> int:
        """The file descriptor, to wait on."""

    def receive(self) -> int:
        """Fill `data`, `lengths` and `sources` with what has come; return how many datagrams."""

    def send_one(self, data: bytes, destination: tuple[str, int]) -> None:
        """Send a datagram at once."""

    def close(self) -> None:
        """Give the port back."""


def datagrams_on(sock: socket.socket, *, portable: bool = False) -> Datagrams:
    """Read and write a UDP socket in batches, the fastest way that this system has."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    libc = ctypes.CDLL(None, use_errno=True)
    if portable or not hasattr(libc, "recvmmsg") or not hasattr(libc, "sendmmsg"):
        return PortableDatagrams(sock)
    return BatchDatagrams(sock, libc)


class BatchDatagrams:
    """Datagrams by `recvmmsg` and `sendmmsg` (Linux)."""

    def __init__(self, sock: socket.socket, libc: ctypes.CDLL) -> None:
        self._sock = sock
        self._libc = libc
        self._in = _Batch(BATCH, ROW_BYTES)
        self._out = _Batch(MOST_SENT, PACKET_BYTES)
        self.data, self.lengths, self.sources = self._in.data, self._in.lengths, self._in.keys
        self.packets, self.packet_lengths, self.destinations = (
            self._out.data,
            self._out.lengths_to_send,
            self._out.keys,
        )
        self.send_errors = 0

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    def fileno(self) -> int:
        return self._sock.fileno()

    def receive(self) -> int:
        count = self._libc.recvmmsg(self._sock.fileno(), self._in.messages, BATCH, socket.MSG_DONTWAIT, None)
        return max(0, int(count))

    def send(self, count: int) -> None:
        done = 0
        while done < count:
            rest = ctypes.byref(self._out.messages, done * ctypes.sizeof(_MMsgHdr))
            sent = self._libc.sendmmsg(self._sock.fileno(), rest, count - done, socket.MSG_DONTWAIT)
            if sent > 0:
                done += sent
            elif ctypes.get_errno() in (errno.EAGAIN, errno.ENOBUFS):
                self.send_errors += count - done
                return
            elif ctypes.get_errno() != errno.EINTR:  # one bad destination; the others get theirs
                self.send_errors += 1
                done += 1

    def unread(self) -> int:
        told = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_BYTES)
        return int.from_bytes(told[4 * _DROPS :], sys.byteorder)

    def send_one(self, data: bytes, destination: tuple[str, int]) -> None:
        self.send_errors += not sent_one(self._sock, data, destination)

    def close(self) -> None:
        self._sock.close()


class PlainBatch:
    """The arrays of a `DatagramBatch`, where the kernel does not fill them itself."""

    def __init__(self) -> None:
        self.data = np.zeros((BATCH, ROW_BYTES), np.uint8)
        self.lengths = np.zeros(BATCH, np.uint32)
        self.sources: AddressKeys = np.zeros(BATCH, np.uint64)
        self.packets = np.zeros((MOST_SENT, PACKET_BYTES), np.uint8)
        self.packet_lengths = np.zeros(MOST_SENT, np.uint64)
        self.destinations: AddressKeys = np.zeros(MOST_SENT, np.uint64)
        self.send_errors = 0

    def unread(self) -> int:
        return 0  # nobody knows


class PortableDatagrams(PlainBatch):
    """The same with plain sockets, one system call a datagram."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    def fileno(self) -> int:
        return self._sock.fileno()

    def receive(self) -> int:
        for count in range(BATCH):
            try:
                length, (host, port) = self._sock.recvfrom_into(memoryview(self.data[count]))
            except (BlockingIOError, ConnectionError):
                return count
            self.lengths[count] = length
            self.sources[count] = address_key(host, port)
        return BATCH

    def send(self, count: int) -> None:
        lengths, keys = self.packet_lengths[:count].tolist(), self.destinations[:count].tolist()
        for packet, length, key in zip(self.packets[:count], lengths, keys, strict=True):
            self.send_errors += not sent_one(self._sock, memoryview(packet[:length]), address_of_key(key))

    def send_one(self, data: bytes, destination: tuple[str, int]) -> None:
        self.send_errors += not sent_one(self._sock, data, destination)

    def close(self) -> None:
        self._sock.close()


def sent_one(sock: socket.socket, data: bytes | memoryview, destination: tuple[str, int]) -> bool:
    """Send a datagram; return whether that was possible."""
    try:
        sock.sendto(data, destination)
    except OSError:
        return False
    return True
