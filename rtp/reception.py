"""What RTCP reports of the packets that came: counts and jitter of many calls at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtp.pcm import Rows
from rtp.sequence import sequence_delta

_STRIDE = 1 << 14  # sequence numbers, from which one is plainly ahead of another


@dataclass(frozen=True, slots=True)
class Reception:
    """The packets of one source so far. See RFC 3550, appendices A.3 and A.8."""

    highest_sequence: int  # with the count of wraps above the lower 16 bits
    expected: int
    received: int
    jitter: int  # timestamp units


class ReceptionStatistics:
    """Counts packets and measures their jitter, one row a source."""

    def __init__(self, rows: int) -> None:
        self._begun = np.zeros(rows, np.bool_)
        self._first = np.zeros(rows, np.int64)
        self._highest = np.zeros(rows, np.int64)
        self._received = np.zeros(rows, np.int64)
        self._clock_rate = np.zeros(rows)
        self._transit = np.zeros(rows, np.uint32)
        self._jitter = np.zeros(rows)

    def begin(self, row: int, *, clock_rate: int) -> None:
        """Begin anew in `row`: another call, or another source of the same (RFC 3550, section 8.2)."""
        self._begun[row] = False
        self._received[row] = 0
        self._clock_rate[row] = clock_rate
        self._jitter[row] = 0.0

    def receive(self, rows: Rows, sequence: NDArray[np.uint16], timestamp: NDArray[np.uint32], *, now: float) -> None:
        """Take one packet of each row, with the moment at which it came in seconds."""
        arrival = np.floor(now * self._clock_rate[rows] % (1 << 32)).astype(np.uint32)
        transit = arrival - timestamp
        begun = self._begun[rows]
        if not begun.all():
            new = rows[~begun]
            self._begun[new] = True
            self._first[new] = self._highest[new] = sequence[~begun]
            self._transit[new] = transit[~begun]
        ahead = (sequence - self._highest[rows].astype(np.uint16)).view(np.int16)
        self._highest[rows] += np.maximum(ahead, 0)
        self._received[rows] += 1
        change = np.abs((transit - self._transit[rows]).view(np.int32).astype(float))
        self._transit[rows] = transit
        self._jitter[rows] += (change - self._jitter[rows]) / 16

    def go_on(self, rows: Rows, timestamp: NDArray[np.uint32], *, clock_rate: int, now: float) -> None:
        """Measure the jitter of one packet of each row, all of this clock rate; `count` counts them later."""
        transit = np.uint32(int(now * clock_rate % (1 << 32))) - timestamp
        change = np.abs((transit - self._transit.take(rows)).view(np.int32).astype(float))
        self._transit[rows] = transit
        jitter = self._jitter.take(rows)
        jitter += (change - jitter) / 16
        self._jitter[rows] = jitter

    def count(self, row: int, *, packets: int, lost: int, sequence: int) -> None:
        """Count packets that came in order, of which some are lost; `sequence` is that of the one to come."""
        self._received[row] += packets
        for left in range((packets + lost - 1) // _STRIDE * _STRIDE, -1, -_STRIDE):
            ahead = sequence_delta(sequence - 1 - left, int(self._highest[row]))
            self._highest[row] += max(ahead, 0)

    def of(self, row: int) -> Reception | None:
        """Return the reception of `row`; None while nothing came."""
        if not self._begun[row]:
            return None
        highest = int(self._highest[row])
        expected = highest - int(self._first[row]) + 1
        return Reception(highest, expected, int(self._received[row]), int(self._jitter[row]))
