"""What calls were heard to send: when last, from which source, and how well it came, one row a call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtp.codec import CLOCK_RATE
from rtp.pcm import Rows
from rtp.reception import Reception, ReceptionStatistics

_NO_PAYLOAD_TYPE = 0xFF
_NOBODY = -1  # no SSRC


class HeardRows:
    """Measures, of the packets of a `MediaPlane`, what RTCP reports on and what a timeout is judged by."""

    def __init__(self, rows: int) -> None:
        self._at = np.full(rows, np.nan)  # seconds: when the last packet came; NaN: none did
        self._ssrc = np.full(rows, _NOBODY)
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
        """Say which source is heard in `row`: if it is another, its count begins (RFC 3550, section 8.2)."""
        if ssrc != self._ssrc[row]:
            self._ssrc[row] = ssrc
            self._reception.begin(row, clock_rate=clock_rate)

    def receive(
        self,
        rows: Rows,
        payload_types: NDArray[np.uint8],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        *,
        now: float,
    ) -> None:
        """Take one packet of each row."""
        self._at[rows] = now
        counts = (ssrc == self._ssrc[rows]) & (payload_types != self._event_payload_type[rows])
        if not counts.all():
            rows, sequence, timestamp = rows[counts], sequence[counts], timestamp[counts]
        self._reception.receive(rows, sequence, timestamp, now=now)

    def last(self, row: int) -> float | None:
        """Return when the last packet of `row` came, in seconds; None if none did."""
        at = float(self._at[row])
        return None if math.isnan(at) else at

    def reception(self, row: int) -> tuple[int, Reception] | None:
        """Return the source that is heard in `row`, and what came of it; None while nothing did."""
        reception = self._reception.of(row)
        return None if reception is None else (int(self._ssrc[row]), reception)
