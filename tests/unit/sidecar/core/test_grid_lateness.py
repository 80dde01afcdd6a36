"""How late the media grid was in the last second."""

from __future__ import annotations

import pytest

from sidecar.core.grid_lateness import GridLateness
from sidecar.core.histogram import Histogram


def grid_lateness() -> GridLateness:
    return GridLateness(Histogram([0.01]))


def test_who_has_nothing_to_do_is_not_late() -> None:
    assert grid_lateness().read(now=5.0) == (0.0, 0.0)


def test_one_stall_is_no_lateness_but_the_most_tells_of_it() -> None:
    lateness = grid_lateness()
    lateness.note(0.070, now=1.0)
    assert lateness.read(now=1.0) == (0.0, 70.0)
    for tick in range(50):
        lateness.note(0.001, now=1.0 + tick / 200)
    assert list(lateness.read(now=1.5)) == pytest.approx([1.0, 70.0])


def test_the_percentile_is_that_of_the_last_second() -> None:
    lateness = grid_lateness()
    for tick in range(200):
        lateness.note(tick / 1000, now=tick / 200)
    assert list(lateness.read(now=1.0)) == pytest.approx([197.0, 199.0])
    for tick in range(200):
        lateness.note(0.002, now=1.1 + tick / 200)
    assert list(lateness.read(now=2.2)) == pytest.approx([2.0, 2.0])


def test_a_grid_that_catches_up_for_ever_does_not_fill_the_memory() -> None:
    lateness = grid_lateness()
    for _ in range(10_000):
        lateness.note(0.030, now=1.0)
    assert len(lateness._ticks) == 1000
    assert list(lateness.read(now=1.0)) == pytest.approx([30.0, 30.0])
