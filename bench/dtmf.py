#!/usr/bin/env python3
"""Measures the detector of DTMF in the audio: digits that it finds, speech that it takes for digits, and its cost.

Needs espeak-ng for the speech.

    python -m bench.dtmf
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import wave
from functools import partial

import numpy as np

from bench.make_sample import SAMPLE
from bench.timing import microseconds
from bench.voice import Samples, conversation, noise
from rtp import ToneDetector

RATE = 8000
_LOW, _HIGH, _DIGITS = (697, 770, 852, 941), (1209, 1336, 1477, 1633), "123A456B789C*0#D"
_DIALLED = _DIGITS * 20


def dial(*, on_ms: int, off_ms: int, shift: float, generator: np.random.Generator) -> Samples:
    """Return all digits in turn, each tone at -12 dBFS."""
    parts = [np.zeros(int(generator.integers(400, 560)))]
    time_ = np.arange(on_ms * 8) / RATE * (1 + shift)
    for digit in _DIALLED:
        low, high = _LOW[_DIGITS.index(digit) // 4], _HIGH[_DIGITS.index(digit) % 4]
        phase = generator.uniform(0, 2 * np.pi)
        parts.append(8230 * (np.sin(2 * np.pi * low * time_) + np.sin(2 * np.pi * high * time_ + phase)))
        parts.append(np.zeros(off_ms * 8))
    return np.concatenate([*parts, np.zeros(800)])


def found(samples: Samples) -> str:
    detector, row, digits = ToneDetector(1), np.array([0]), ""
    pcm = np.rint(samples).clip(-32768, 32767).astype(np.int16)
    for frame in pcm[: len(pcm) // 160 * 160].reshape(-1, 1, 160):
        digits += "".join(digit.digit for _, digit in detector.process(row, frame))
    return digits


def main() -> None:
    """Print what docs/dtmf.md states."""
    generator = np.random.default_rng(1)
    print(f"| {len(_DIALLED)} digits | found |")
    print("|---|---|")
    for on_ms, off_ms, shift, snr in (
        (40, 40, 0.0, 60),
        (25, 25, 0.0, 60),
        (50, 50, 0.015, 60),
        (50, 50, -0.015, 60),
        (50, 50, 0.035, 60),
        (50, 50, 0.0, 15),
        (50, 50, 0.0, 10),
    ):
        samples = dial(on_ms=on_ms, off_ms=off_ms, shift=shift, generator=generator)
        samples += noise("white", len(samples), generator) * 8230 * 10 ** (-snr / 20)
        digits = found(samples)
        count = "all, none twice" if digits == _DIALLED else str(len(digits))
        print(f"| {on_ms} ms on, {off_ms} ms off, {100 * shift:+.1f} %, noise {snr} dB below | {count} |")
    print()
    speech, _ = conversation(generator)
    with wave.open(str(SAMPLE)) as file:
        melody = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    print("| no digits | found |")
    print("|---|---|")
    for gain in (1, 2, 4):
        what = f"{len(speech) / RATE:.0f} s of speech, {20 * np.log10(gain):.0f} dB louder"
        print(f"| {what} | {len(found(speech * gain))} |")
    print(f"| {len(melody) / RATE:.0f} s of melody | {len(found(melody))} |")
    print(f"| 600 s of noise | {len(found(noise('white', 600 * RATE, generator) * 3000))} |")
    print()
    print("| calls in a batch | µs a frame and call |")
    print("|---|---|")
    for rows in (1, 10, 100, 500):
        detector, chosen = ToneDetector(rows), np.arange(rows)
        pcm = generator.integers(-3000, 3000, (rows, 160)).astype(np.int16)
        cost = microseconds(partial(detector.process, chosen, pcm), rows=rows)
        print(f"| {rows} | {cost:.2f} |")


if __name__ == "__main__":
    main()
