"""When to try again, in virtual time."""

from __future__ import annotations

import math
from random import Random

import pytest

from sidecar.core.backoff import FIRST, LEAST, MOST, STABLE, Backoff


def attempts(backoff: Backoff, *, now: float = 0.0, lasting: float = 0.0) -> list[float]:
    """Let every attempt fail after `lasting` seconds of connection; return when each was made."""
    times: list[float] = []
    while (at := backoff.lost(now=now)) is not None and len(times) < 1000:
        assert at > now
        times.append(at)
        now = at
        if lasting:
            backoff.connected(now=now)
            now += lasting
    return times


@pytest.mark.parametrize("seed", range(20))
def test_attempts_are_further_and_further_apart_and_end(seed: int) -> None:
    times = attempts(Backoff(Random(seed), give_up_after=30.0))
    waits = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert FIRST / 2 <= waits[0] <= FIRST
    assert all(wait <= MOST for wait in waits)
    assert 6 <= len(times) <= 20
    assert 30.0 - LEAST - MOST < times[-1] <= 30.0 - LEAST


def test_calls_that_lose_their_bot_together_do_not_come_back_together() -> None:
    firsts = {attempts(Backoff(Random(seed), give_up_after=5.0))[0] for seed in range(100)}
    assert len(firsts) == 100
    assert max(firsts) - min(firsts) > FIRST / 3


def test_no_time_means_no_attempt() -> None:
    assert attempts(Backoff(Random(1), give_up_after=0.0)) == []


def test_a_bot_that_is_lost_again_at_once_is_no_new_beginning() -> None:
    times = attempts(Backoff(Random(1), give_up_after=30.0), lasting=STABLE / 10)
    assert times[-1] <= 30.0
    assert len(times) < 20


def test_a_connection_that_lasted_is_a_new_beginning() -> None:
    backoff = Backoff(Random(1), give_up_after=3.0)
    assert attempts(backoff)
    backoff.connected(now=3.0)
    at = backoff.lost(now=3.0 + STABLE)
    assert at is not None
    assert at - (3.0 + STABLE) <= FIRST
    assert len(attempts(Backoff(Random(1), give_up_after=3.0), lasting=STABLE + 0.1)) == 1000


def test_an_attempt_may_take_what_is_left_of_the_time() -> None:
    backoff = Backoff(Random(1), give_up_after=3.0)
    assert backoff.left(now=1.0) == math.inf, "nothing is lost"
    at = backoff.lost(now=10.0)
    assert at is not None
    assert backoff.left(now=at) == pytest.approx(13.0 - at)
    assert backoff.left(now=13.1) == LEAST, "it was begun late"
