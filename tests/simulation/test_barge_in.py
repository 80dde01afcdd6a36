"""A caller and a bot that talk across each other, through bridge and player, in virtual time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtp import Codec, Pcm
from sidecar.core.options import BargeIn, EventKind, MixMode
from tests.support.conversation import Conversation, talk
from tests.support.tones import find_tone, make_silence, make_tone

HZ = 1000.0
CODECS = [Codec.PCMU, Codec.L16_16K, Codec.G722, Codec.OPUS]
VAD = frozenset({EventKind.VAD})


def tone(seconds: float, *, dbfs: float = -14.0) -> Pcm:
    """Make what the bot says, at the rate of its options."""
    return make_tone(HZ, level_dbfs=dbfs, seconds=seconds, rate=8000)


def level(frame: Pcm) -> float:
    """Return the level of a sine as loud as a frame, in dBFS."""
    return float(10 * np.log10(2 * np.mean(frame.astype(float) ** 2) / 32767**2 + 1e-20))


def interrupted(codec: Codec = Codec.L16_8K, **options: Any) -> tuple[Conversation, float]:
    """Let the bot talk for 6 s, and the caller from a second later on, for a second; return when it began."""
    it = Conversation(codec=codec, row=1, **options)
    it.silence(1.0)
    it.bot_says(tone(6.0))
    it.bot_asks("mark", name="end")
    it.silence(1.0)
    began = it.now
    it.caller_says(talk(1.0, rate=it.rate))
    return it, began


@pytest.mark.parametrize("codec", CODECS)
def test_speech_clears_what_is_played_within_160_ms(codec: Codec) -> None:
    it, began = interrupted(codec, barge_in=BargeIn.CLEAR, events=VAD)
    it.silence(1.0)
    silent = next(at for at, frame in enumerate(it.heard) if at >= it.frame_at(began) and level(frame) < -50)
    assert began + 0.12 <= it.time_of(silent) <= began + 0.16
    assert all(level(frame) < -50 for frame in it.heard[silent:])
    assert it.texts("mark") == [{"name": "end", "event": "cleared"}]
    [cleared] = it.texts("cleared")
    assert cleared["reason"] == "barge_in"
    assert cleared["marks"] == ["end"]
    assert cleared["played_ms"] + cleared["dropped_ms"] == 6000
    assert it.vad("barge_in") == [{"event": "barge_in", "at_ms": round(began * 1000) + 120, "action": "clear"}]
    assert it.texts("vad") == [body for _, kind, body in it.events if kind == "vad"]


def test_the_bot_is_told_of_the_clear_alone_if_it_wants_no_events() -> None:
    it, _ = interrupted(barge_in=BargeIn.CLEAR)
    assert [text["type"] for _, text in it.told] == ["mark", "cleared"]
    assert len(it.vad("barge_in")) == 1


@pytest.mark.parametrize("codec", CODECS)
def test_speech_lowers_what_is_played_and_it_comes_back(codec: Codec) -> None:
    it, began = interrupted(codec, barge_in=BargeIn.DUCK)
    ended = it.now
    it.silence(1.5)
    before = it.heard[it.frame_at(began) - 20 : it.frame_at(began)]
    lowered = it.heard[it.frame_at(began + 0.18) : it.frame_at(ended)]
    after = it.heard[it.frame_at(ended + 0.6) : it.frame_at(ended + 1.5)]
    normal = find_tone(np.concatenate(before), it.rate).level_dbfs
    assert normal == pytest.approx(-14.0, abs=0.2)
    assert find_tone(np.concatenate(lowered), it.rate).level_dbfs == pytest.approx(normal - 18.0, abs=0.3)
    assert find_tone(np.concatenate(after), it.rate).level_dbfs == pytest.approx(normal, abs=0.1)
    assert it.texts("mark") == []
    assert [body["action"] for body in it.vad("barge_in")] == ["duck"]


def test_lowering_makes_no_click() -> None:
    """No sample is farther from the next than the tone itself ever is, by more than what 5 ms of ramp add."""
    it, _ = interrupted(barge_in=BargeIn.DUCK)
    it.silence(2.0)
    heard = np.concatenate(it.heard).astype(float)
    amplitude = 32767 * 10 ** (-14 / 20)
    steepest = amplitude * 2 * np.sin(np.pi * HZ / 8000)
    assert np.abs(np.diff(heard)).max() <= steepest + amplitude / 40 + 2


@pytest.mark.parametrize("barge_in", [BargeIn.CLEAR, BargeIn.DUCK])
def test_nothing_is_done_while_nothing_is_played(barge_in: BargeIn) -> None:
    it = Conversation(barge_in=barge_in)
    it.silence(1.0)
    it.caller_says(talk(1.0))
    it.silence(1.0)
    it.bot_says(tone(1.0))
    it.silence(2.0)
    assert [body["event"] for _, kind, body in it.events if kind == "vad"] == [
        "speech_start",
        "speech_stop",
        "response",
    ]
    assert it.bridge.speech.totals(it.row).barge_ins == 0
    assert find_tone(np.concatenate(it.heard)[-16000:-8400], 8000).level_dbfs == pytest.approx(-14.0, abs=0.1)


def test_a_pause_of_the_bot_is_not_interrupted() -> None:
    it = Conversation(barge_in=BargeIn.CLEAR)
    it.bot_says(tone(5.0))
    it.silence(1.0)
    it.bot_asks("pause")
    it.silence(0.1)
    it.caller_says(talk(1.0))
    it.silence(1.0)
    assert it.texts("cleared") == []


@pytest.mark.parametrize("milliseconds", [40, 80, 100])
def test_a_sound_that_is_short_interrupts_nobody(milliseconds: int) -> None:
    it = Conversation(barge_in=BargeIn.CLEAR)
    it.bot_says(tone(6.0))
    for _ in range(4):
        it.silence(1.0)
        it.caller_says(make_tone(440.0, level_dbfs=-10.0, seconds=milliseconds / 1000, rate=8000))
    assert it.texts("cleared") == []


@pytest.mark.parametrize(("loss_db", "delay"), [(24, 0.04), (24, 0.4), (40, 0.2)])
def test_the_echo_of_what_is_played_interrupts_nobody(loss_db: int, delay: float) -> None:
    """The bot speaks in syllables; the caller's telephone returns them, later and softer."""
    it = Conversation(barge_in=BargeIn.CLEAR)
    said = talk(5.0, dbfs=-14.0)
    it.silence(1.0)
    it.bot_says(said)
    echo = np.concatenate([make_silence(seconds=delay, rate=8000), said]) * 10 ** (-loss_db / 20)
    it.caller_says(echo.astype(np.int16))
    assert it.texts("cleared") == []
    it.bot_says(said)
    it.silence(0.5)
    it.caller_says(talk(1.0, dbfs=-30.0))  # but a voice that is 16 dB softer than the bot does
    assert len(it.texts("cleared")) == 1


