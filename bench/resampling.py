#!/usr/bin/env python3
"""Measures the resampler, tone by tone: its gain, its images and aliases, its delay, its cost; and draws them.

python -m bench.resampling [docs/resampling.svg]
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `sidecar serve` does; read when numpy is imported

import sys
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import timing
from rtp import Pcm, Resampler, frame_samples

PAIRS = [(8000, 16000), (16000, 8000), (8000, 24000), (24000, 8000), (8000, 48000), (48000, 8000)]
WIDE_PAIRS = [(16000, 24000), (24000, 16000), (16000, 48000), (48000, 16000)]
BATCHES = [1, 10, 100, 250, 500]
_FRAMES = 25
_SETTLED = 5  # frames, after which only the tone is there
_LEVEL = 29000.0


def spectra(rate_in: int, rate_out: int, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert a sine of each frequency; return dB[frequency, bin] of what comes out, in bins of 2.5 Hz."""
    resampler, rows = Resampler(rate_in, rate_out, rows=len(frequencies)), np.arange(len(frequencies))
    position = np.arange(_FRAMES * frame_samples(rate_in)) / rate_in
    tones: Pcm = np.rint(_LEVEL * np.sin(2 * np.pi * frequencies[:, None] * position)).astype(np.int16)
    frames = tones.reshape(len(frequencies), _FRAMES, -1)
    out = np.concatenate([resampler.process(rows, frames[:, at]) for at in range(_FRAMES)], axis=1)
    settled = out[:, _SETTLED * frame_samples(rate_out) :].astype(
        float
    )  # 400 ms: whole periods of each multiple of 2.5
    amplitude = np.abs(np.fft.rfft(settled, axis=1)) * 2 / settled.shape[1]
    decibels: NDArray[np.float64] = 20 * np.log10(amplitude / _LEVEL + 1e-9)
    return decibels


def response(rate_in: int, rate_out: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the frequencies, the gain at each, and the strongest image or alias that each makes, in dB."""
    frequencies = np.arange(50.0, rate_in / 2, 50.0)
    decibels = spectra(rate_in, rate_out, frequencies)
    gain = np.full(len(frequencies), -np.inf)
    for at, frequency in enumerate(frequencies):
        if frequency < rate_out / 2:
            own = round(frequency / 2.5)
            gain[at] = decibels[at, own]
            decibels[at, own] = -np.inf
    return frequencies, gain, decibels.max(axis=1)


def microseconds(rate_in: int, rate_out: int, rows: int) -> float:
    """Return the processor time of one frame of one row, in batches of `rows`: the best of several runs."""
    resampler, chosen = Resampler(rate_in, rate_out, rows=rows), np.arange(rows)
    pcm = np.random.default_rng(1).integers(-20000, 20000, (rows, frame_samples(rate_in))).astype(np.int16)
    return timing.microseconds(partial(resampler.process, chosen, pcm), rows=rows)


def report() -> None:
    """Print what docs/resampling.md states."""
    print("| Hz | delay, ms | passes flat to | within, dB | images and aliases, dB |")
    print("|---|---|---|---|---|")
    for rate_in, rate_out in PAIRS + WIDE_PAIRS:
        edge = 3400.0 if min(rate_in, rate_out) == 8000 else 7000.0
        stop = min(rate_in, rate_out) - edge
        frequencies, gain, other = response(rate_in, rate_out)
        ripple = np.abs(gain[frequencies <= edge]).max()
        clear = (frequencies <= edge) | (frequencies >= stop)  # what lies between is the slope
        delay = Resampler(rate_in, rate_out, rows=1).delay_ms
        print(f"| {rate_in} → {rate_out} | {delay} | {edge:.0f} | {ripple:.3f} | {other[clear].max():.1f} |")
    print()
    print("| Hz | " + " | ".join(f"{rows} rows" for rows in BATCHES) + " |")
    print("|---" * (len(BATCHES) + 1) + "|")
    for rate_in, rate_out in PAIRS:
        costs = " | ".join(f"{microseconds(rate_in, rate_out, rows):.2f}" for rows in BATCHES)
        print(f"| {rate_in} → {rate_out} | {costs} |")


def draw(path: Path) -> None:
    """Draw gain (dark) and images or aliases (light) of four conversions over the frequency that goes in."""
    panels = [(8000, 16000), (16000, 8000), (16000, 24000), (48000, 16000)]
    width, height, left, top = 360, 200, 50, 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * (width + left) + 20}" height="{2 * (height + 70)}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, (rate_in, rate_out) in enumerate(panels):
        x = left + number % 2 * (width + left)
        y = top + number // 2 * (height + 60)
        parts.append(f'<text x="{x}" y="{y - 8}">{rate_in} → {rate_out} Hz</text>')
        for decibels in range(0, -101, -20):
            at = y - decibels * height / 100
            parts.append(f'<path d="M{x} {at}h{width}" stroke="#ddd"/>')
            parts.append(f'<text x="{x - 4}" y="{at + 4}" text-anchor="end">{decibels} dB</text>')
        frequencies, gain, other = response(rate_in, rate_out)
        step = 1000 if rate_in <= 16000 else 4000
        for frequency in range(0, rate_in // 2 + 1, step):
            at = x + frequency / (rate_in / 2) * width
            parts.append(f'<text x="{at}" y="{y + height + 14}" text-anchor="middle">{frequency // 1000}k</text>')
        for values, colour in ((other, "#e08030"), (gain, "#204080")):
            points = " ".join(
                f"{x + frequency / (rate_in / 2) * width:.1f},{y - max(value, -100.0) * height / 100:.1f}"
                for frequency, value in zip(frequencies, values, strict=True)
            )
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


if __name__ == "__main__":
    report()
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]))
