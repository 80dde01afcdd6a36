"""Audio is checked by a tone in and a tone found: its frequency, its level, its gaps and its splices.

Audio is `int16`, mono. Levels are dBFS, where a sine that peaks at 32767 has 0 dBFS.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]

FULL_SCALE = 32767.0
SILENCE_DBFS = -200.0


@dataclass(frozen=True, slots=True)
class Tone:
    """The strongest sine in a piece of audio."""

    frequency_hz: float
    level_dbfs: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in a tone, counted from the start of the audio."""

    start_ms: float
    length_ms: float


@dataclass(frozen=True, slots=True)
class Splice:
    """A place where a tone jumps in phase: audio was left out, repeated or put in there."""

    at_ms: float
    degrees: float


def make_tone(frequency_hz: float, *, level_dbfs: float, seconds: float, rate: int) -> Pcm:
    """Make a sine of `seconds * rate` samples that starts at phase 0."""
    time = np.arange(round(seconds * rate)) / rate
    amplitude = FULL_SCALE * 10 ** (level_dbfs / 20)
    sine = amplitude * np.sin(2 * np.pi * frequency_hz * time)
    return sine.round().astype(np.int16)


def make_silence(*, seconds: float, rate: int) -> Pcm:
    """Make `seconds * rate` samples of zero."""
    return np.zeros(round(seconds * rate), dtype=np.int16)


def find_tone(pcm: Pcm, rate: int) -> Tone:
    """Find the strongest tone; good to 1 Hz and 0.2 dB for a clean one of 50 ms or more.

    Silence is a tone of 0 Hz and `SILENCE_DBFS`.
    """
    if not np.any(pcm):
        return Tone(0.0, SILENCE_DBFS)
    size = 4 * _power_of_two(len(pcm))
    magnitude = np.abs(np.fft.rfft(_windowed(pcm), size)) + 1e-9
    peak = 1 + int(np.argmax(magnitude[1:-1]))
    left, top, right = np.log(magnitude[peak - 1 : peak + 2])
    curvature = left - 2 * top + right
    offset = 0.5 * (left - right) / curvature if curvature else 0.0
    frequency = float((peak + offset) * rate / size)
    return Tone(frequency, level_at(pcm, rate, frequency))


def level_at(pcm: Pcm, rate: int, frequency_hz: float) -> float:
    """Return the level in dBFS of the sine of `frequency_hz` in the audio, whatever else is in it."""
    if not np.any(pcm):
        return SILENCE_DBFS
    turns = np.exp(-2j * np.pi * frequency_hz / rate * np.arange(len(pcm)))
    amplitude = 2 * abs(np.dot(_windowed(pcm), turns)) / _window(len(pcm)).sum()
    return max(SILENCE_DBFS, float(20 * np.log10(amplitude / FULL_SCALE + 1e-12)))


def gaps(
    pcm: Pcm,
    rate: int,
    *,
    frequency_hz: float | None = None,
    drop_db: float = 20.0,
    shortest_ms: float = 2.0,
) -> list[Gap]:
    """Find the holes in a tone: more than `shortest_ms` in which its level is `drop_db` lower.

    What comes before the tone and after it is no gap. Without `frequency_hz` the strongest tone is meant.
    """
    frequency = find_tone(pcm, rate).frequency_hz if frequency_hz is None else frequency_hz
    if not frequency:
        return []
    lag = max(1, round(min(0.25 / frequency, 0.0005) * rate))
    amplitude = _local_amplitude(pcm, lag, 2 * np.pi * frequency * lag / rate)
    threshold = float(np.percentile(amplitude, 95)) * 10 ** (-drop_db / 20)
    loud = np.flatnonzero(amplitude >= threshold)
    quiet = np.diff(loud) - 1
    # An estimate spans `lag + 1` samples and is loud if one of them is, so a gap outlasts its quiet run.
    lengths = (quiet + lag) * 1000 / rate
    return [
        Gap(start_ms=float((loud[index] + 1) * 1000 / rate), length_ms=float(lengths[index]))
        for index in np.flatnonzero((quiet > 0) & (lengths > shortest_ms))
    ]


def splices(pcm: Pcm, rate: int, *, frequency_hz: float | None = None, smallest_degrees: float = 30.0) -> list[Splice]:
    """Find where a tone jumps in phase; the mark of a frame lost, repeated or concealed.

    Frames that hold a whole number of cycles leave no mark: take 437 Hz rather than 400 Hz.
    Without `frequency_hz` the strongest tone is meant; when there are many splices, better say which.
    """
    frequency = find_tone(pcm, rate).frequency_hz if frequency_hz is None else frequency_hz
    width = round(0.010 * rate)
    if not frequency or len(pcm) < 3 * width:
        return []
    turns = np.exp(-2j * np.pi * frequency / rate * np.arange(len(pcm)))
    tone = np.convolve(pcm * turns, np.hanning(width), mode="valid")
    before, after = tone[:-width], tone[width:]
    heard = np.minimum(np.abs(before), np.abs(after)) > 0.5 * np.percentile(np.abs(tone), 95)
    jump = np.where(heard, np.degrees(np.angle(after * before.conj())), 0.0)
    found: list[Splice] = []
    jumping = np.flatnonzero(np.abs(jump) > smallest_degrees)
    for run in np.split(jumping, np.flatnonzero(np.diff(jumping) > width) + 1):
        if len(run):
            middle = (run[0] + run[-1]) // 2
            found.append(Splice(float((middle + width) * 1000 / rate), float(jump[middle])))
    return found


def read_wav(path: Path) -> tuple[Pcm, int]:
    """Read 16-bit PCM; more than one channel gives an array of shape (samples, channels)."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 2, f"{path} is not 16-bit"
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)
        channels = file.getnchannels()
        return (pcm if channels == 1 else pcm.reshape(-1, channels)), file.getframerate()


def write_wav(path: Path, pcm: Pcm, rate: int) -> None:
    """Write 16-bit PCM: mono, or one channel for each column."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())


def _power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length()


def _window(length: int) -> npt.NDArray[np.float64]:
    window: npt.NDArray[np.float64] = np.blackman(length + 2)[1:-1]
    return window


def _windowed(pcm: Pcm) -> npt.NDArray[np.float64]:
    windowed: npt.NDArray[np.float64] = (pcm - pcm.mean()) * _window(len(pcm))
    return windowed


def _local_amplitude(pcm: Pcm, lag: int, angle: float) -> npt.NDArray[np.float64]:
    """The amplitude of a sine from two of its samples that lie `angle` radians apart."""
    first, second = pcm[:-lag].astype(np.float64), pcm[lag:].astype(np.float64)
    square = first**2 + second**2 - 2 * first * second * np.cos(angle)
    amplitude: npt.NDArray[np.float64] = np.sqrt(square.clip(min=0)) / abs(np.sin(angle))
    return amplitude
