"""WAV files of all kinds become speech at 8 kHz, or an error that says why not."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from sidecar.io.wav import WavError, read_speech, write_wav
from tests.support import tones


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_keeps_pitch_level_and_length_at_8_khz(tmp_path: Path, rate: int, channels: int) -> None:
    tone = tones.make_tone(437.0, level_dbfs=-12.0, seconds=1.01, rate=rate)
    path = tmp_path / "tone.wav"
    tones.write_wav(path, tone if channels == 1 else np.stack([tone, tone], axis=1), rate)
    speech = read_speech(path)
    assert len(speech) == 51 * 160, "padded to whole frames"
    found = tones.find_tone(speech[800:7200], 8000)
    assert found.frequency_hz == pytest.approx(437.0, abs=1.0)
    assert found.level_dbfs == pytest.approx(-12.0, abs=0.2)


def test_an_empty_file_is_silence(tmp_path: Path) -> None:
    for rate in (8000, 16000):
        tones.write_wav(tmp_path / "empty.wav", np.empty(0, np.int16), rate)
        assert len(read_speech(tmp_path / "empty.wav")) == 0


def test_stereo_is_written_and_read_again(tmp_path: Path) -> None:
    pcm = np.arange(640, dtype=np.int16).reshape(320, 2)
    write_wav(tmp_path / "stereo.wav", pcm)
    read, rate = tones.read_wav(tmp_path / "stereo.wav")
    assert rate == 8000
    np.testing.assert_array_equal(read, pcm)


@pytest.mark.parametrize(
    ("rate", "channels", "width", "why"),
    [(44100, 1, 2, "44100 Hz"), (8000, 3, 2, "3 channels"), (8000, 1, 1, "8 bits"), (384000, 1, 2, "384000 Hz")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, rate: int, channels: int, width: int, why: str) -> None:
    path = tmp_path / "odd.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(600))
    with pytest.raises(WavError, match=f"odd.wav: {why}"):
        read_speech(path)


def test_files_that_are_no_wav_or_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "nothing").touch()
    for name, why in (("text", "not a WAV file"), ("nothing", "not a WAV file"), ("missing", "No such file")):
        with pytest.raises(WavError, match=f"{name}: {why}"):
            read_speech(tmp_path / name)
    with pytest.raises(WavError, match="No such file"):
        write_wav(tmp_path / "missing" / "file", np.empty(0, np.int16))
