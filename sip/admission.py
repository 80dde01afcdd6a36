from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_SOURCES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Admission:
    """How much is let in; 0 means without limit."""

    invites_per_second: float = 0.0  # new calls of all sources; more get 503 and Retry-After
    requests_per_second: float = 0.0  # of each source address; more are dropped
    burst_seconds: float = 2.0  # what was not used is saved up for this long


class Bucket:
    """Lets through a number of things a second, and what was saved up. The classic token bucket."""

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most, self._left, self._at = rate, most, most, 0.0

    def take(self, *, now: float) -> bool:
        """Tell whether one more may pass."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Gate:
    """Holds those who come to an `Admission`; the sources that were seen last are remembered."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._invites: Bucket | None = None
        self._sources: OrderedDict[str, Bucket] = OrderedDict()
        self.forgotten = 0  # sources

    def admits_source(self, host: str, *, now: float) -> bool:
        """Tell whether one more request of this host is looked at."""
        rate = self._admission.requests_per_second
        if not rate:
            return True
        bucket = self._sources.get(host)
        if bucket is None:
            bucket = self._sources[host] = self._new_bucket(rate)
            if len(self._sources) > _SOURCES_MAX:
                self._sources.popitem(last=False)
                self.forgotten += 1
        self._sources.move_to_end(host)
        return bucket.take(now=now)

    def admits_invite(self, *, now: float) -> bool:
        """Tell whether one more call may come in."""
        rate = self._admission.invites_per_second
        if not rate:
            return True
        if self._invites is None:
            self._invites = self._new_bucket(rate)
        return self._invites.take(now=now)

    def _new_bucket(self, rate: float) -> Bucket:
        return Bucket(rate, max(1.0, rate * self._admission.burst_seconds))
