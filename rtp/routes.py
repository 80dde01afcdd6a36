"""Which call a datagram belongs to, by the address it came from."""

from __future__ import annotations

import sys
from collections.abc import Collection
from ipaddress import IPv4Address

import numpy as np
from numpy.typing import NDArray

from rtp.pcm import Rows

AF_INET = 2  # the same number on every system this runs on

NOBODY = -1
"""The row of a datagram from an address that no call has offered."""

_LAST = (1 << 64) - 1

AddressKeys = NDArray[np.uint64]
"""IPv4 addresses with ports, uint64[n]: the first eight bytes of a Linux sockaddr_in as they lie in memory."""


def address_key(host: str, port: int) -> int:
    """Return the key of an IPv4 address and port; raise ValueError if `host` is not an IPv4 address."""
    raw = AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + IPv4Address(host).packed
    return int.from_bytes(raw, sys.byteorder)


def address_of_key(key: int) -> tuple[str, int]:
    """Return the host and port that `address_key` was given."""
    raw = key.to_bytes(8, sys.byteorder)
    return str(IPv4Address(raw[4:])), int.from_bytes(raw[2:4])


class Routes:
    """A table from source address to row, looked up for a whole batch at once: sorted keys, binary search.

    The last key is no address, and nobody's: so every address has one that is not smaller.
    """

    def __init__(self) -> None:
        self._keys = np.array([_LAST], np.uint64)
        self._rows = np.array([NOBODY], np.int64)

    def __len__(self) -> int:
        return len(self._keys) - 1

    def add(self, key: int, row: int) -> bool:
        """Send what comes from `key` to `row`; False if another call has that address already."""
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        if at < len(self) and self._keys[at] == key:
            return bool(self._rows[at] == row)
        self._keys = np.concatenate([self._keys[:at], np.array([key], np.uint64), self._keys[at:]])
        self._rows = np.concatenate([self._rows[:at], np.array([row]), self._rows[at:]])
        return True

    def remove_row(self, row: int, *, but: Collection[int] = ()) -> None:
        """Forget all addresses of `row`, or all `but` those."""
        keep = (self._rows != row) | np.isin(self._keys, np.array(list(but), np.uint64))
        self._keys, self._rows = self._keys[keep], self._rows[keep]

    def find(self, sources: AddressKeys) -> Rows:
        """Return the row of each source address, or `NOBODY`: int64[n]."""
        at = self._keys.searchsorted(sources)
        rows: Rows = self._rows.take(at)
        unknown = self._keys.take(at) != sources
        if np.count_nonzero(unknown):
            rows[unknown] = NOBODY
        return rows
