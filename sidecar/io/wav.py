"""WAV files, as a caller speaks and records them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from rtp import CLOCK_RATE, Pcm, Resampler, frame_samples

_FASTEST = 192_000  # Hz


class WavError(Exception):
    """A WAV file cannot be used; the message names it and says why."""


def read_speech(path: Path) -> Pcm:
    """Read 16-bit PCM of any multiple of 8000 Hz, mono or stereo (summed): int16[n] at 8 kHz."""
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except OSError as error:
        raise WavError(f"{path}: {error.strerror}") from None
    except (wave.Error, EOFError) as error:
        raise WavError(f"{path}: not a WAV file of PCM ({error or 'it ends too soon'})") from None
    if width != 2:
        raise WavError(f"{path}: {8 * width} bits a sample, not 16")
    if channels not in (1, 2):
        raise WavError(f"{path}: {channels} channels, not 1 or 2")
    if rate % CLOCK_RATE or not 0 < rate <= _FASTEST:
        raise WavError(f"{path}: {rate} Hz is not a multiple of {CLOCK_RATE} Hz")
    whole = len(data) // (2 * channels) * 2 * channels
    pcm = np.frombuffer(data[:whole], "<i2").reshape(-1, channels)
    return to_telephone_rate(pcm.mean(axis=1).round().astype(np.int16), rate)


def to_telephone_rate(pcm: Pcm, rate: int) -> Pcm:
    """Convert int16[n] at `rate` Hz, a multiple of 8000, to 8 kHz; the end is padded to a whole frame of 20 ms."""
    size = frame_samples(rate)
    padded = np.zeros(-(-len(pcm) // size) * size, np.int16)
    padded[: len(pcm)] = pcm
    if rate == CLOCK_RATE:
        return padded
    resampler, row = Resampler(rate, CLOCK_RATE, rows=1), np.zeros(1, np.int64)
    frames = [resampler.process(row, frame)[0] for frame in padded.reshape(-1, 1, size)]
    return np.concatenate([np.empty(0, np.int16), *frames])


def write_wav(path: Path, pcm: Pcm) -> None:
    """Write int16[n], or stereo int16[n, 2], at 8 kHz; raise `WavError` if that is not possible."""
    try:
        with path.open("wb") as target, wave.open(target, "wb") as file:
            file.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
            file.setsampwidth(2)
            file.setframerate(CLOCK_RATE)
            file.writeframes(pcm.astype("<i2").tobytes())
    except OSError as error:
        raise WavError(f"{path}: {error.strerror}") from None
