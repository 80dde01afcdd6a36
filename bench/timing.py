"""What a step of the media plane costs."""

from __future__ import annotations

import time
from collections.abc import Callable

RUNS = 7


def microseconds(step: Callable[[], object], *, rows: int, frames: int = 1000, runs: int = RUNS) -> float:
    """Return the processor time of one frame of one row, of a `step` that takes a frame of each: the best of some runs.

    A run has about as many `frames`.
    """
    times = max(5, frames // rows)
    best = float("inf")
    for _ in range(runs):
        start = time.process_time()
        for _ in range(times):
            step()
        best = min(best, time.process_time() - start)
    return best / times / rows * 1e6
