"""When to try again: later each time, never in step with others, and not for ever."""

from __future__ import annotations

import math
from random import Random

FIRST, FACTOR, MOST = 0.25, 2.0, 5.0
"""Seconds before the first attempt, how much longer each next one waits, and the longest wait."""

LEAST = 0.25
"""Seconds that an attempt has: in less, no bot can answer, and only that would be told of all that has gone wrong."""

STABLE = 10.0
"""Seconds that a connection must last to count as a new beginning: one that breaks at once must not be a storm."""


class Backoff:
    """Times the attempts to reconnect within `give_up_after` seconds of the loss.

    Each wait is between half and all of what its turn allows, so that a thousand calls do not come at once.
    """

    def __init__(self, random: Random, *, give_up_after: float) -> None:
        self._random = random
        self._give_up_after = give_up_after
        self._attempts = 0
        self._lost_at: float | None = None
        self._connected_at: float | None = None

    def lost(self, *, now: float) -> float | None:
        """The connection broke, or an attempt failed: return when to try next, or None to give up."""
        if self._lost_at is None or (self._connected_at is not None and now - self._connected_at >= STABLE):
            self._lost_at, self._attempts = now, 0
        self._connected_at = None
        most = min(MOST, FIRST * FACTOR**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        at = now + most * self._random.uniform(0.5, 1.0)
        return at if at + LEAST <= self._lost_at + self._give_up_after else None

    def left(self, *, now: float) -> float:
        """Return how many seconds an attempt may take that begins now."""
        return math.inf if self._lost_at is None else max(LEAST, self._lost_at + self._give_up_after - now)

    def connected(self, *, now: float) -> None:
        """An attempt succeeded."""
        self._connected_at = now
