"""Which UDP ports a call gets, where every call has its own."""

from __future__ import annotations

from collections import deque

REST = 30.0
"""Seconds that a pair rests before another call gets it: what is still on its way belongs to the call before."""


class PortAllocator:
    """Pairs of ports, an even one for RTP and the next for RTCP (RFC 3550, section 11); longest rested, first taken."""

    def __init__(self, port_min: int, port_max: int, *, rest: float = REST) -> None:
        """Take the range, both ends included; raise `ValueError` if there is no pair in it."""
        first = port_min + port_min % 2
        if not 0 < first < port_max <= 65535:
            raise ValueError(f"no pair of ports between {port_min} and {port_max}")
        self.refused = 0
        self._rest = rest
        self._free = deque((port, float("-inf")) for port in range(first, port_max, 2))  # and from when on
        self._taken: set[int] = set()

    @property
    def taken(self) -> int:
        """How many pairs are in use."""
        return len(self._taken)

    def take(self, *, now: float) -> int | None:
        """Return the RTP port of a pair; None, counted, when all are in use or rest."""
        if not self._free or self._free[0][1] > now:
            self.refused += 1
            return None
        port, _ = self._free.popleft()
        self._taken.add(port)
        return port

    def give_back(self, port: int, *, now: float) -> None:
        """Let a pair rest: the call is over, or somebody else has bound one of its ports."""
        self._taken.remove(port)
        self._free.append((port, now + self._rest))
