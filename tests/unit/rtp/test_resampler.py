"""Rate conversion: what is stated of it, measured."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtp import Pcm, Resampler, frame_samples
from tests.support.tones import level_at, make_tone

RATES = [8000, 16000, 24000, 32000, 40000, 48000]
PAIRS = list(itertools.product(RATES, RATES))
DIFFERENT = [(rate_in, rate_out) for rate_in, rate_out in PAIRS if rate_in != rate_out]


def convert(pcm: Pcm, rate_in: int, rate_out: int) -> Pcm:
    """Convert the whole of `pcm`, one frame after the other."""
    resampler, row = Resampler(rate_in, rate_out, rows=1), np.array([0])
    frames = pcm[: len(pcm) // frame_samples(rate_in) * frame_samples(rate_in)].reshape(-1, 1, frame_samples(rate_in))
    return np.concatenate([resampler.process(row, frame)[0] for frame in frames])


def noise(rows: int, samples: int, *, seed: int) -> Pcm:
    return np.random.default_rng(seed).integers(-32768, 32768, (rows, samples)).astype(np.int16)


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_a_frame_in_is_a_frame_out(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out, rows=3)
    for _ in range(3):
        out = resampler.process(np.array([0, 2]), noise(2, frame_samples(rate_in), seed=1))
        assert out.shape == (2, frame_samples(rate_out))
        assert out.dtype == np.int16


@pytest.mark.parametrize(("rate_in", "rate_out"), DIFFERENT)
def test_a_thousand_rows_give_what_each_gives_alone(rate_in: int, rate_out: int) -> None:
    """To the sample, in any batch: rows come in different groups and orders each time."""
    generator = np.random.default_rng(5)
    together = Resampler(rate_in, rate_out, rows=1000)
    watched = [0, 1, 499, 998, 999]
    alone = {row: Resampler(rate_in, rate_out, rows=1) for row in watched}
    for size in (1000, 1, 7, 500, 1000):
        rows = generator.permutation(1000)[:size]
        if size < 1000:
            rows = np.unique(np.concatenate([rows, watched[:size]]))
        pcm = generator.integers(-32768, 32768, (len(rows), frame_samples(rate_in))).astype(np.int16)
        out = together.process(rows, pcm)
        for row in watched:
            for at in np.flatnonzero(rows == row):
                assert (out[at] == alone[row].process(np.array([0]), pcm[at : at + 1])[0]).all()


@pytest.mark.parametrize(("rate_in", "rate_out"), DIFFERENT)
def test_frames_join_without_a_click(rate_in: int, rate_out: int) -> None:
    """A tone stays a pure one: what is left when it is taken out is 55 dB down or more, at joins as elsewhere."""
    tone = make_tone(1011.0, level_dbfs=-6, seconds=0.4, rate=rate_in)
    out = convert(tone, rate_in, rate_out)[frame_samples(rate_out) :].astype(float)
    time = np.arange(len(out)) / rate_out
    basis = np.stack([np.sin(2 * np.pi * 1011.0 * time), np.cos(2 * np.pi * 1011.0 * time)], axis=1)
    fit, *_ = np.linalg.lstsq(basis, out)
    assert np.abs(out - basis @ fit).max() < 32767 * 10 ** (-61 / 20)


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_the_delay_is_as_stated(rate_in: int, rate_out: int) -> None:
    """Found by the phase of a tone slow enough to be unambiguous."""
    out = convert(make_tone(100.0, level_dbfs=-6, seconds=0.4, rate=rate_in), rate_in, rate_out)
    out = out[-frame_samples(rate_out) * 10 :]  # 200 ms: 20 whole cycles
    start = 0.4 - len(out) / rate_out
    time = start + np.arange(len(out)) / rate_out
    phase = np.angle(np.sum(out * np.exp(-2j * np.pi * 100.0 * time))) + np.pi / 2
    delay_ms = -phase / (2 * np.pi * 100.0) * 1000
    stated = Resampler(rate_in, rate_out, rows=1).delay_ms
    assert delay_ms == pytest.approx(stated, abs=0.002)
    assert stated <= 1.625


@pytest.mark.parametrize("rate", RATES[1:])
def test_the_telephone_band_is_flat_both_ways(rate: int) -> None:
    for frequency in (50.0, 300.0, 1000.0, 2000.0, 3000.0, 3400.0):
        for rate_in, rate_out in ((8000, rate), (rate, 8000)):
            tone = make_tone(frequency, level_dbfs=-10, seconds=0.3, rate=rate_in)
            out = convert(tone, rate_in, rate_out)[frame_samples(rate_out) :]
            assert level_at(out, rate_out, frequency) == pytest.approx(-10, abs=0.5), f"{frequency} Hz, {rate_in} Hz"


@pytest.mark.parametrize("rate", RATES[1:])
def test_images_are_60_db_down(rate: int) -> None:
    """A tone at 8 kHz has mirrors around each multiple of 8 kHz once the rate is higher."""
    for frequency in (300.0, 1000.0, 3400.0):
        tone = make_tone(frequency, level_dbfs=-1, seconds=0.3, rate=8000)
        out = convert(tone, 8000, rate)[frame_samples(rate) :]
        mirrors = [k * 8000 + sign * frequency for k in range(1, rate // 8000) for sign in (-1, 1)]
        for mirror in (mirror for mirror in mirrors if mirror < rate / 2):
            assert level_at(out, rate, mirror) < -61, f"{frequency} Hz at {mirror} Hz"


@pytest.mark.parametrize("rate", RATES[1:])
def test_aliases_are_60_db_down(rate: int) -> None:
    """What cannot be heard at 8 kHz does not come back as something that can; 4 to 4.6 kHz is the slope."""
    for frequency in (4600.0, 5000.0, 6100.0, 7700.0, 11000.0, 15500.0, 23000.0):
        if frequency < rate / 2:
            tone = make_tone(frequency, level_dbfs=-1, seconds=0.3, rate=rate)
            out = convert(tone, rate, 8000)[frame_samples(8000) :]
            alias = abs((frequency + 4000) % 8000 - 4000)
            assert level_at(out, 8000, alias) < -61, f"{frequency} Hz at {alias} Hz"


@pytest.mark.parametrize(("rate_in", "rate_out"), [(a, b) for a, b in DIFFERENT if min(a, b) >= 16000])
def test_the_wide_band_is_flat_and_its_images_and_aliases_are_60_db_down(rate_in: int, rate_out: int) -> None:
    """To 7 kHz at 16 kHz, and as far in proportion at higher rates."""
    lower = min(rate_in, rate_out)
    for frequency in (50.0, 3400.0, 7000.0 * lower / 16000):
        tone = make_tone(frequency, level_dbfs=-1, seconds=0.3, rate=rate_in)
        out = convert(tone, rate_in, rate_out)[frame_samples(rate_out) :]
        assert level_at(out, rate_out, frequency) == pytest.approx(-1, abs=0.5)
        mirrors = [k * rate_in + sign * frequency for k in range(1, 7) for sign in (-1, 1)]
        for mirror in (mirror for mirror in mirrors if lower / 2 < mirror < rate_out / 2):
            assert level_at(out, rate_out, mirror) < -61, f"{frequency} Hz at {mirror} Hz"
    beyond = 9000.0 * lower / 16000
    if beyond < rate_in / 2:
        out = convert(make_tone(beyond, level_dbfs=-1, seconds=0.3, rate=rate_in), rate_in, rate_out)
        alias = beyond if beyond < rate_out / 2 else rate_out - beyond
        assert level_at(out[frame_samples(rate_out) :], rate_out, alias) < -61, f"{beyond} Hz at {alias} Hz"


@pytest.mark.parametrize(("rate_in", "rate_out"), DIFFERENT)
def test_direct_current_and_silence_pass_unchanged(rate_in: int, rate_out: int) -> None:
    for level in (0, 1, -32768, 32767):
        out = convert(np.full(2 * frame_samples(rate_in), level, np.int16), rate_in, rate_out)
        assert (out[frame_samples(rate_out) :] == level).all()


@pytest.mark.parametrize(("rate_in", "rate_out"), DIFFERENT)
def test_what_overshoots_saturates(rate_in: int, rate_out: int) -> None:
    """A square wave at full scale rings beyond it; none of that may wrap around."""
    square = np.where(np.arange(rate_in // 5) * 1000 // rate_in % 2, -32768, 32767).astype(np.int16)
    out = convert(square, rate_in, rate_out).astype(int)
    assert out.max() == 32767
    assert out.min() == -32768
    delay = round(Resampler(rate_in, rate_out, rows=1).delay_ms * rate_out / 1000)
    middle = np.arange(rate_out // 2000, len(out) - 2 * delay, rate_out // 1000)  # of each half wave
    expected = np.where(middle * 1000 // rate_out % 2, -1, 1)
    assert (np.sign(out[middle + delay]) == expected).all()


def test_a_new_call_does_not_hear_the_end_of_the_old_one() -> None:
    resampler = Resampler(8000, 16000, rows=2)
    loud, silence = np.full((2, 160), 20000, np.int16), np.zeros((2, 160), np.int16)
    both = np.array([0, 1])
    resampler.process(both, loud)
    resampler.reset(0)
    out = resampler.process(both, silence)
    assert not out[0].any()
    assert out[1].any()


def test_equal_rates_are_passed_through_without_delay() -> None:
    resampler = Resampler(16000, 16000, rows=2)
    pcm = noise(2, 320, seed=4)
    resampler.reset(0)
    assert resampler.process(np.array([0, 1]), pcm) is pcm
    assert resampler.delay_ms == 0.0


@pytest.mark.parametrize(("rate_in", "rate_out"), [(11025, 8000), (8000, 44100)])
def test_rates_that_are_no_multiples_of_8000_are_a_mistake_of_ours(rate_in: int, rate_out: int) -> None:
    with pytest.raises(AssertionError):
        Resampler(rate_in, rate_out, rows=1)
