"""What media workers count: each says what has been added since it said so last, control adds it up.

So a worker that dies takes nothing away, and the next one begins at nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.core.histogram import Histogram

HISTOGRAMS: Mapping[str, tuple[float, ...]] = {
    "grid_late_seconds": (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0),
    "rtp_batch_datagrams": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    "bot_connect_seconds": (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    "bot_round_trip_seconds": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "bot_response_seconds": (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
}
"""Those of workers, and their bounds."""

Counts = Mapping[str, Mapping[str, float]]
"""By metric, then by the value of its one label; empty: it has none. Both are words of ours, never a peer's."""


class Observed(msgspec.Struct, frozen=True):
    """What has been added to a `Histogram`."""

    counts: list[int]
    total: float


class WorkerCounted(msgspec.Struct, frozen=True, tag=True):
    """What has been added to the counts of a worker; of what rises and falls, how high it is."""

    counts: dict[str, dict[str, float]] = {}
    histograms: dict[str, Observed] = {}
    levels: dict[str, float] = {}


class CountsTold:
    """The side of a worker: knows what has been told."""

    def __init__(self) -> None:
        self.histograms = {name: Histogram(bounds) for name, bounds in HISTOGRAMS.items()}
        self._counts: dict[tuple[str, str], float] = {}
        self._observed = {name: (list(each.counts), each.total) for name, each in self.histograms.items()}

    def tell(self, counts: Counts, levels: Mapping[str, float]) -> WorkerCounted:
        """Return what is news, now that the counts are these."""
        return WorkerCounted(self._growth(counts), self._observations(), dict(levels))

    def _growth(self, counts: Counts) -> dict[str, dict[str, float]]:
        growth: dict[str, dict[str, float]] = {}
        for metric, by_label in counts.items():
            for label, count in by_label.items():
                more = count - self._counts.get((metric, label), 0)
                if more > 0:
                    self._counts[metric, label] = count
                    growth.setdefault(metric, {})[label] = more
        return growth

    def _observations(self) -> dict[str, Observed]:
        news: dict[str, Observed] = {}
        for name, histogram in self.histograms.items():
            counts, total = self._observed[name]
            if histogram.counts != counts:
                more = [now - before for now, before in zip(histogram.counts, counts, strict=True)]
                news[name] = Observed(more, histogram.total - total)
                self._observed[name] = list(histogram.counts), histogram.total
        return news


class WorkerTotals:
    """The side of control: all workers that there have been, together."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, float]] = {}
        self.histograms = {name: Histogram(bounds) for name, bounds in HISTOGRAMS.items()}
        self._levels: dict[int, dict[str, float]] = {}  # by worker

    def add(self, worker: int, counted: WorkerCounted) -> None:
        """Take what a worker says."""
        for metric, by_label in counted.counts.items():
            totals = self.counts.setdefault(metric, {})
            for label, more in by_label.items():
                totals[label] = totals.get(label, 0) + more
        for name, observed in counted.histograms.items():
            self.histograms[name].add(observed.counts, observed.total)
        self._levels[worker] = counted.levels

    def lost(self, worker: int) -> None:
        """A worker is no more, and what waited in it neither; what it has counted stays."""
        self._levels.pop(worker, None)

    def level(self, name: str) -> float:
        """Return how high something is, in all workers together."""
        return sum(levels.get(name, 0) for levels in self._levels.values())
