"""The way down of all calls whose bots talk at one rate: from bytes of the bot to frames of RTP."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rtp import Pcm, Resampler, Rows, frame_samples
from sidecar.core.message_cutter import as_samples
from sidecar.core.playout_rows import PlayoutRows
from sidecar.core.websocket_frames import binary_payloads

Bytes = NDArray[np.uint8]


class Downlink:
    """What the rows share whose bots talk at one rate: from what was said to frames at the wire's rate."""

    def __init__(self, rate: int, rows: int) -> None:
        self.rate = rate
        self.playouts = PlayoutRows(frame_samples=frame_samples(rate), rows=rows)
        self._rows = rows
        self._resamplers: dict[int, Resampler] = {}  # by the rate of the wire

    @property
    def wire_rates(self) -> list[int]:
        """The rates of the codecs that its rows have had."""
        return list(self._resamplers)

    def open(self, row: int, wire_rate: int, *, preroll_ms: int, playout_seconds: float) -> None:
        """Begin a call in `row`."""
        self.change(row, wire_rate)
        self.playouts.open(row, preroll_ms=preroll_ms, capacity_bytes=int(2 * self.rate * playout_seconds))

    def change(self, row: int, wire_rate: int) -> None:
        """Let the codec of `row` have another rate; what waits to be played stays."""
        if wire_rate not in self._resamplers:
            self._resamplers[wire_rate] = Resampler(self.rate, wire_rate, rows=self._rows)
        self._resamplers[wire_rate].reset(row)

    def frames(self, data: Bytes, lengths: NDArray[np.int64]) -> Iterator[tuple[slice | NDArray[np.int64], Pcm]]:
        """Cut WebSocket frames of 20 ms out of rows that are nothing else: the first of each, then the second, ..."""
        for where, payloads in binary_payloads(data, lengths, self.playouts.frame_bytes):
            yield where, as_samples(payloads)

    def play(self, rows: Rows, wire_rate: int, *, now: float) -> tuple[Pcm, NDArray[np.bool_]]:
        """Take the next frame of each row, int16[n, m], silence where there is none; and where there is one."""
        pcm, plays = self.playouts.read(rows, now=now)
        return self._resamplers[wire_rate].process(rows, pcm), plays
