"""The grid of real time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import Pacer


def test_the_first_tick_is_due_at_once_and_the_next_after_the_interval() -> None:
    pacer = Pacer(0.020, catch_up_max=5)
    assert pacer.next_timeout is None
    assert pacer.due(now=3.0) == (0, 1)
    assert pacer.due(now=3.0) == (0, 0)
    assert pacer.due(now=3.019) == (0, 0)
    assert pacer.next_timeout == pytest.approx(3.020)
    assert pacer.due(now=3.0201) == (0, 1)


def test_lateness_never_adds_up() -> None:
    """A driver that is always 7 ms late counts as many ticks in an hour as one that never is."""
    pacer = Pacer(0.020, catch_up_max=5)
    now, ticks = 0.0, 0
    while now < 3600:
        ticks += sum(pacer.due(now=now))
        assert pacer.next_timeout is not None
        now = pacer.next_timeout + 0.007
    assert ticks == 180_000
    assert pacer.skipped == 0


def test_after_a_stall_some_ticks_are_caught_up_and_the_older_are_skipped() -> None:
    pacer = Pacer(0.020, catch_up_max=5)
    pacer.due(now=0.0)
    assert pacer.due(now=0.101) == (0, 5)
    assert pacer.due(now=1.101) == (45, 5)
    assert pacer.skipped == 45
    assert pacer.due(now=1.121) == (0, 1)


@given(st.lists(st.floats(0, 2.0), max_size=50), st.integers(1, 20))
def test_the_ticks_counted_are_those_of_the_grid(steps: list[float], catch_up_max: int) -> None:
    pacer, now, counted, skipped = Pacer(0.005, catch_up_max=catch_up_max), 100.0, 0, 0
    for step in [0.0, *steps]:
        now += step
        skip, run = pacer.due(now=now)
        assert run <= catch_up_max
        assert not skip or run == catch_up_max
        counted += skip + run
        skipped += skip
        assert pacer.next_timeout is not None
        assert now - 1e-9 <= pacer.next_timeout <= now + 0.005 + 1e-9
    assert counted == pytest.approx((now - 100.0) / 0.005 + 1, abs=1.001)
    assert pacer.skipped == skipped
