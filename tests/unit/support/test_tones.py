from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.tones import (
    SILENCE_DBFS,
    Pcm,
    find_tone,
    gaps,
    level_at,
    make_silence,
    make_tone,
    read_wav,
    splices,
    write_wav,
)


def joined(*parts: Pcm) -> Pcm:
    return np.concatenate(parts)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("frequency", [123.4, 437.0, 1000.0, 2718.28, 3700.0])
@pytest.mark.parametrize("level", [0.0, -12.3, -40.0])
def test_a_clean_tone_is_found_within_a_hertz_and_a_fifth_of_a_decibel(
    rate: int, frequency: float, level: float
) -> None:
    for seconds in (0.05, 0.5, 1.0):
        found = find_tone(make_tone(frequency, level_dbfs=level, seconds=seconds, rate=rate), rate)
        assert abs(found.frequency_hz - frequency) < 1.0
        assert abs(found.level_dbfs - level) < 0.2


def test_an_offset_of_the_zero_line_is_no_tone() -> None:
    pcm = make_tone(300.0, level_dbfs=-40.0, seconds=0.5, rate=8000) + np.int16(8000)
    assert abs(find_tone(pcm, 8000).frequency_hz - 300.0) < 1.0


def test_silence_holds_no_tone() -> None:
    silence = make_silence(seconds=0.5, rate=8000)
    found = find_tone(silence, 8000)
    assert (found.frequency_hz, found.level_dbfs) == (0.0, SILENCE_DBFS)
    assert gaps(silence, 8000) == []
    assert splices(silence, 8000) == []


def test_the_level_of_a_tone_is_read_beside_a_louder_one() -> None:
    loud = make_tone(1000.0, level_dbfs=-10.0, seconds=1.0, rate=8000)
    both = loud + make_tone(437.0, level_dbfs=-40.0, seconds=1.0, rate=8000)
    assert abs(find_tone(both, 8000).frequency_hz - 1000.0) < 1.0
    assert abs(level_at(both, 8000, 437.0) + 40.0) < 0.2
    assert level_at(both, 8000, 2000.0) < -80.0


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("frequency", [200.0, 437.0, 1000.0, 3300.0])
def test_a_hole_in_a_tone_is_found_with_its_place_and_its_length(rate: int, frequency: float) -> None:
    for length_ms in (3, 20, 60):
        pcm = make_tone(frequency, level_dbfs=-12.0, seconds=1.0, rate=rate)
        start = rate * 310 // 1000
        pcm[start : start + rate * length_ms // 1000] = 0
        (gap,) = gaps(pcm, rate)
        assert abs(gap.start_ms - 310) < 0.5
        assert abs(gap.length_ms - length_ms) < 0.5


def test_a_whole_tone_has_no_gap_and_no_splice_even_with_the_noise_of_telephony() -> None:
    noise = np.random.default_rng(1).normal(0, 80, 8000)
    for frequency in (200.0, 437.0, 1000.0, 3300.0):
        tone = make_tone(frequency, level_dbfs=-12.0, seconds=1.0, rate=8000)
        for pcm in (tone, (tone + noise).astype(np.int16)):
            assert gaps(pcm, 8000) == []
            assert splices(pcm, 8000) == []


def test_what_surrounds_a_tone_is_no_gap() -> None:
    silence = make_silence(seconds=0.3, rate=8000)
    tone = make_tone(437.0, level_dbfs=-12.0, seconds=0.3, rate=8000)
    assert gaps(joined(silence, tone, silence), 8000) == []
    (gap,) = gaps(joined(tone, silence, tone), 8000)
    assert abs(gap.length_ms - 300) < 0.5


def test_a_dip_is_a_gap_only_when_it_is_deep_enough() -> None:
    tone = make_tone(437.0, level_dbfs=-6.0, seconds=0.2, rate=8000)
    for attenuation_db, found in ((14, 0), (26, 1)):
        quiet = make_tone(437.0, level_dbfs=-6.0 - attenuation_db, seconds=0.1, rate=8000)
        assert len(gaps(joined(tone, quiet, tone), 8000, frequency_hz=437.0)) == found


@pytest.mark.parametrize("frequency", [437.0, 1010.0, 3333.0])
def test_a_frame_left_out_or_repeated_leaves_a_splice(frequency: float) -> None:
    pcm = make_tone(frequency, level_dbfs=-12.0, seconds=1.0, rate=8000)
    for spliced in (joined(pcm[:4000], pcm[4160:]), joined(pcm[:4000], pcm[3840:])):
        (splice,) = splices(spliced, 8000, frequency_hz=frequency)
        assert abs(splice.at_ms - 500) < 5


def test_a_wav_file_gives_back_what_was_written(tmp_path: Path) -> None:
    mono = make_tone(437.0, level_dbfs=-12.0, seconds=0.1, rate=16000)
    for name, pcm in (("mono", mono), ("stereo", np.column_stack([mono, -mono]))):
        path = tmp_path / f"{name}.wav"
        write_wav(path, pcm, 16000)
        read, rate = read_wav(path)
        assert rate == 16000
        assert read.dtype == np.int16
        assert np.array_equal(read, pcm)
