"""Real time is a grid, not a sleep: lateness never adds up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pacer:
    """Counts the ticks that are due on a fixed grid, and bounds how many are caught up after a stall."""

    interval: float  # seconds
    catch_up_max: int
    skipped: int = 0
    next_timeout: float | None = None

    def due(self, *, now: float) -> tuple[int, int]:
        """Return how many ticks to skip, then how many to run; both 0 when it is too early."""
        if self.next_timeout is None:
            self.next_timeout = now
        if now < self.next_timeout:
            return 0, 0
        ticks = 1 + int((now - self.next_timeout) / self.interval)
        self.next_timeout += ticks * self.interval
        skipped = max(0, ticks - self.catch_up_max)
        self.skipped += skipped
        return skipped, ticks - skipped
