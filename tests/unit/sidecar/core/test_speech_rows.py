"""Speech, barge-in and response times of many calls, as of one; and of those alone that want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import Frames
from sidecar.core.options import BargeIn, EventKind, MixMode, StreamOptions
from sidecar.core.speech_events import SpeechStarted, SpeechStopped
from sidecar.core.speech_rows import SpeechRows, SpeechTotals
from tests.support.plain_speech import PlainSpeech

VAD = frozenset({EventKind.VAD})
LOUD, QUIET = 3000, 0


def options(**values: Any) -> StreamOptions:
    return StreamOptions(url="ws://bot.example", **values)


def frames(rows: Sequence[int], level: int, *, samples: int = 160) -> Frames:
    """Make a square wave of that level for each row."""
    wave = np.where(np.arange(samples) % 8 < 4, level, -level).astype(np.int16)
    return Frames(np.array(rows, np.int64), np.tile(wave, (len(rows), 1)))


def hear(speech: SpeechRows, row: int, levels: Sequence[int], *, at: float = 0.0) -> float:
    """Let a caller say so many frames; return when they are over."""
    for level in levels:
        speech.process(frames([row], level), now=at)
        at += 0.02
    return at


def test_nothing_is_used_unless_a_call_wants_it() -> None:
    speech = SpeechRows(2)
    speech.open(0, options())
    assert not speech.is_used
    speech.open(1, options(events=VAD))
    assert speech.is_used
    speech.close(1)
    assert not speech.is_used
    speech.open(1, options(barge_in=BargeIn.DUCK))
    assert speech.is_used


def test_only_those_are_listened_to_that_want_it() -> None:
    speech = SpeechRows(2)
    speech.open(0, options())
    speech.open(1, options(events=VAD))
    for number in range(10):
        speech.process(frames([0, 1], LOUD), now=0.02 * number)
    speech.process(frames([0], LOUD), now=0.2)
    assert speech.take_news() == [(1, SpeechStarted(0))]
    assert speech.take_news() == []
    alone = frames([0], LOUD)
    assert speech.played(alone, np.array([True]), now=0.3) is alone


def test_a_call_that_ends_tells_nothing_to_the_next() -> None:
    speech = SpeechRows(2)
    for row in range(2):
        speech.open(row, options(events=VAD))
        hear(speech, row, [LOUD] * 5)
    speech.close(0)
    speech.open(0, options(events=VAD))
    assert speech.take_news() == [(1, SpeechStarted(0))]
    hear(speech, 0, [QUIET, *[LOUD] * 5])
    assert speech.take_news() == [(0, SpeechStarted(20))]


def test_speech_begins_and_ends_where_it_was_loud() -> None:
    speech = SpeechRows(1)
    speech.open(0, options(events=VAD))
    hear(speech, 0, [QUIET] * 60 + [LOUD] * 30 + [QUIET] * 60)
    assert speech.take_news() == [(0, SpeechStarted(1200)), (0, SpeechStopped(1800))]


@pytest.mark.parametrize("mix", [MixMode.MIXED, MixMode.STEREO, MixMode.CALLEE])
def test_where_the_bot_hears_what_is_played_that_is_the_time(mix: MixMode) -> None:
    speech = SpeechRows(1)
    speech.open(0, options(events=VAD, mix=mix))
    for number in range(50):
        speech.played(frames([0], QUIET), np.array([False]), now=0.02 * number)
        speech.process(frames([0], LOUD if number >= 40 else QUIET), now=0.02 * number)
    assert speech.take_news() == [(0, SpeechStarted(800))]
    first = SpeechRows(1)
    first.open(0, options(events=VAD, mix=mix))
    hear(first, 0, [LOUD] * 5)  # before the call is answered
    assert first.take_news() == [(0, SpeechStarted(0))]


def test_on_hold_nobody_speaks() -> None:
    speech = SpeechRows(1)
    speech.open(0, options(events=VAD))
    speech.start(0, listens=True)
    at = hear(speech, 0, [QUIET] * 5 + [LOUD] * 20)
    speech.start(0, listens=False)
    assert speech.take_news() == [(0, SpeechStarted(100)), (0, SpeechStopped(500))]
    at = hear(speech, 0, [LOUD] * 100, at=at)  # music
    speech.played(frames([0], LOUD), np.array([True]), now=at)
    speech.start(0, listens=False)
    assert speech.take_news() == []
    speech.start(0, listens=True)
    hear(speech, 0, [QUIET] * 5 + [LOUD] * 20, at=at)
    assert speech.take_news() == [(0, SpeechStarted(130 * 20))]


def test_who_has_never_listened_may_speak() -> None:
    speech = SpeechRows(2)
    for row in range(2):
        speech.open(row, options(events=VAD))
        speech.start(row, listens=False)
    hear(speech, 0, [LOUD] * 5)
    assert speech.take_news() == [(0, SpeechStarted(0))]
    speech.start(1, listens=True)
    speech.start(1, listens=False)
    assert speech.take_news() == []


def test_the_totals_of_a_call() -> None:
    speech = SpeechRows(1)
    speech.open(0, options(barge_in=BargeIn.CLEAR))
    assert speech.totals(0) == SpeechTotals()
    at = 0.0
    for seconds in (0.7, 1.2, 0.8):
        end = hear(speech, 0, [QUIET] * 50 + [LOUD] * 20, at=at)
        hear(speech, 0, [QUIET] * 30, at=end)
        at = end - 0.02 + seconds
        speech.played(frames([0], LOUD), np.array([True]), now=at)
        speech.cleared(0)
        speech.played(frames([0], QUIET), np.array([False]), now=at + 0.02)
    assert speech.totals(0) == SpeechTotals(0, 3, 800, 900, 1200)
    speech.close(0)
    speech.open(0, options(events=VAD))
    assert speech.totals(0) == SpeechTotals()


LEVELS = st.sampled_from([0, 50, 200, 1000, 8000, 30000])
PARTS = st.lists(
    st.tuples(st.integers(0, 7), LEVELS, st.integers(0, 7), LEVELS, st.integers(1, 40), st.integers(0, 15)), max_size=6
)


@given(PARTS, st.integers(0, 1000), st.sampled_from([160, 320]))
def test_many_rows_give_what_each_gives_alone(
    parts: list[tuple[int, int, int, int, int, int]], seed: int, size: int
) -> None:
    """Rows come together in other groups each time: bits say which are heard, which are played something, and cleared.

    The last row wants nothing, and gets back what it was given.
    """
    generator = np.random.default_rng(seed)
    together, wants = SpeechRows(4), list(BargeIn)
    plain = [PlainSpeech(each) for each in wants]
    for row, each in enumerate(wants):
        together.open(row, options(barge_in=each, events=VAD))
    together.open(3, options())
    now = 0.0
    for heard, level, played, loudness, length, cleared in parts:
        for row in range(3):
            if cleared == 8 + row:
                together.cleared(row)
                plain[row].cleared()
        for _ in range(length):
            now += 0.02
            rows = np.array([row for row in range(3) if heard >> row & 1] + [3])
            pcm = generator.integers(-level - 1, level + 1, (len(rows), size)).astype(np.int16)
            together.process(Frames(rows, pcm), now=now)
            for row, frame in zip(rows[:-1].tolist(), pcm, strict=False):
                plain[row].process(frame, now=now)
            every = np.array([0, 1, 2, 3])
            plays = np.array([bool(played >> row & 1) for row in range(3)] + [True])
            pcm = np.where(plays[:, None], generator.integers(-loudness - 1, loudness + 1, (4, size)), 0).astype(
                np.int16
            )
            given_back = together.played(Frames(every, pcm), plays, now=now)
            expected = [plain[row].played(pcm[row], bool(plays[row]), now=now) for row in range(3)]
            assert np.array_equal(given_back.pcm, np.stack([*expected, pcm[3]]))
    news = together.take_news()
    assert [[each for row, each in news if row == wanted] for wanted in range(3)] == [each.news for each in plain]
    assert len(news) == sum(len(each.news) for each in plain)
