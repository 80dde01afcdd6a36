"""How much a bot may say in text: it is read by a worker that others need, and told by control to the outside."""

from __future__ import annotations

import math

from sip.admission import Bucket

_EPISODE = 10.0
"""Seconds in which nothing was too much, before it is told anew."""


class TextAllowance:
    """So many characters a second, of texts that are small to what there may be `at_once`; counts the texts beyond."""

    def __init__(self, a_second: int, *, at_once: int) -> None:
        self.refused = 0
        self.is_news = False  # the last that was refused is the first of an episode
        self._bucket = Bucket(float(a_second), at_once)
        self._refused_at = -math.inf

    def take(self, size: int, *, now: float) -> bool:
        """Tell whether a text of so many characters may pass."""
        if self._bucket.take(now=now, count=size):
            return True
        self.refused += 1
        self.is_news = now - self._refused_at > _EPISODE
        self._refused_at = now
        return False
