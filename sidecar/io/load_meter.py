"""How a media worker does: how late its grid is, how much of its time it works, how many tasks it has."""

from __future__ import annotations

import asyncio
import time

from sidecar.core.grid_lateness import GridLateness
from sidecar.core.link import WorkerLoad


class LoadMeter:
    """Reads what is told to control again and again."""

    def __init__(self, lateness: GridLateness, *, now: float) -> None:
        self._lateness = lateness
        self._at, self._worked = now, time.process_time()

    def read(self, streams: int, *, now: float) -> WorkerLoad:
        """Return how the worker has done since the last time; so many streams it has."""
        p99, most = self._lateness.read(now=now)
        worked = time.process_time()
        busy = (worked - self._worked) / (now - self._at)
        self._at, self._worked = now, worked
        return WorkerLoad(streams, p99, most, busy, len(asyncio.all_tasks()))
