"""Two voices of two legs, side by side."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from rtp import Pcm, VoicePair
from tests.support.two_legs import RATE, FarVoice, as_they_come, clicks_in

FRAME = 0.020
MOST_DELAY = 0.2


def paired(*voices: FarVoice, clicks: list[float], seconds: float, seed: int = 0) -> tuple[Pcm, VoicePair]:
    """Let the voices come, and read them on a grid of our own; return int16[2, samples] and who made it."""
    random, pair = Random(seed), VoicePair(RATE, most_delay=MOST_DELAY)
    coming = as_they_come(*(voice.frames(clicks, seconds=seconds, random=random) for voice in voices))
    heard, due = [], 0.0033
    for at, which, frame in coming:
        while due < at:
            heard.append(pair.read(now=due))
            due += FRAME
        pair.write(which, frame, now=at)
    return np.concatenate(heard, axis=1), pair


def skews(pcm: Pcm, clicks: list[float], *, after: float = 0.0) -> list[float]:
    """Return by how many milliseconds the second voice is later, click by click."""
    left, right = (np.array(clicks_in(voice)) for voice in pcm)
    found = []
    for click in clicks:
        first, second = left[np.abs(left - click - 0.1) < 0.4], right[np.abs(right - click - 0.1) < 0.4]
        if click >= after:
            assert len(first) == len(second) == 1, f"click at {click}"
            found.append(1000 * float(second[0] - first[0]))
    assert found
    return found


EVERY_SECOND = [float(second) for second in range(1, 30)]


@pytest.mark.parametrize("phase", [0.0, 0.001, 0.0101, 0.0199])
def test_what_was_said_at_once_is_heard_at_once_wherever_frames_begin(phase: float) -> None:
    pcm, _ = paired(FarVoice(), FarVoice(phase=phase), clicks=EVERY_SECOND, seconds=30)
    assert max(map(abs, skews(pcm, EVERY_SECOND))) <= 1.5


def test_a_voice_is_given_as_it_came() -> None:
    pair, given, ramp = VoicePair(RATE, most_delay=MOST_DELAY), [], np.arange(1, 160 * 30 + 1, dtype=np.int16)
    for number in range(30):
        pair.write(0, ramp[160 * number :][:160], now=number * FRAME)
        given.append(pair.read(now=number * FRAME + 0.004))
    caller, callee = np.concatenate(given, axis=1)
    assert not callee.any(), "it did not speak"
    begin = int(np.flatnonzero(caller)[0])
    assert begin == round(1000 * (0.030 - 0.004)) * 8 - 160 + 160, "held back by 30 ms, of which 4 have passed"
    assert np.array_equal(caller[begin:], ramp[: len(caller) - begin])
    assert pair.missed_frames == 0


@pytest.mark.parametrize("ppm", [(500, -500), (-500, 500), (500, 0), (0, -500)])
def test_clocks_that_differ_do_not_part_the_voices(ppm: tuple[float, float]) -> None:
    """A minute of what takes ten with real clocks."""
    clicks = [float(second) for second in range(1, 60)]
    pcm, pair = paired(FarVoice(ppm[0]), FarVoice(ppm[1], phase=0.007), clicks=clicks, seconds=60)
    assert max(map(abs, skews(pcm, clicks))) <= 5.0
    assert (pair.missed_frames, pair.jumps) == (0, 0)
    assert pair.delay == pytest.approx(0.030)


def test_jitter_and_lateness_of_one_leg_do_not_pull_the_other_out_of_line() -> None:
    for seed in range(5):
        uneven = FarVoice(50, phase=0.013, jitter=0.040, lateness=0.060)
        pcm, pair = paired(FarVoice(-50), uneven, clicks=EVERY_SECOND, seconds=30, seed=seed)
        assert max(map(abs, skews(pcm, EVERY_SECOND, after=5.0))) <= 6.0, f"seed {seed}"
        assert pair.delay <= MOST_DELAY


def test_the_delay_is_what_the_more_uneven_voice_needs_and_never_too_much() -> None:
    for jitter, least, most in ((0.0, 0.030, 0.030), (0.030, 0.050, 0.056), (0.900, 0.2, 0.2)):
        _, pair = paired(FarVoice(), FarVoice(jitter=jitter), clicks=[], seconds=10)
        assert least <= pair.delay <= most


def test_a_network_that_has_become_steady_holds_nothing_back() -> None:
    pair = VoicePair(RATE, most_delay=MOST_DELAY)
    for number in range(400):
        late = 0.05 if number == 3 else 0.0
        pair.write(0, np.ones(160, np.int16), now=number * FRAME + late)
        pair.read(now=number * FRAME + 0.004)
        if number == 10:
            assert pair.delay == pytest.approx(0.075)
    assert pair.delay == pytest.approx(0.030)


def test_what_is_moved_is_stretched_not_cut() -> None:
    """A tone goes on without a step, though the delay grows by 50 ms and shrinks again."""
    pair, tone, given = VoicePair(RATE, most_delay=MOST_DELAY), np.arange(160 * 800), []
    sine = np.rint(10_000 * np.sin(2 * np.pi * 400 / RATE * tone)).astype(np.int16)
    for number in range(800):
        for which in (0, 1):
            late = 0.05 if which and number == 100 else 0.0
            pair.write(which, sine[160 * number :][:160], now=number * FRAME + late)
        given.append(pair.read(now=number * FRAME + 0.004)[0])
    heard = np.concatenate(given)[160 * 10 :].astype(np.int32)
    steepest = 10_000 * 2 * np.pi * 400 / RATE
    assert np.abs(np.diff(heard)).max() <= 1.06 * steepest
    assert pair.jumps == 0


def test_a_voice_that_was_away_comes_back_into_line() -> None:
    away = FarVoice(phase=0.005, silent=(8.0, 14.0))
    clicks = [second for second in EVERY_SECOND if not 7.5 < second < 14.5]
    pcm, pair = paired(FarVoice(), away, clicks=clicks, seconds=30)
    assert max(map(abs, skews(pcm, clicks))) <= 1.5
    assert not pcm[1][RATE * 9 : RATE * 13].any(), "nothing is heard of it meanwhile"
    assert pair.missed_frames < 12


def test_a_voice_far_off_its_place_jumps() -> None:
    """The grid stood still for a second: what was to be heard then is left out, in both voices."""
    pair = VoicePair(RATE, most_delay=MOST_DELAY)
    for number in range(200):
        for which in (0, 1):
            pair.write(which, np.full(160, number + 1, np.int16), now=number * FRAME)
        if not 50 <= number < 100:
            heard = pair.read(now=number * FRAME + 0.004)
    assert pair.jumps == 2
    assert heard[0][-1] == heard[1][-1] == 199


def test_a_voice_that_is_over_is_silent_at_once_and_another_may_begin() -> None:
    pair = VoicePair(RATE, most_delay=MOST_DELAY)
    for number in range(10):
        pair.write(0, np.ones(160, np.int16), now=number * FRAME)
        heard = pair.read(now=number * FRAME + 0.004)
    assert heard[0].all()
    pair.clear(0)
    assert not pair.read(now=10 * FRAME + 0.004).any()
    pair.write(0, np.full(160, 2, np.int16), now=11 * FRAME)
    read = [pair.read(now=number * FRAME + 0.004)[0] for number in (11, 12, 13)]
    assert set(np.concatenate(read).tolist()) == {0, 2}, "nothing of the voice before"
