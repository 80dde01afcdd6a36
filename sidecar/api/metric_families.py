"""Families of samples, made when Prometheus asks: counting costs nothing beside what is counted anyway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from sidecar.core.histogram import Histogram

Samples = Iterable[tuple[tuple[str, ...], float]]
"""The values of the labels, and the figure. These values are words of ours or of the operator, never a peer's."""


def gauge(name: str, text: str, samples: Samples, *labels: str) -> Metric:
    """Return what rises and falls."""
    return _filled(GaugeMetricFamily(f"sidecar_{name}", text, labels=labels), samples)


def counter(name: str, text: str, samples: Samples, *labels: str) -> Metric:
    """Return what only grows; `_total` is added to its name."""
    return _filled(CounterMetricFamily(f"sidecar_{name}", text, labels=labels), samples)


def histogram(name: str, text: str, observed: Histogram) -> Metric:
    """Return how often a figure was how large."""
    buckets, so_far = list[tuple[str, float]](), 0
    for bound, count in zip((*map(str, observed.bounds), "+Inf"), observed.counts, strict=True):
        so_far += count
        buckets.append((bound, so_far))
    family = HistogramMetricFamily(f"sidecar_{name}", text)
    family.add_metric((), buckets, observed.total)
    return family


def one(value: float) -> Samples:
    """Return a figure without labels."""
    return [((), value)]


def each(counts: Mapping[str, float] | Mapping[int, float]) -> Samples:
    """Return figures by the value of their label."""
    return [((str(label),), count) for label, count in counts.items()]


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
