"""What the caller says while the bot is away, in virtual time. A message is 20 ms, and holds its number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.replay import SPEED, Replay, Resumption

BYTES_PER_MS = 16


def message(number: int) -> bytes:
    return number.to_bytes(4) * (20 * BYTES_PER_MS // 4)


def numbers(messages: list[bytes]) -> list[int]:
    return [int.from_bytes(each[:4]) for each in messages]


def new_replay(capacity_ms: int = 2000) -> Replay:
    return Replay(BYTES_PER_MS, capacity_ms)


def test_it_is_out_of_the_way_while_the_bot_is_there() -> None:
    replay = new_replay()
    assert not replay.is_active
    assert replay.take(now=9.0) == []
    assert replay.next_timeout() is None


def test_what_was_said_meanwhile_is_heard_afterwards_in_order_and_quickly() -> None:
    replay = new_replay()
    replay.begin()
    for number in range(50):
        replay.put(message(number))
        assert replay.take(now=number * 0.02) == []
        assert replay.next_timeout() is None
    assert replay.resume(now=1.0) == Resumption(gap_ms=1000, replayed_ms=1000)
    heard, live, now = [], 50, 1.0
    while replay.is_active:
        if now >= live * 0.02 - 1e-9:
            replay.put(message(live))
            live += 1
        heard += numbers(replay.take(now=now))
        now += 0.005
    assert heard == list(range(live))
    assert now - 1.0 == pytest.approx(1.0 / (SPEED - 1), abs=0.03)


def test_the_oldest_goes_when_there_is_no_room() -> None:
    replay = new_replay(capacity_ms=100)
    replay.begin()
    for number in range(50):
        replay.put(message(number))
    assert replay.resume(now=1.0) == Resumption(gap_ms=1000, replayed_ms=100)
    assert replay.dropped_ms == 900
    assert replay.next_timeout() == 1.0
    assert numbers(replay.take(now=9.0)) == [45, 46, 47, 48, 49]
    assert not replay.is_active


def test_nothing_is_kept_without_room() -> None:
    replay = new_replay(capacity_ms=0)
    replay.begin()
    replay.put(message(1))
    assert replay.resume(now=1.0) == Resumption(20, 0)
    assert not replay.is_active


def test_a_bot_that_is_lost_again_hears_what_it_had_not_heard() -> None:
    replay = new_replay()
    replay.begin()
    for number in range(10):
        replay.put(message(number))
    replay.resume(now=0.0)
    assert numbers(replay.take(now=0.0)) == [0]
    replay.begin()
    assert replay.take(now=9.0) == []
    replay.put(message(10))
    assert replay.resume(now=10.0) == Resumption(200, 200)
    assert numbers(replay.take(now=99.0)) == list(range(1, 11))


@given(st.lists(st.sampled_from(["put", "take", "begin", "resume"]), max_size=80), st.integers(0, 10))
def test_what_comes_out_is_in_order_and_what_does_not_is_counted(steps: list[str], capacity: int) -> None:
    replay, now, put, away = new_replay(capacity * 20), 0.0, 0, False
    heard: list[int] = []
    for step in steps:
        now += 0.01
        if step == "put":
            replay.put(message(put))
            put += 1
        elif step == "begin":
            replay.begin()
            away = True
        elif step == "resume" and away:
            away = False
            resumption = replay.resume(now=now)
            assert resumption.replayed_ms <= min(resumption.gap_ms, capacity * 20)
        else:
            heard += numbers(replay.take(now=now))
    replay.resume(now=now)
    heard += numbers(replay.take(now=now + 99.0))
    assert heard == sorted(set(heard))
    assert len(heard) * 20 + replay.dropped_ms == put * 20
