"""What calls were heard to send: when last, from which source, and how well it came, one row a call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtp.codec import CLOCK_RATE
from rtp.headers import Headers, payload_types, sequence_numbers
from rtp.pcm import Rows
from rtp.reception import Reception, ReceptionStatistics

_NO_PAYLOAD_TYPE = 0xFF
_NOBODY = -1  # no SSRC


class HeardRows:
    """Measures, of the packets of a `MediaPlane`, what RTCP reports on and what a timeout is judged by."""

    def __init__(self, rows: int) -> None:
        self._at = np.full(rows, np.nan)  # seconds: when the last packet came; NaN: none did
        self._ssrc = np.full(rows, _NOBODY)
        self._clock_rate = np.zeros(rows, np.int64)
        self._event_payload_type = np.zeros(rows, np.uint8)
        self._reception = ReceptionStatistics(rows)

    def open(self, row: int) -> None:
        """Begin a call."""
        self._at[row], self._ssrc[row] = np.nan, _NOBODY
        self._reception.begin(row, clock_rate=CLOCK_RATE)

    def set_telephone_event(self, row: int, payload_type: int | None) -> None:
        """Say which packets of `row` have the timestamp of an event's start, which tells nothing of the network."""
        self._event_payload_type[row] = _NO_PAYLOAD_TYPE if payload_type is None else payload_type

    def set_source(self, row: int, ssrc: int, *, clock_rate: int) -> None:
        """Say which source is heard in `row`: if it, or its clock, is another, its count begins.

        See RFC 3550, section 8.2, and RFC 7160.
        """
        if ssrc != self._ssrc[row] or clock_rate != self._clock_rate[row]:
            self._ssrc[row], self._clock_rate[row] = ssrc, clock_rate
            self._reception.begin(row, clock_rate=clock_rate)

    def receive(self, rows: Rows, headers: Headers, *, now: float) -> None:
        """Take one packet of each row."""
        self._at[rows] = now
        counts = (headers[:, 2] == self._ssrc[rows]) & (payload_types(headers) != self._event_payload_type[rows])
        rows, headers = rows[counts], headers[counts]
        self._reception.receive(rows, sequence_numbers(headers), headers[:, 1], now=now)

    def go_on(self, rows: Rows, timestamp: NDArray[np.uint32], *, clock_rate: int, now: float) -> None:
        """Take the next audio packet of each row, from the source heard before; `count` counts them later."""
        self._at[rows] = now
        self._reception.go_on(rows, timestamp, clock_rate=clock_rate, now=now)

    def count(self, row: int, *, packets: int, lost: int, sequence: int) -> None:
        """Count what `go_on` took of one row; `sequence` is that of the packet to come."""
        self._reception.count(row, packets=packets, lost=lost, sequence=sequence)

    def last(self, row: int) -> float | None:
        """Return when the last packet of `row` came, in seconds; None if none did."""
        at = float(self._at[row])
        return None if math.isnan(at) else at

    def reception(self, row: int) -> tuple[int, Reception] | None:
        """Return the source that is heard in `row`, and what came of it; None while nothing did."""
        reception = self._reception.of(row)
        return None if reception is None else (int(self._ssrc[row]), reception)
