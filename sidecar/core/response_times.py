"""How soon bots answer: from the end of what the caller said to the first that it hears of the bot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtp import Rows

BREATH = 0.5
"""Seconds without a sound, after which a bot that is heard has begun anew."""


class ResponseTimes:
    """One row a call. A bot that talks on when the caller has ended does not answer, unless it is cleared first."""

    def __init__(self, rows: int) -> None:
        self._ended = np.full(rows, np.nan)  # seconds: when the caller spoke last; NaN: there is nothing to answer
        self._began = np.full(rows, np.nan)  # when the bot has begun to talk since
        self._sounded = np.full(rows, -np.inf)  # when the bot was heard last
        self._talks_on = np.zeros(rows, np.bool_)
        self.count = np.zeros(rows, np.int64)
        self.total = np.zeros(rows)  # seconds
        self.last = np.zeros(rows)
        self.longest = np.zeros(rows)

    def open(self, row: int) -> None:
        """Begin a call."""
        self.count[row] = self.total[row] = self.last[row] = self.longest[row] = 0
        self.forget(row)
        self.cleared(row)

    def forget(self, row: int) -> None:
        """Nothing that was said is to be answered."""
        self._ended[row] = self._began[row] = np.nan
        self._talks_on[row] = False

    def cleared(self, row: int) -> None:
        """What was played is over: what comes next is new."""
        self._sounded[row] = -np.inf
        self._talks_on[row] = False

    def voiced(self, rows: Rows, *, now: float) -> None:
        """The caller speaks: whatever the bot has said before is no answer to this."""
        self._ended[rows] = now
        self._began[rows] = np.nan
        self._talks_on[rows] = False

    def speech_over(self, row: int) -> float | None:
        """The caller has ceased to speak, a while ago; return the seconds until the bot answered, if it has."""
        if not np.isnan(self._began[row]):
            return self._answered(row, float(self._began[row]))
        self._talks_on[row] = self._sounded[row] > self._ended[row]
        return None

    def sounded(self, rows: Rows, speaks: NDArray[np.bool_], *, now: float) -> list[tuple[int, float]]:
        """The bot is heard, or the caller thinks so; return the rows in which that is an answer, and after how long.

        Where the caller `speaks`, or may yet go on to speak, it turns out later.
        """
        begins = now - self._sounded[rows] > BREATH
        self._sounded[rows] = now
        begins &= ~np.isnan(self._ended[rows])
        if not begins.any():
            return []
        self._began[rows[begins & speaks]] = now
        found = []
        for row in rows[begins & ~speaks].tolist():
            if self._talks_on[row]:
                self.forget(row)
            else:
                found.append((row, self._answered(row, now)))
        return found

    def _answered(self, row: int, at: float) -> float:
        seconds = at - float(self._ended[row])
        self.forget(row)
        self.count[row] += 1
        self.total[row] += seconds
        self.last[row] = seconds
        self.longest[row] = max(self.longest[row], seconds)
        return seconds
