"""What follows when a connection to a bot ends, in virtual time."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.bot_connection import Closed, Failed
from sidecar.core.bot_life import BotLife
from sidecar.core.errors import ErrorCode
from sidecar.core.options import MixMode, Profile, StreamOptions, resolve_options

CUT = Failed(ErrorCode.IO, "connection lost")
REFUSED = Failed(ErrorCode.CONNECT_FAILED, "Connection refused")
FORBIDDEN = Failed(ErrorCode.CONNECT_FAILED, "no address that is allowed", forbidden=True)
FIRST, SECOND = "ws://first.example/", "ws://second.example/"


def life(seed: int = 1, /, **given: str) -> BotLife:
    return BotLife(resolve_options({}, [Profile({"url": FIRST, **given})])[0], Random(seed))


def reached(**given: str) -> BotLife:
    one = life(**given)
    one.connected(now=0.0)
    return one


def attempts(one: BotLife, end: Failed | Closed, *, now: float) -> list[float]:
    """Let every attempt fail as soon as it is made; return when they were made."""
    made = []
    while one.ended(end, now=now):
        assert one.retry_at is not None
        now = one.retry_at
        assert not one.is_due(now=now - 0.001)
        assert one.is_due(now=now)
        assert not one.is_due(now=now), "an attempt is made once"
        made.append(now)
    return made


def test_a_bot_that_breaks_off_is_tried_until_the_time_is_up() -> None:
    made = attempts(reached(reconnect_max="30"), CUT, now=100.0)
    assert made[0] <= 100.25
    assert made[-1] <= 130.0
    waits = [after - before for before, after in pairwise(made)]
    assert max(waits) <= 5.0
    assert 8 <= len(made) <= 20


def test_a_thousand_bots_do_not_come_back_at_once() -> None:
    firsts = []
    for seed in range(1000):
        one = life(seed)
        one.connected(now=0.0)
        one.ended(CUT, now=1.0)
        firsts.append(one.retry_at)
    assert len(set(firsts)) > 990


def test_a_bot_that_was_never_reached_is_not_tried_again() -> None:
    one = life()
    assert not one.ended(REFUSED, now=0.0)
    assert not one.was_reached


@pytest.mark.parametrize("end", [Closed(1000, ""), Closed(1005, ""), Closed(4000, "go"), Closed(1008, "")])
@pytest.mark.parametrize("on_bot_lost", ["hangup", f"fallback:{SECOND}"])
def test_a_bot_that_has_said_goodbye_is_not_called_again_nor_another(end: Closed, on_bot_lost: str) -> None:
    assert not reached(on_bot_lost=on_bot_lost).ended(end, now=1.0)


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013])
def test_a_bot_that_closes_for_now_is_called_again(code: int) -> None:
    assert reached().ended(Closed(code, ""), now=1.0)


@pytest.mark.parametrize("given", [{"no_reconnect": "true"}, {"reconnect_max": "0"}])
def test_reconnecting_may_be_switched_off(given: dict[str, str]) -> None:
    assert not reached(**given).ended(CUT, now=1.0)


def test_an_address_that_is_not_allowed_is_not_tried_again() -> None:
    assert not reached().ended(FORBIDDEN, now=1.0)


def test_the_fallback_is_called_at_once_when_the_bot_is_gone_for_good_and_is_tried_once() -> None:
    one = reached(on_bot_lost=f"fallback:{SECOND}", no_reconnect="true")
    assert one.ended(CUT, now=1.0)
    assert one.retry_at == 1.0
    assert one.options.url == SECOND
    assert not one.ended(REFUSED, now=1.0)


def test_a_fallback_that_was_reached_is_called_again_too() -> None:
    one = reached(on_bot_lost=f"fallback:{SECOND}")
    made = attempts(one, CUT, now=0.0)
    assert one.options.url == SECOND
    assert made[-1] <= 30.0
    one.connected(now=40.0)
    assert attempts(one, CUT, now=50.0)[-1] > 70.0


def test_the_fallback_takes_over_from_a_bot_that_cannot_be_reached_at_first() -> None:
    one = life(on_bot_lost=f"fallback:{SECOND}")
    assert one.ended(REFUSED, now=0.0)
    assert one.options.url == SECOND


def test_a_first_bot_that_must_not_be_called_has_no_fallback() -> None:
    assert not life(on_bot_lost=f"fallback:{SECOND}").ended(FORBIDDEN, now=0.0)


@given(st.lists(st.sampled_from([CUT, REFUSED, Closed(1012, ""), None]), max_size=200), st.integers(0, 60))
def test_whatever_happens_there_is_no_storm_and_an_end(ends: list[Failed | Closed | None], most: int) -> None:
    """Between two attempts at one bot there are at least 125 ms."""
    one, now, last = reached(reconnect_max=str(most), on_bot_lost=f"fallback:{SECOND}"), 0.0, -1.0
    for end in ends:
        if end is None:
            one.connected(now=now)
            continue
        url = one.options.url
        if not one.ended(end, now=now):
            break
        assert one.retry_at is not None
        assert one.retry_at - now >= 0.125 or one.options.url != url
        assert one.retry_at >= last
        now = last = one.retry_at


def test_a_bot_that_is_called_in_place_of_another_is_tried_though_nobody_has_reached_it() -> None:
    one = reached()
    one.redirect(StreamOptions(SECOND))
    assert one.options.url == SECOND
    made = attempts(one, REFUSED, now=100.0)
    assert len(made) >= 8
    assert one.is_over


def test_whatever_bot_there_is_hears_another_format() -> None:
    one = reached(on_bot_lost=f"fallback:{SECOND}", no_reconnect="true", rate="16k")
    assert one.ended(CUT, now=1.0)
    one.reform(MixMode.STEREO, 8000, 40)
    options = one.options
    assert (options.url, options.mix, options.rate, options.buffer_size) == (SECOND, MixMode.STEREO, 8000, 40)
    assert options.playback_rate == 16000


def test_no_attempt_may_take_longer_than_what_is_left_of_the_time() -> None:
    one = reached(reconnect_max="3")
    now = 100.0
    while one.ended(CUT, now=now):
        assert one.retry_at is not None
        left = one.seconds_left(now=one.retry_at)
        assert 0.0 <= left <= 3.0
        now = one.retry_at + min(5.0, left)
    assert now == pytest.approx(103.0, abs=1e-6)
    assert life().seconds_left(now=0.0) == math.inf
