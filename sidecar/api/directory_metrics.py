"""What is counted of the directory of many sidecars, for Prometheus; without one there are no figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sidecar.api.metric_families import counter, each, gauge, one

if TYPE_CHECKING:
    from sidecar.api.forwarding import Forwarding
    from sidecar.io.redis_directory import RedisDirectory


class DirectoryMetrics(Collector):
    """Of the directory, and of what is passed on to other sidecars."""

    def __init__(self, directory: RedisDirectory | None, forwarding: Forwarding | None) -> None:
        self._directory = directory
        self._forwarding = forwarding

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        there, passed = self._directory, self._forwarding
        seen = there and there.counters
        yield gauge("directory_up", "Whether the directory answers", one(there.is_up) if there else ())
        yield gauge(
            "directory_events_waiting", "Events that others have yet to be told", one(there.waiting) if there else ()
        )
        outcomes = {"shared": seen.shared, "unshared": seen.unshared, "heard": seen.heard} if seen else {}
        yield counter(
            "directory_events", "Events that others could hear, or not, or that we heard", each(outcomes), "outcome"
        )
        yield counter(
            "directory_malformed", "Records and events that could not be read", one(seen.malformed) if seen else ()
        )
        yield counter("directory_lost", "Times that the directory did not answer", one(seen.lost) if seen else ())
        yield counter("directory_swept", "Dead sidecars that were cleared up", one(seen.swept) if seen else ())
        answers = {"answered": passed.forwarded, "failed": passed.failed} if passed else {}
        yield counter("forwarded", "Requests that were passed on to another sidecar", each(answers), "outcome")
