"""How late the media grid is: the measure of how much more a worker can do."""

from __future__ import annotations

from collections import deque

from sidecar.core.histogram import Histogram

WINDOW = 1.0
"""Seconds that count."""

_MOST = 1000  # ticks in a window; there are 200 where none is late


class GridLateness:
    """The ticks of the last second, and by how much each came late."""

    def __init__(self, histogram: Histogram) -> None:
        """Count all of them in `histogram`, in seconds."""
        self._histogram = histogram
        self._ticks: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def note(self, late: float, *, now: float) -> None:
        """A tick came `late` seconds after its time."""
        self._ticks.append((now, late))
        self._histogram.observe(late)

    def read(self, *, now: float) -> tuple[float, float]:
        """Return the 99th percentile and the most, in ms.

        One tick alone, a stall, is not in the percentile, however few there were.
        """
        while self._ticks and self._ticks[0][0] < now - WINDOW:
            self._ticks.popleft()
        if not self._ticks:
            return 0.0, 0.0
        late = sorted(late for _, late in self._ticks)
        left_out = max(1, len(late) // 100)
        p99 = late[-1 - left_out] if left_out < len(late) else 0.0
        return 1000 * p99, 1000 * late[-1]
