"""DTMF in the audio: what ITU-T Q.24 asks for is found, and what is none is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtp import Digit, Pcm, ToneDetector
from tests.support.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from tests.support.tones import make_tone

LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
DIGITS = "123A456B789C*0#D"
ROW = np.array([0])


def dial(
    digits: str, *, on_ms: int = 50, off_ms: int = 50, low_dbfs: float = -12, high_dbfs: float = -12, shift: float = 0.0
) -> NDArray[np.float64]:
    parts = [np.zeros(437)]  # tones begin anywhere in a frame
    for digit in digits:
        low, high = LOW[DIGITS.index(digit) // 4] * (1 + shift), HIGH[DIGITS.index(digit) % 4] * (1 + shift)
        pair = [
            make_tone(hertz, level_dbfs=level, seconds=on_ms / 1000, rate=8000).astype(float)
            for hertz, level in ((low, low_dbfs), (high, high_dbfs))
        ]
        parts += [pair[0] + pair[1], np.zeros(8 * off_ms)]
    return np.concatenate([*parts, np.zeros(800)])


def found(samples: NDArray[np.float64], detector: ToneDetector | None = None) -> list[Digit]:
    detector = detector or ToneDetector(1)
    pcm = np.rint(samples).clip(-32768, 32767).astype(np.int16)
    frames = pcm[: len(pcm) // 160 * 160].reshape(-1, 1, 160)
    return [digit for frame in frames for _, digit in detector.process(ROW, frame)]


def names(digits: list[Digit]) -> str:
    return "".join(each.digit for each in digits)


@pytest.mark.parametrize(("on_ms", "off_ms"), [(100, 100), (50, 50), (40, 40), (25, 25)])
def test_each_digit_is_found_once_with_its_duration(on_ms: int, off_ms: int) -> None:
    digits = found(dial(DIGITS * 2, on_ms=on_ms, off_ms=off_ms))
    assert names(digits) == DIGITS * 2
    assert all(abs(each.duration_ms - on_ms) <= 15 for each in digits)


def test_the_same_digit_twice_is_two() -> None:
    assert names(found(dial("5555", on_ms=40, off_ms=40))) == "5555"


def test_one_digit_that_turns_into_another_without_a_pause_is_two() -> None:
    assert names(found(dial("159", on_ms=60, off_ms=0))) == "159"


def test_a_tone_of_15_ms_is_no_digit() -> None:
    assert found(dial(DIGITS, on_ms=15)) == []


def test_a_gap_of_a_few_milliseconds_does_not_part_a_digit() -> None:
    samples = dial("8", on_ms=100)
    samples[800:840] = 0
    (digit,) = found(samples)
    assert digit.digit == "8"


@pytest.mark.parametrize("shift", [-0.015, 0.015])
def test_tones_may_be_one_and_a_half_percent_off(shift: float) -> None:
    assert names(found(dial(DIGITS, shift=shift))) == DIGITS


@pytest.mark.parametrize("shift", [-0.035, 0.035])
def test_tones_that_are_three_and_a_half_percent_off_are_none(shift: float) -> None:
    assert found(dial(DIGITS, shift=shift)) == []


@pytest.mark.parametrize(("low", "high"), [(-7, -7), (-36, -36), (-12, -20), (-16, -12)])
def test_levels_and_twist_within_the_limits(low: float, high: float) -> None:
    assert names(found(dial(DIGITS, low_dbfs=low, high_dbfs=high))) == DIGITS


@pytest.mark.parametrize(("low", "high"), [(-41, -41), (-8, -20), (-20, -12)])
def test_levels_and_twist_beyond_them(low: float, high: float) -> None:
    assert found(dial(DIGITS, low_dbfs=low, high_dbfs=high)) == []


@pytest.mark.parametrize(("encode", "decode"), [(encode_ulaw, decode_ulaw), (encode_alaw, decode_alaw)])
def test_through_a_codec_and_in_noise(encode: Callable[[Pcm], bytes], decode: Callable[[bytes], Pcm]) -> None:
    samples = dial(DIGITS * 2)
    samples += np.random.default_rng(2).normal(size=len(samples)) * 32768 * 10 ** (-27 / 20)  # 15 dB below
    pcm = np.rint(samples).clip(-32768, 32767).astype(np.int16)
    assert names(found(decode(encode(pcm)).astype(float))) == DIGITS * 2


def test_noise_and_single_tones_are_no_digits() -> None:
    assert found(np.random.default_rng(3).normal(size=8000 * 60) * 3000) == []
    for hertz in (*LOW, *HIGH, 425):
        assert found(make_tone(hertz, level_dbfs=-10, seconds=1.0, rate=8000).astype(float)) == []


def test_a_new_call_does_not_end_the_digit_of_the_old_one() -> None:
    detector = ToneDetector(1)
    assert found(dial("1", on_ms=200)[:1600], detector) == []
    detector.reset(0)
    assert found(np.zeros(1600), detector) == []


@dataclass
class PlainDetector:
    """The rules written plainly, for one call."""

    past: list[int] = field(default_factory=lambda: [0] * 22)
    last: str = ""
    digit: str = ""
    length: int = 0
    misses: int = 0

    def process(self, frame: Pcm) -> list[Digit]:
        signal = self.past + [int(sample) for sample in frame]
        self.past = signal[-22:]
        return [*self._follow(_heard(signal[:102])), *self._follow(_heard(signal[80:182]))]

    def _follow(self, heard: str) -> list[Digit]:
        ended = []
        if self.digit and heard == self.digit:
            self.length, self.misses = self.length + 1, 0
        else:
            self.misses += 1
            begins = heard != "" and heard == self.last
            if self.digit and (begins or self.misses >= 2):
                ended.append(Digit(self.digit, 10 * self.length))
                self.digit = ""
            if begins:
                self.digit, self.length, self.misses = heard, 2, 0
        self.last = heard
        return ended


def _heard(window: list[int]) -> str:
    def squared_amplitude(hertz: int) -> float:
        turns = 2 * np.pi * hertz / 8000 * np.arange(102)
        parts = [sum(map(lambda a, b: a * b, window, np.rint(16384 * f(turns)).tolist())) for f in (np.cos, np.sin)]
        return float((parts[0] ** 2 + parts[1] ** 2) * (2 / (102 * 16384)) ** 2)

    low, high = [squared_amplitude(hertz) for hertz in LOW], [squared_amplitude(hertz) for hertz in HIGH]
    lows, highs = max(low), max(high)
    power = sum(sample**2 for sample in window) * (2 / 102)
    if (
        min(lows, highs) >= (32768 * 10 ** (-38 / 20)) ** 2
        and lows <= highs * 10**0.9
        and highs <= lows * 10**0.5
        and lows >= sorted(low)[-2] * 10**0.8
        and highs >= sorted(high)[-2] * 10**0.8
        and lows + highs >= 0.74 * power
    ):
        return DIGITS[4 * low.index(lows) + high.index(highs)]
    return ""


@settings(max_examples=25)
@given(st.lists(st.text(DIGITS, max_size=3), min_size=3, max_size=3), st.integers(0, 3000), st.integers(0, 1000))
def test_many_rows_give_what_each_gives_alone(dialled: list[str], loudness: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    together, plain = ToneDetector(3), [PlainDetector() for _ in range(3)]
    on, off = (int(each) for each in generator.integers(10, 60, 2))
    pcm = np.zeros((3, 4000))
    for row, digits in enumerate(dialled):
        samples = dial(digits, on_ms=on, off_ms=off)
        pcm[row, : len(samples)] = samples[:4000]
    pcm += generator.normal(size=pcm.shape) * loudness
    for frame in np.rint(pcm).clip(-32768, 32767).astype(np.int16).reshape(3, -1, 160).swapaxes(0, 1):
        rows = np.flatnonzero(generator.integers(0, 4, 3))
        expected = [(row, digit) for row in rows.tolist() for digit in plain[row].process(frame[row])]
        assert sorted(together.process(rows, frame[rows]), key=str) == sorted(expected, key=str)
