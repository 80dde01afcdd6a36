"""Streams that are attached to a live call: whose voice the bot hears, and who hears the bot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtp import Codec, Pcm
from sidecar.core.attached_streams import WAIT_TURNS
from sidecar.core.options import EventKind, Inject, MixMode, StreamOptions, Track
from tests.support.attached_call import AttachedCall

CALLER, CALLEE, BOT = 1000, 200, 5000
TWO: dict[str, Any] = {"id": "pair", "track": Track.CALLER}


def level(value: int, samples: int = 160) -> Pcm:
    return np.full(samples, value, np.int16)


def with_both(mix: MixMode, **options: Any) -> tuple[AttachedCall, int]:
    """Return a stream of two legs that have media, and the row of the second, which carries the callee."""
    call = AttachedCall(mix=mix, **{**TWO, **options})
    callee = call.join(Track.CALLEE)
    for row in (call.row, callee):
        call.bridge.start(row)
    return call, callee


@pytest.mark.parametrize(
    ("mix", "channels"),
    [
        (MixMode.MONO, [CALLER]),
        (MixMode.CALLEE, [CALLEE]),
        (MixMode.MIXED, [CALLER + CALLEE]),
        (MixMode.STEREO, [CALLER, CALLEE]),
    ],
)
def test_each_voice_is_heard_where_the_mix_has_it(mix: MixMode, channels: list[int]) -> None:
    call, callee = with_both(mix)
    call.say(level(BOT, 8000))
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 30)
    heard = call.heard_by_bot(channels=len(channels))
    for channel, value in zip(heard, channels, strict=True):
        assert (channel[-10 * 160 :] == value).all()
        assert set(channel.tolist()) <= {0, value, CALLER, CALLEE}, "and never the bot"
    assert 28 * 160 <= heard.shape[1] <= 31 * 160


@pytest.mark.parametrize(
    ("first", "track_is_given"), [(Track.CALLER, True), (Track.CALLEE, True), (Track.CALLER, False)]
)
def test_the_legs_may_come_in_any_order(first: Track, track_is_given: bool) -> None:
    second = Track.CALLEE if first is Track.CALLER else Track.CALLER
    call = AttachedCall(mix=MixMode.STEREO, id="pair", track=first if track_is_given else None)
    call.bridge.start(call.row)
    values = {Track.CALLER: CALLER, Track.CALLEE: CALLEE}
    call.talk({call.row: level(values[first])}, 20)
    joined = call.join(second)
    call.bridge.start(joined)
    call.talk({call.row: level(values[first]), joined: level(values[second])}, 30)
    left, right = call.heard_by_bot(channels=2)
    assert (left[-5 * 160 :] == CALLER).all()
    assert (right[-5 * 160 :] == CALLEE).all()
    if track_is_given:
        waiting = right if first is Track.CALLER else left
        assert not waiting[: 15 * 160].any(), "until it comes, its voice is silence"


def test_without_a_track_the_callee_is_the_bot_until_a_leg_carries_that_voice() -> None:
    call = AttachedCall(mix=MixMode.STEREO, id="named")
    call.bridge.start(call.row)
    call.say(level(BOT, 800))
    call.talk({call.row: level(CALLER)}, 20)
    assert BOT in call.heard_by_bot(channels=2)[1]


@pytest.mark.parametrize("buffer_size", [20, 100])
def test_a_message_that_has_begun_is_gone_on_with_when_a_leg_joins(buffer_size: int) -> None:
    call = AttachedCall(mix=MixMode.MONO, id="pair", buffer_size=buffer_size)
    call.bridge.start(call.row)
    call.talk({call.row: level(CALLER)}, 3)
    callee = call.join(Track.CALLEE)
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 7)
    assert (call.heard_by_bot() == CALLER).all()
    assert call.heard_by_bot().shape == (1, 1600)
    assert {len(message) for message in call.heard[call.row]} == {16 * buffer_size}


@pytest.mark.parametrize("track", Track)
@pytest.mark.parametrize("mix", [MixMode.MONO, MixMode.CALLEE])
def test_one_leg_alone_is_heard_if_it_carries_what_the_mix_wants(track: Track, mix: MixMode) -> None:
    call = AttachedCall(mix=mix, track=track)
    call.bridge.start(call.row)
    call.talk({call.row: level(CALLER)}, 20)
    heard = call.heard_by_bot()[0]
    wanted = mix is MixMode.MONO or track is Track.CALLEE
    assert (heard == (CALLER if wanted else 0)).all()
    assert len(heard) == 20 * 160, "silence is heard too"


@pytest.mark.parametrize(
    ("inject", "by_caller_leg", "by_callee_leg"),
    [
        (Inject.CALLER, False, True),
        (Inject.CALLEE, True, False),
        (Inject.BOTH, True, True),
        (Inject.NONE, False, False),
    ],
)
def test_the_bot_is_played_to_the_leg_that_its_listener_hears(
    inject: Inject, by_caller_leg: bool, by_callee_leg: bool
) -> None:
    call, callee = with_both(MixMode.STEREO, inject=inject)
    call.say(level(BOT, 800))
    call.talk({}, 20)
    for row, expected in ((call.row, by_caller_leg), (callee, by_callee_leg)):
        sent = np.concatenate(call.sent[row])
        assert len(call.sent[row]) == 20, "a packet every 20 ms, whoever speaks"
        assert np.count_nonzero(sent == BOT) == (800 if expected else 0)
        assert set(sent.tolist()) <= {0, BOT}


@pytest.mark.parametrize("track", Track)
def test_a_single_leg_is_played_to_whoever_it_was_set_up_for(track: Track) -> None:
    call = AttachedCall(mix=MixMode.STEREO, track=track)
    call.bridge.start(call.row)
    call.say(level(BOT, 800))
    call.talk({}, 10)
    assert np.count_nonzero(np.concatenate(call.sent[call.row]) == BOT) == 800


def test_the_bot_waits_for_the_leg_that_is_to_carry_it() -> None:
    call = AttachedCall(mix=MixMode.STEREO, **TWO)
    call.bridge.start(call.row)
    call.say(level(BOT, 1600))
    call.talk({}, 20)
    assert not np.concatenate(call.sent[call.row]).any()
    callee = call.join(Track.CALLEE)
    call.bridge.start(callee)
    call.talk({}, 20)
    assert np.count_nonzero(np.concatenate(call.sent[callee]) == BOT) == 1600
    assert not np.concatenate(call.sent[call.row]).any()


def test_the_bot_does_not_wait_for_ever() -> None:
    call = AttachedCall(mix=MixMode.MONO, **TWO)
    call.bridge.start(call.row)
    call.say(level(BOT, 1600))
    call.talk({}, WAIT_TURNS + 20)
    silent = [not frame.any() for frame in call.sent[call.row]]
    assert silent.index(False) == WAIT_TURNS
    assert np.count_nonzero(np.concatenate(call.sent[call.row]) == BOT) == 1600


def test_of_a_mixture_no_second_leg_is_awaited() -> None:
    call = AttachedCall(mix=MixMode.MIXED, **TWO)
    call.bridge.start(call.row)
    call.say(level(BOT, 800))
    call.talk({call.row: level(CALLER)}, 10)
    assert np.count_nonzero(np.concatenate(call.sent[call.row]) == BOT) == 800


def test_a_mixture_that_comes_over_one_leg_is_not_held_back() -> None:
    call = AttachedCall(mix=MixMode.MIXED, **TWO)
    call.bridge.start(call.row)
    call.speak(call.row, level(CALLER))
    assert (call.heard_by_bot() == CALLER).all()
    assert call.heard_by_bot().shape == (1, 160)


def test_a_leg_that_goes_leaves_silence_and_nobody_else_hears_the_bot() -> None:
    call, callee = with_both(MixMode.STEREO)
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 20)
    call.bridge.leave(callee)
    call.plane.close(callee)
    sent, before = len(call.sent[callee]), call.heard_by_bot(channels=2).shape[1]
    call.say(level(BOT, 800))
    call.talk({call.row: level(CALLER)}, 20)
    left, right = call.heard_by_bot(channels=2)[:, before:]
    assert (left == CALLER).all()
    assert not right.any()
    assert len(call.sent[callee]) == sent
    assert not np.concatenate(call.sent[call.row]).any(), "the caller's leg reaches the callee"


def test_the_stream_outlives_the_leg_it_began_with() -> None:
    call, callee = with_both(MixMode.STEREO, inject=Inject.CALLER)
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 20)
    call.bridge.leave(call.row)
    sent, before = len(call.sent[call.row]), call.heard_by_bot(channels=2).shape[1]
    call.say(level(BOT, 800))
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 20)
    left, right = call.heard_by_bot(channels=2)[:, before:]
    assert not left.any()
    assert (right == CALLEE).all()
    assert len(call.sent[call.row]) == sent
    assert np.count_nonzero(np.concatenate(call.sent[callee]) == BOT) == 800


def test_of_a_mono_stream_the_callee_is_not_heard_once_the_caller_has_gone() -> None:
    call, callee = with_both(MixMode.MONO)
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 5)
    call.bridge.leave(call.row)
    call.heard.clear()
    call.talk({callee: level(CALLEE)}, 5)
    assert not call.heard_by_bot().any()
    assert call.heard_by_bot().shape == (1, 800)


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_legs_may_have_different_codecs_and_change_them(rate: int) -> None:
    call = AttachedCall(mix=MixMode.STEREO, rate=rate, inject=Inject.BOTH, **TWO)
    callee = call.join(Track.CALLEE, codec=Codec.L16_16K)
    for row in (call.row, callee):
        call.bridge.start(row)
    call.say(level(BOT, rate))
    call.talk({call.row: level(CALLER), callee: level(CALLEE, 320)}, 30)
    call.change(call.row, Codec.L16_16K)
    call.change(callee, Codec.L16_8K)
    call.change(callee, Codec.L16_8K)
    call.talk({call.row: level(CALLER, 320), callee: level(CALLEE)}, 30)
    left, right = call.heard_by_bot(channels=2)
    for channel, value in ((left, CALLER), (right, CALLEE)):
        for end in (29, 59):
            part = channel[(end - 5) * rate // 50 : end * rate // 50].astype(int)
            assert np.abs(part - value).max() <= 2
    for row in (call.row, callee):
        assert np.abs(np.concatenate(call.sent[row][20:28]).astype(int) - BOT).max() <= 10
    assert {len(frame) for frame in call.sent[callee][:30]} == {320}
    assert {len(frame) for frame in call.sent[callee][31:]} == {160}


def test_legs_that_do_not_listen_are_sent_nothing_and_each_begins_in_its_own_time() -> None:
    call = AttachedCall(mix=MixMode.STEREO, inject=Inject.BOTH, **TWO)
    callee = call.join(Track.CALLEE)
    call.bridge.start(callee)
    call.talk({}, 10)
    assert (len(call.sent[call.row]), len(call.sent[callee])) == (0, 10)
    call.bridge.start(call.row)
    call.bridge.start(callee, sends=False)
    call.talk({}, 10)
    assert (len(call.sent[call.row]), len(call.sent[callee])) == (10, 10)


def test_after_a_stall_time_has_passed_for_both_legs() -> None:
    call, callee = with_both(MixMode.STEREO, inject=Inject.BOTH)
    call.run(until=call.now + 0.1)
    stamps = {row: call.plane.sending.sent(row).timestamp for row in (call.row, callee)}
    call.now += 1.0
    call.run(until=call.now + 0.1)
    for row, stamp in stamps.items():
        assert (call.plane.sending.sent(row).timestamp - stamp) % (1 << 32) == 160 * 55


def test_it_is_told_when_all_has_been_played() -> None:
    call, _ = with_both(MixMode.STEREO)
    call.say(level(BOT, 800))
    call.bridge.drain(call.row, now=call.now)
    call.talk({}, 4)
    assert call.bridge.take_drained() == []
    call.talk({}, 5)
    assert call.bridge.take_drained() == [call.row]


def test_a_stream_that_is_closed_leaves_nothing() -> None:
    call, callee = with_both(MixMode.STEREO)
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 10)
    assert call.bridge.missed_frames(call.row) == 0
    call.bridge.leave(callee)
    call.plane.close(callee)
    call.bridge.close(call.row)
    call.plane.close(call.row)
    call.heard.clear()
    call.run(until=call.now + 0.1)
    assert not call.heard
    assert call.bridge.missed_frames(call.row) == 0


def test_plain_calls_beside_a_stream_of_two_legs_are_what_they_were() -> None:
    call = AttachedCall(mix=MixMode.STEREO, calls_before=1, **TWO)
    call.bridge.open(0, StreamOptions(url="ws://bot.example"), playout_seconds=1.0)
    callee = call.join(Track.CALLEE)
    for row in (0, call.row, callee):
        call.bridge.start(row)
    call.talk({call.row: level(CALLER), callee: level(CALLEE)}, 10)
    assert [len(call.sent[row]) for row in (0, call.row, callee)] == [10, 10, 10]


@pytest.mark.parametrize("first", Track)
def test_it_is_the_callers_speech_that_counts(first: Track) -> None:
    second = Track.CALLEE if first is Track.CALLER else Track.CALLER
    call = AttachedCall(mix=MixMode.STEREO, id="pair", track=first, events=frozenset({EventKind.VAD}))
    rows = {first: call.row, second: call.join(second)}
    for row in rows.values():
        call.bridge.start(row)
    noise = np.random.default_rng(1).integers(-8000, 8000, (60, 160)).astype(np.int16)
    for speaker, hears in ((Track.CALLEE, False), (Track.CALLER, True)):
        for frame in noise:
            call.speak(rows[speaker], frame)
            call.speak(rows[Track.CALLER if speaker is Track.CALLEE else Track.CALLEE], level(0))
            call.run(until=call.now + 0.020)
        assert bool(call.bridge.speech.take_news()) == hears
        call.talk({row: level(0) for row in rows.values()}, 60)
        call.bridge.speech.take_news()
