"""Whether a bot is still there, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.heart_beat import Beat, HeartBeat


def beats(
    heart: HeartBeat, *, talks_until: float = 0.0, answers: bool = False, until: float = 100.0
) -> list[tuple[float, Beat]]:
    """Let a bot talk for a while, and answer pings in no time, or never; return what was to be done, and when."""
    heard_at, done = 0.0, list[tuple[float, Beat]]()
    while (at := heart.next_timeout()) is not None and at <= until:
        heard_at = max(heard_at, min(at, talks_until))
        beat = heart.check(heard_at, now=at)
        if beat is not Beat.NOTHING:
            done.append((at, beat))
        if beat is Beat.DEAD:
            break
        if beat is Beat.PING and answers:
            heard_at = at
    return done


def test_a_bot_that_says_nothing_is_asked_and_then_given_up() -> None:
    assert beats(HeartBeat(20.0, now=0.0)) == [(20.0, Beat.PING), (40.0, Beat.DEAD)]


def test_a_bot_that_answers_is_asked_again_and_again() -> None:
    """So often that no load balancer takes the connection for idle."""
    found = beats(HeartBeat(20.0, now=0.0), answers=True)
    assert found == [(at, Beat.PING) for at in (20.0, 40.0, 60.0, 80.0, 100.0)]


def test_a_bot_that_talks_is_not_asked() -> None:
    assert beats(HeartBeat(20.0, now=0.0), talks_until=999.0) == []


def test_a_bot_that_falls_silent_is_given_up_after_two_intervals() -> None:
    assert beats(HeartBeat(20.0, now=0.0), talks_until=65.0) == [(85.0, Beat.PING)]
    found = beats(HeartBeat(20.0, now=0.0), talks_until=65.0, until=200.0)
    assert found == [(85.0, Beat.PING), (105.0, Beat.DEAD)]


def test_it_may_be_asked_too_early() -> None:
    heart = HeartBeat(20.0, now=100.0)
    assert heart.check(0.0, now=119.0) is Beat.NOTHING
    assert heart.next_timeout() == 120.0


def test_it_may_be_switched_off() -> None:
    heart = HeartBeat(0.0, now=0.0)
    assert heart.next_timeout() is None
    assert heart.check(0.0, now=99.0) is Beat.NOTHING


@given(st.lists(st.tuples(st.floats(0.1, 50.0), st.booleans()), max_size=40))
def test_only_silence_after_a_ping_is_death(steps: list[tuple[float, bool]]) -> None:
    heart, now, heard_at, asked_at = HeartBeat(20.0, now=0.0), 0.0, 0.0, -1.0
    for seconds, comes in steps:
        now += seconds
        heard_at = now if comes else heard_at
        beat = heart.check(heard_at, now=now)
        if beat is Beat.DEAD:
            assert heard_at < asked_at
            assert now - asked_at >= 20.0 - 1e-6
            return
        if beat is Beat.PING:
            asked_at = now
            assert now - heard_at == pytest.approx(20.0) or now - heard_at > 20.0
