"""What the caller says while the bot is away, in virtual time. A message is 20 ms, and holds its number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.replay import SPEED, Replay, Resumption


def message(number: int) -> bytes:
    return number.to_bytes(4) * 80


def numbers(messages: list[bytes]) -> list[int]:
    return [int.from_bytes(each[:4]) for each in messages]


def new_replay(capacity_ms: int = 2000) -> Replay:
    return Replay(20, capacity_ms)


def test_it_is_out_of_the_way_while_the_bot_is_there() -> None:
    replay = new_replay()
    assert not replay.is_active
    assert replay.take(now=9.0) == []


def test_what_was_said_meanwhile_is_heard_afterwards_in_order_and_quickly() -> None:
    replay = new_replay()
    replay.begin()
    for number in range(50):
        replay.put(message(number))
        assert replay.take(now=number * 0.02) == []
    assert replay.resume(now=1.0) == Resumption(gap_ms=1000, replayed_ms=1000)
    heard, live, now = [], 50, 1.0
    while replay.is_active:
        if now >= live * 0.02 - 1e-9:
            replay.put(message(live))
            live += 1
        heard += numbers(replay.take(now=now))
        now += 0.005
    assert heard == list(range(live))
    assert replay.replayed == live
    assert now - 1.0 == pytest.approx(1.0 / (SPEED - 1), abs=0.03)


def test_the_oldest_goes_when_there_is_no_room() -> None:
    replay = new_replay(capacity_ms=100)
    replay.begin()
    for number in range(50):
        replay.put(message(number))
    assert replay.resume(now=1.0) == Resumption(gap_ms=1000, replayed_ms=100)
    assert replay.dropped == 45
    assert numbers(replay.take(now=9.0)) == [45, 46, 47, 48, 49]
    assert not replay.is_active


def test_whole_messages_are_kept_where_the_room_is_not_a_multiple() -> None:
    replay = Replay(message_ms=1000, capacity_ms=1500)
    replay.begin()
    for number in range(3):
        replay.put(message(number))
    assert replay.resume(now=1.0) == Resumption(gap_ms=3000, replayed_ms=2000)


def test_nothing_is_kept_without_room() -> None:
    replay = new_replay(capacity_ms=0)
    replay.begin()
    replay.put(message(1))
    assert replay.resume(now=1.0) == Resumption(20, 0)
    assert not replay.is_active


def test_what_was_on_its_way_is_missed_and_what_was_not_sent_goes_first() -> None:
    replay = new_replay()
    replay.begin(lost=3, unsent=[message(0), message(1)])
    replay.put(message(2))
    assert replay.resume(now=0.0) == Resumption(gap_ms=120, replayed_ms=60)
    assert replay.dropped == 3
    assert numbers(replay.take(now=9.0)) == [0, 1, 2]


def test_a_bot_that_is_lost_again_hears_what_it_had_not_heard() -> None:
    replay = new_replay()
    replay.begin()
    for number in range(10):
        replay.put(message(number))
    replay.resume(now=0.0)
    assert numbers(replay.take(now=0.0)) == [0]
    replay.begin(unsent=[message(0)])
    assert replay.take(now=9.0) == []
    replay.put(message(10))
    assert replay.resume(now=10.0) == Resumption(220, 220)
    assert numbers(replay.take(now=99.0)) == list(range(11))


def test_nothing_is_kept_for_a_bot_that_does_not_come_back() -> None:
    replay = new_replay()
    replay.begin()
    replay.put(message(0))
    replay.give_up()
    assert not replay.is_active
    assert replay.dropped == 1


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
    assert len(heard) == replay.replayed
    assert len(heard) + replay.dropped == put


def test_what_is_kept_in_a_former_format_is_missed() -> None:
    replay = new_replay()
    replay.begin(lost=1)
    for number in range(4):
        replay.put(message(number))
    replay.reform(40)
    assert replay.dropped == 1 + 4
    replay.put(message(9))
    assert replay.resume(now=0.0) == Resumption(gap_ms=160, replayed_ms=40)
    assert numbers(replay.take(now=0.0)) == [9]
