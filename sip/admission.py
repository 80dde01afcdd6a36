from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_NAMES_MAX = 10_000


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

    def take(self, *, now: float, count: float = 1) -> bool:
        """Tell whether one more may pass, or `count` at once."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < count:
            return False
        self._left -= count
        return True


class Buckets:
    """A bucket for each name; those that were seen last are remembered."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self.forgotten = 0  # names

    def take(self, name: str, *, now: float) -> bool:
        """Tell whether one more of that name may pass."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(self._rate, self._most)
            if len(self._buckets) > _NAMES_MAX:
                self._buckets.popitem(last=False)
                self.forgotten += 1
        self._buckets.move_to_end(name)
        return bucket.take(now=now)


class Gate:
    """Holds those who come to an `Admission`."""

    def __init__(self, admission: Admission) -> None:
        invites, requests, saved = admission.invites_per_second, admission.requests_per_second, admission.burst_seconds
        self._invites = Bucket(invites, max(1.0, invites * saved)) if invites else None
        self._sources = Buckets(requests, max(1.0, requests * saved)) if requests else None

    def admits_source(self, host: str, *, now: float) -> bool:
        """Tell whether one more request of this host is looked at."""
        return self._sources is None or self._sources.take(host, now=now)

    @property
    def forgotten(self) -> int:
        """How many sources were forgotten, as there were too many."""
        return 0 if self._sources is None else self._sources.forgotten

    def admits_invite(self, *, now: float) -> bool:
        """Tell whether one more call may come in."""
        return self._invites is None or self._invites.take(now=now)
