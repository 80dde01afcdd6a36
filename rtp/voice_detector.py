"""Who speaks: when speech starts and stops, of many calls at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp.pcm import FRAME_MS, Pcm, Rows

QUIETEST = (32768.0 * 10 ** (-50 / 20)) ** 2 / 2
"""Power below which nothing is speech: that of a sine of -50 dBFS."""

START_RATIO = 8.0
"""Power over the noise at which speech may start: 9 dB."""

STAY_RATIO = 4.0
"""Power over the noise at which it goes on: 6 dB."""

START_FRAMES = 3
"""Frames in a row that make a start, 60 ms: a click is none."""

FLOOR_FRAMES = 50
"""The noise is the quietest moment of the last one to two times so many frames, 1 to 2 s: speech always has a dip."""

_BLOCKS = 5  # a frame has so many, 4 ms each; what is constant in a block is rumble below some 125 Hz, and is left out
_FLOOR_AT_FIRST = QUIETEST * 10  # until the first such time is over: noise of up to -31 dBFS is taken for no speech


class Voices(NamedTuple):
    """What one frame of each of some rows has brought: the rows that have changed, and a column for all of them."""

    started: Rows
    stopped: Rows
    voiced: NDArray[np.bool_]  # where somebody speaks, and this very frame is not one of the pauses in it
    power: NDArray[np.float64]  # of the frame, without rumble


def voice_power(pcm: Pcm) -> NDArray[np.float64]:
    """Return the power of each frame without rumble, float64[n] of int16[n, samples], at any sample rate."""
    samples = pcm.astype(np.float64)
    blocks = samples.reshape(len(pcm), _BLOCKS, pcm.shape[1] // _BLOCKS).sum(axis=2)
    rumble = np.einsum("ij,ij->i", blocks, blocks) * (_BLOCKS / pcm.shape[1])
    power: NDArray[np.float64] = (np.einsum("ij,ij->i", samples, samples) - rumble) / pcm.shape[1]
    return power


class VoiceDetector:
    """Tells speech from steady noise by power alone, one row a call.

    Power is made of sums of integers, and all else is done element by element: a row gives the same in any batch.
    """

    def __init__(self, rows: int, *, hang_over_ms: int = 500) -> None:
        self._hang_over = hang_over_ms // FRAME_MS
        self._power = np.zeros(rows)  # of the frame before
        self._quietest = np.zeros(rows)  # in the present time of `FLOOR_FRAMES`
        self._quietest_before = np.zeros(rows)  # in the time before
        self._age = np.zeros(rows, np.int64)  # frames of the present time
        self._loud = np.zeros(rows, np.int64)  # frames in a row
        self._quiet = np.zeros(rows, np.int64)  # frames in a row
        self._speaks = np.zeros(rows, np.bool_)
        for row in range(rows):
            self.reset(row)

    def reset(self, row: int) -> None:
        """Forget the past of `row`: a new call begins in it."""
        self._power[row] = 0.0
        self._quietest[row] = np.inf
        self._quietest_before[row] = _FLOOR_AT_FIRST
        self._age[row] = self._loud[row] = self._quiet[row] = 0
        self._speaks[row] = False

    def speaks(self, row: int) -> bool:
        """Tell whether somebody speaks in `row`."""
        return bool(self._speaks[row])

    def speaking(self, rows: Rows) -> NDArray[np.bool_]:
        """Tell where somebody speaks, bool[n]."""
        return self._speaks[rows]

    def process(self, rows: Rows, pcm: Pcm) -> Voices:
        """Take one frame of each row, int16[n, samples], at any sample rate."""
        now = voice_power(pcm)
        power = (now + self._power[rows]) / 2
        self._power[rows] = now
        floor = self._floor(rows, power)
        speaks = self._speaks[rows]
        least = np.maximum(floor * np.where(speaks, STAY_RATIO, START_RATIO), QUIETEST)
        loud = power > least
        self._loud[rows] = run = np.where(loud, self._loud[rows] + 1, 0)
        self._quiet[rows] = pause = np.where(loud, 0, self._quiet[rows] + 1)
        starts = ~speaks & (run >= START_FRAMES)
        stops = speaks & (pause > self._hang_over)
        self._speaks[rows] = speaks = speaks ^ starts ^ stops
        return Voices(rows[starts], rows[stops], speaks & loud & (now > least), now)

    def _floor(self, rows: Rows, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the power of the noise in each row, float64[n]."""
        quietest = np.minimum(self._quietest[rows], power)
        floor = np.minimum(quietest, self._quietest_before[rows])
        age = self._age[rows] + 1
        over = age == FLOOR_FRAMES
        self._quietest_before[rows] = np.where(over, quietest, self._quietest_before[rows])
        self._quietest[rows] = np.where(over, np.inf, quietest)
        self._age[rows] = np.where(over, 0, age)
        return floor