def test_one_speech_interrupts_once_and_the_next_one_again() -> None:
    it = Conversation(barge_in=BargeIn.CLEAR)
    for _ in range(2):
        it.bot_says(tone(3.0))
        it.silence(1.0)
        it.caller_says(talk(1.0))
        it.bot_says(tone(3.0))
        it.caller_says(talk(1.0))
        it.silence(3.5)
    assert len(it.texts("cleared")) == 2
    assert it.bridge.speech.totals(it.row).barge_ins == 2


def test_whoever_speaks_already_when_the_bot_begins_interrupts_it() -> None:
    it = Conversation(barge_in=BargeIn.CLEAR)
    it.silence(1.0)
    it.caller_says(talk(0.52))
    it.bot_says(tone(3.0))
    it.caller_says(talk(0.52))
    it.silence(1.0)
    assert len(it.texts("cleared")) == 1


# --- how soon the bot answers


def response_times(it: Conversation) -> list[int]:
    return [body["response_ms"] for body in it.vad("response")]


@pytest.mark.parametrize("codec", CODECS)
def test_the_response_time_is_right_within_a_frame(codec: Codec) -> None:
    """From the end of the caller's last frame of speech, whether or not the bot waits until it is sure of that."""
    it = Conversation(codec=codec, events=VAD)
    thinks = [0.1, 0.3, 0.7, 2.0]
    for seconds in thinks:
        it.silence(0.8)
        it.caller_says(talk(0.46, rate=it.rate))  # to the end of a syllable
        it.silence(seconds)
        it.bot_says(tone(0.2))
        it.silence(0.7)
    within = 45 if codec is Codec.OPUS else 25  # whose end is not sharp
    assert response_times(it) == pytest.approx([1000 * seconds for seconds in thinks], abs=within)
    totals = it.bridge.speech.totals(it.row)
    assert totals == (0, 4, totals.last_ms, totals.mean_ms, totals.max_ms)
    assert totals.mean_ms == pytest.approx(sum(response_times(it)) / 4, abs=1)


def test_silence_that_a_bot_sends_is_no_answer() -> None:
    it = Conversation(events=VAD)
    it.silence(1.0)
    it.caller_says(talk(0.98))
    it.bot_says(np.concatenate([make_silence(seconds=0.8, rate=8000), tone(1.0)]))
    it.silence(2.0)
    assert response_times(it) == pytest.approx([800], abs=25)


def test_a_bot_that_talks_on_has_not_answered_unless_it_is_cleared() -> None:
    it = Conversation(events=VAD)
    for clears in (False, True):
        it.bot_says(tone(4.0))
        it.silence(1.0)
        it.caller_says(talk(0.98))
        it.silence(1.0)
        if clears:
            it.bot_asks("clear")
        else:
            it.silence(2.0)
        it.bot_says(tone(1.0))
        it.silence(2.0)
    assert response_times(it) == pytest.approx([1000], abs=25)


def test_what_the_bot_says_while_the_caller_goes_on_is_no_answer() -> None:
    it = Conversation(events=VAD)
    it.silence(1.0)
    it.caller_says(talk(0.98))
    it.silence(0.3)
    it.bot_says(tone(0.2))  # too early
    it.silence(0.1)
    it.caller_says(talk(0.98))
    it.silence(1.0)
    it.bot_says(tone(1.0))
    it.silence(1.5)
    assert response_times(it) == pytest.approx([1000], abs=25)


# --- pauses, and other mixes


@pytest.mark.parametrize("codec", CODECS)
def test_a_pause_in_which_nothing_is_sent_is_silence(codec: Codec) -> None:
    it = Conversation(codec=codec, events=VAD)
    it.silence(1.0)
    it.caller_says(talk(0.98, rate=it.rate))
    it.pause(2.0)
    it.caller_says(talk(0.98, rate=it.rate))
    it.pause(2.0)
    assert len(it.vad("speech_start")) == len(it.vad("speech_stop")) == 2


@pytest.mark.parametrize("mix", MixMode)
def test_speech_is_told_with_its_place_whatever_the_bot_hears(mix: MixMode) -> None:
    it = Conversation(events=VAD, mix=mix)
    it.silence(2.0)
    it.caller_says(talk(0.98))
    it.silence(1.0)
    [start], [stop] = it.vad("speech_start"), it.vad("speech_stop")
    assert start["at_ms"] == pytest.approx(2000, abs=25)
    assert stop["at_ms"] == pytest.approx(2980, abs=25)
