"""How often something may happen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """Lets `at_once` things happen at once, and `per_second` in the long run (a token bucket)."""

    per_second: float
    at_once: int
    _used: float = 0.0
    _at: float = 0.0

    def take(self, *, now: float) -> bool:
        """Whether one more may happen at `now`, in seconds."""
        self._used = max(0.0, self._used - (now - self._at) * self.per_second)
        self._at = now
        if self._used + 1 > self.at_once:
            return False
        self._used += 1
        return True
