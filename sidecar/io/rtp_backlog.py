"""RTP that nobody has read in time, and what the plane is told of it."""

from __future__ import annotations

from rtp import MediaPlane
from sidecar.core.backlog import Backlog
from sidecar.core.histogram import Histogram
from sidecar.io.datagrams import BATCH, DatagramBatch

_MANY = 128
"""Datagrams in one read, that may have been so many that there was no room for others."""


class RtpBacklog(Backlog):
    """The backlog of these sockets: what of it is dropped is counted, and the plane does not wait for it."""

    def __init__(self, datagrams: DatagramBatch, plane: MediaPlane, sizes: Histogram) -> None:
        """`sizes` is told of each read."""
        super().__init__(most=BATCH)
        self._datagrams = datagrams
        self._plane = plane
        self._unread = datagrams.unread()
        self._sizes = sizes

    def admits(self, count: int, *, now: float) -> bool:
        """Take note of a read; return whether what it has brought is worth working off."""
        self._sizes.observe(count)
        counters = self._plane.gate.counters
        if self.is_stale(count, calls=self._plane.calls, now=now):
            counters.stale += count
            self._plane.lose(now=now)
            return False
        if count >= _MANY:
            former, self._unread = self._unread, self._datagrams.unread()
            if self._unread != former:
                counters.unread += (self._unread - former) % (1 << 32)
                self._plane.lose(now=now)
        return True
