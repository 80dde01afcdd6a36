#!/usr/bin/env python3
"""Measures the voice detector: on speech in noise, on what is no speech, and what it costs.

Needs espeak-ng, which speaks twenty sentences with four voices.

    python -m bench.voice
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import subprocess
import wave
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.make_sample import SAMPLE
from bench.timing import microseconds
from rtp import VoiceDetector

Samples = NDArray[np.float64]

RATE = 8000
_VOICES = ("en", "en-us+f3", "de", "en+m7")
_SENTENCES = (
    "Hello, I would like to change the delivery address of my order, please.",
    "Yes.",
    "The number is four, seven, eleven, zero eight fifteen.",
    "No, thank you very much, that was all I needed today. Goodbye.",
    "Well, I am not quite sure whether that is the right thing to do at this moment.",
)
_ESPEAK_RATE = 22050
_AUDIBLE = 300  # of 32767
_SPEECH_DBFS = -23.0


def speak(text: str, voice: str) -> Samples:
    """Return the sentence at 8 kHz."""
    command = ["espeak-ng", "-v", voice, "-s", "160", "--stdout", text]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    pcm = np.frombuffer(data[44:], "<i2").astype(float)
    low_pass = np.sinc(np.arange(-40, 41) * RATE / _ESPEAK_RATE * 0.9) * np.hamming(81)
    pcm = np.convolve(pcm, low_pass / low_pass.sum(), "same")
    count = len(pcm) * RATE // _ESPEAK_RATE
    speech = np.interp(np.arange(count) * _ESPEAK_RATE / RATE, np.arange(len(pcm)), pcm)
    power = (speech[np.abs(speech) > _AUDIBLE] ** 2).mean()
    scaled: Samples = speech * 32768 * 10 ** (_SPEECH_DBFS / 20) / np.sqrt(power)
    return scaled


def conversation(generator: np.random.Generator) -> tuple[Samples, list[tuple[float, float]]]:
    """Return all sentences with pauses between them, and the seconds at which each starts and ends."""
    parts, spans = [np.zeros(3 * RATE // 2)], []
    for voice in _VOICES:
        for sentence in _SENTENCES:
            speech, start = speak(sentence, voice), sum(map(len, parts))
            heard = np.flatnonzero(np.abs(speech) > _AUDIBLE)
            spans.append(((start + heard[0]) / RATE, (start + heard[-1]) / RATE))
            parts += [speech, np.zeros(int(RATE * generator.uniform(1.2, 2.5)))]
    return np.concatenate(parts), spans


def noise(kind: str, count: int, generator: np.random.Generator) -> Samples:
    """Return noise of power 1: white, pink, or falling by 6 dB an octave as in a car."""
    spectrum = np.fft.rfft(generator.normal(size=count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(hertz, 20))
    elif kind == "car":
        spectrum /= np.maximum(hertz, 50)
    samples: Samples = np.fft.irfft(spectrum, count)
    return samples / samples.std()


def starts_of(samples: Samples) -> list[float]:
    """Return the seconds at which speech was found to start."""
    detector, row, starts = VoiceDetector(1), np.array([0]), []
    pcm = np.rint(samples).clip(-32768, 32767).astype(np.int16)
    for number, frame in enumerate(pcm[: len(pcm) // 160 * 160].reshape(-1, 1, 160)):
        if len(detector.process(row, frame).started):
            starts.append((number + 1) * 0.02)
    return starts


def speech_in_noise(generator: np.random.Generator) -> None:
    speech, spans = conversation(generator)
    power = (speech[np.abs(speech) > _AUDIBLE] ** 2).mean()
    print("| noise | SNR, dB | sentences found | start found after, ms: median, worst | starts where nobody began |")
    print("|---|---|---|---|---|")
    for kind in ("white", "pink", "car"):
        for snr in (40, 20, 15, 10, 5):
            mixed = speech + noise(kind, len(speech), generator) * np.sqrt(power / 10 ** (snr / 10))
            starts = starts_of(mixed)
            inside = [[at for at in starts if start - 0.04 <= at <= end + 0.1] for start, end in spans]
            late = sorted(1000 * (found[0] - span[0]) for found, span in zip(inside, spans, strict=True) if found)
            false = len(starts) - sum(map(len, inside))
            print(f"| {kind} | {snr} | {len(late)} of {len(spans)} ", end="")
            print(f"| {late[len(late) // 2]:.0f}, {late[-1]:.0f} | {false} |")


def what_is_no_speech(generator: np.random.Generator) -> None:
    print("| what | starts |")
    print("|---|---|")
    for kind in ("white", "pink", "car"):
        for level in (-60, -45, -35, -25):
            starts = starts_of(noise(kind, 300 * RATE, generator) * 32768 * 10 ** (level / 20))
            print(f"| 5 minutes of {kind} noise at {level} dBFS | {len(starts)} |")
    seconds = np.arange(60 * RATE) / RATE
    hiss = 20 * generator.normal(size=len(seconds))
    ringing = np.where(seconds % 5 < 1, 8000 * np.sin(2 * np.pi * 425 * seconds), 0)
    pair = np.sin(2 * np.pi * 770 * seconds) + np.sin(2 * np.pi * 1336 * seconds)
    digits = np.where(seconds % 1 < 0.1, 6000 * pair, 0)
    with wave.open(str(SAMPLE)) as file:
        melody = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    print(f"| a minute of ringing, 1 s of 5 | {len(starts_of(ringing + hiss))} |")
    print(f"| a minute of DTMF in band, 100 ms a second | {len(starts_of(digits + hiss))} |")
    print(f"| a minute of the melody | {len(starts_of(np.resize(melody, 60 * RATE)))} |")


def cost(generator: np.random.Generator) -> None:
    print("| calls in a batch | µs a frame and call |")
    print("|---|---|")
    for rows in (1, 10, 100, 250, 500):
        detector, chosen = VoiceDetector(rows), np.arange(rows)
        pcm = generator.integers(-3000, 3000, (rows, 160)).astype(np.int16)
        best = microseconds(partial(detector.process, chosen, pcm), rows=rows, frames=2000)
        print(f"| {rows} | {best:.2f} |")


if __name__ == "__main__":
    numbers = np.random.default_rng(3)
    for part in (speech_in_noise, what_is_no_speech, cost):
        part(numbers)
        print()
