"""Speech starts and stops: in noise, after a hang-over, and for many rows as for one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtp import Pcm, VoiceDetector
from tests.support.tones import make_tone

ROW = np.array([0])
QUIETEST = (32768.0 * 10 ** (-50 / 20)) ** 2 / 2


@dataclass
class PlainDetector:
    """The rules written plainly, for one call."""

    hang_over: int = 25
    power: float = 0.0
    quietest: float = float("inf")
    quietest_before: float = QUIETEST * 10
    age: int = 0
    loud: int = 0
    quiet: int = 0
    speaks: bool = False
    voiced: bool = False

    def process(self, frame: Pcm) -> str:
        samples = [int(sample) for sample in frame]
        size = len(samples) // 5
        rumble = sum(sum(samples[at : at + size]) ** 2 for at in range(0, len(samples), size))
        now = (sum(sample**2 for sample in samples) - rumble * (5 / len(samples))) / len(samples)
        power, self.power = (now + self.power) / 2, now
        self.quietest = min(self.quietest, power)
        floor = min(self.quietest, self.quietest_before)
        self.age += 1
        if self.age == 50:
            self.quietest_before, self.quietest, self.age = self.quietest, float("inf"), 0
        least = max(QUIETEST, floor * (4 if self.speaks else 8))
        if power > least:
            self.loud, self.quiet = self.loud + 1, 0
        else:
            self.loud, self.quiet = 0, self.quiet + 1
        self.voiced = min(power, now) > least and (self.speaks or self.loud >= 3)
        if not self.speaks and self.loud >= 3:
            self.speaks = True
            return "started"
        if self.speaks and self.quiet > self.hang_over:
            self.speaks = False
            return "stopped"
        return ""


def noise(dbfs: float, *, seconds: float, seed: int = 1) -> NDArray[np.float64]:
    samples = np.random.default_rng(seed).normal(size=int(8000 * seconds))
    scaled: NDArray[np.float64] = samples * 32768 * 10 ** (dbfs / 20)
    return scaled


def talk(*, seconds: float, dbfs: float = -12) -> NDArray[np.float64]:
    """Syllables of 200 ms, with a dip of 60 ms after each, as speech has them."""
    tone = make_tone(440.0, level_dbfs=dbfs, seconds=seconds, rate=8000).astype(float)
    return tone * (np.arange(len(tone)) % 2080 < 1600)


def changes(samples: NDArray[np.float64], detector: VoiceDetector | None = None) -> list[tuple[str, float]]:
    """Return what happens, and by which second of the audio."""
    detector = detector or VoiceDetector(1)
    pcm = np.rint(samples).clip(-32768, 32767).astype(np.int16)
    found = []
    for number, frame in enumerate(pcm[: len(pcm) // 160 * 160].reshape(-1, 1, 160)):
        voices, at = detector.process(ROW, frame), 0.02 * (number + 1)
        found += [("started", at)] * len(voices.started) + [("stopped", at)] * len(voices.stopped)
    return found


@pytest.mark.parametrize("background", [-90, -60, -45, -35])
def test_speech_starts_within_80_ms_and_stops_after_the_hang_over(background: float) -> None:
    samples = noise(background, seconds=6.0)
    samples[16_000:32_640] += talk(seconds=2.08)  # from 2 s to 4.08 s, the last 60 ms of it silent
    (start, started), (stop, stopped) = changes(samples)
    assert (start, stop) == ("started", "stopped")
    assert 2.0 < started <= 2.08
    assert 4.02 + 0.5 < stopped <= 4.02 + 0.58


@pytest.mark.parametrize("background", [-90, -60, -45, -35])
def test_steady_noise_is_no_speech(background: float) -> None:
    assert changes(noise(background, seconds=60.0)) == []


def test_rumble_is_no_speech() -> None:
    """Hum of the mains, 15 dB louder than the noise and coming up at once."""
    hum = make_tone(50.0, level_dbfs=-32, seconds=10.0, rate=8000).astype(float)
    hum[:16_000] = 0
    assert changes(hum + noise(-50, seconds=10.0)) == []


def test_noise_that_becomes_louder_is_speech_for_two_seconds_at_most() -> None:
    samples = np.concatenate([noise(-60, seconds=5.0), noise(-30, seconds=10.0, seed=2)])
    (_, started), (stop, stopped) = changes(samples)
    assert stop == "stopped"
    assert stopped - started < 2.0 + 0.5 + 0.1


def test_a_click_is_no_speech() -> None:
    samples = noise(-60, seconds=6.0)
    samples[16_000:16_040] = 30_000
    samples[32_000:32_160] = -30_000
    assert changes(samples) == []


def test_the_hang_over_can_be_chosen() -> None:
    samples = noise(-60, seconds=5.0)
    samples[16_000:24_320] += talk(seconds=1.04)
    short, long = (changes(samples, VoiceDetector(1, hang_over_ms=each))[1][1] for each in (200, 1000))
    assert long - short == pytest.approx(0.8)


def test_a_new_call_does_not_go_on_speaking() -> None:
    detector = VoiceDetector(1)
    assert changes(talk(seconds=1.0), detector)[0][0] == "started"
    assert detector.speaks(0)
    detector.reset(0)
    assert not detector.speaks(0)
    assert changes(talk(seconds=1.0), detector)[0][0] == "started"


LEVELS = st.sampled_from([0, 1, 30, 200, 1000, 8000, 32767])
FRAMES = st.lists(st.tuples(st.integers(1, 7), LEVELS, st.integers(1, 30)), max_size=6)


@given(FRAMES, st.integers(0, 1000), st.sampled_from([160, 320]))
def test_many_rows_give_what_each_gives_alone(parts: list[tuple[int, int, int]], seed: int, size: int) -> None:
    """Rows come together in other groups each time: bits say which."""
    generator = np.random.default_rng(seed)
    together, plain = VoiceDetector(3), [PlainDetector() for _ in range(3)]
    for bits, level, length in parts:
        rows = np.array([row for row in range(3) if bits >> row & 1])
        for _ in range(length):
            pcm = generator.integers(-level - 1, level + 1, (len(rows), size)).astype(np.int16)
            voices = together.process(rows, pcm)
            assert together.speaking(rows).tolist() == [together.speaks(row) for row in rows.tolist()]
            for at, row in enumerate(rows.tolist()):
                expected = plain[row].process(pcm[at])
                changed = (row in voices.started, row in voices.stopped)
                assert changed == (expected == "started", expected == "stopped")
                assert together.speaks(row) == plain[row].speaks
                assert voices.voiced[at] == plain[row].voiced
                assert voices.power[at] == plain[row].power


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_speech_ends_with_its_last_loud_frame_at_any_rate(rate: int) -> None:
    """The frame after it is loud only together with the one before."""
    tone = make_tone(440.0, level_dbfs=-20, seconds=0.2, rate=rate)
    frames = np.concatenate([tone, np.zeros(rate // 5, np.int16)]).reshape(-1, 1, rate // 50)
    detector = VoiceDetector(1)
    voiced = [bool(detector.process(ROW, frame).voiced[0]) for frame in frames]
    assert voiced == [False] * 2 + [True] * 8 + [False] * 10
