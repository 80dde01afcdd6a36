"""Callers who speak while something is played: when that is meant, and what is lowered for them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtp import Pcm, Rows, Voices
from sidecar.core.options import BargeIn

BARGE_IN_FRAMES = 4
"""Frames of speech over playback, from the one that made it speech (the third) on, that are meant: 120 ms in all."""

ECHO = 10 ** (-20 / 10)
"""What has less than this part of the power of what was played, 20 dB less, may be the echo of that."""

ECHO_FRAMES = 25
"""An echo is of the loudest that was played in the last one to two times so many frames, 0.5 to 1 s."""

DUCKED = 10 ** (-18 / 20)
"""What playback is lowered to: -18 dB."""

_RAMP = 4  # of a frame: 5 ms


class BargeIns:
    """Tells once in each speech that it is meant to interrupt, one row a call; lowers playback until speech is over."""

    def __init__(self, rows: int) -> None:
        self._wants = np.zeros(rows, np.bool_)
        self._ducks = np.zeros(rows, np.bool_)
        self._waits = np.zeros(rows, np.bool_)  # for this speech, or the next, to interrupt
        self._count = np.zeros(rows, np.int64)  # frames over playback, less those that were not
        self._plays = np.zeros(rows, np.bool_)
        self._loudest = np.zeros(rows)  # power of what was played, in the present time of `ECHO_FRAMES`
        self._loudest_before = np.zeros(rows)  # in the time before
        self._age = np.zeros(rows, np.int64)  # frames of the present time
        self._ducked = np.zeros(rows, np.bool_)
        self._gain = np.ones(rows)  # of the last sample
        self.total = np.zeros(rows, np.int64)

    def open(self, row: int, option: BargeIn) -> None:
        """Begin a call."""
        self._wants[row] = option is not BargeIn.OFF
        self._ducks[row] = option is BargeIn.DUCK
        self._plays[row] = False
        self._loudest[row] = self._loudest_before[row] = 0.0
        self._age[row] = 0
        self._gain[row] = 1.0
        self.total[row] = 0
        self.speech_over(row)

    def speech_over(self, row: int) -> None:
        """Play on as before; the next speech may interrupt again."""
        self._waits[row] = self._wants[row]
        self._count[row] = 0
        self._ducked[row] = False

    def process(self, rows: Rows, voices: Voices) -> Rows:
        """Take what was found in a frame of each row; return the rows that interrupt now."""
        echo = ECHO * np.maximum(self._loudest[rows], self._loudest_before[rows])
        over = voices.voiced & self._plays[rows] & (voices.power > echo)
        count = self._count[rows]
        self._count[rows] = count = np.where(over, count + 1, np.maximum(count - 1, 0))
        found = rows[self._waits[rows] & (count >= BARGE_IN_FRAMES)]
        self._waits[found] = False
        self._ducked[found] = self._ducks[found]
        self.total[found] += 1
        return found

    def ducked(self, rows: Rows, pcm: Pcm) -> Pcm:
        """Return a frame of each row as it is to be played, int16[n, samples]."""
        before, after = self._gain[rows], np.where(self._ducked[rows], DUCKED, 1.0)
        lowered = np.minimum(before, after) < 1.0
        if not lowered.any():
            return pcm
        self._gain[rows] = after
        samples = pcm.shape[1]
        ramp = np.maximum(1.0 - np.arange(1, samples + 1) * _RAMP / samples, 0.0)
        gain = after[lowered, None] + (before - after)[lowered, None] * ramp
        pcm = pcm.copy()
        pcm[lowered] = np.rint(pcm[lowered] * gain)
        return pcm

    def played(self, rows: Rows, plays: NDArray[np.bool_], power: NDArray[np.float64]) -> None:
        """Take note of what is heard now: whether something is played in a row, and how loud it is."""
        self._plays[rows] = plays
        loudest = np.maximum(self._loudest[rows], np.where(plays, power, 0.0))
        age = self._age[rows] + 1
        over = age == ECHO_FRAMES
        self._loudest_before[rows] = np.where(over, loudest, self._loudest_before[rows])
        self._loudest[rows] = np.where(over, 0.0, loudest)
        self._age[rows] = np.where(over, 0, age)

    def action(self, row: int) -> Literal["clear", "duck"]:
        """Return what is done in `row` when the caller interrupts."""
        return "duck" if self._ducks[row] else "clear"
