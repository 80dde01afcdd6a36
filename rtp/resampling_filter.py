"""The low-pass filters of the resampler, laid out as matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtp.pcm import frame_samples

_TAPS = {8000: 26}
"""Samples at the lower rate that a filter spans. At 8 kHz its slope is 3.4 to 4.6 kHz;"""

_TAPS_WIDE = 32
"""at 16 kHz it is 7 to 9 kHz, which is steeper for its rate, and at higher rates the same in proportion."""

_KAISER_BETA = 6.0  # stop band 61 dB down or more
_SCALE = float(1 << 20)
_OUTPUTS_A_BLOCK = range(16, 64, 8)  # larger blocks multiply by more zeros, smaller ones cost more each
_HALF_BAND_BLOCK = 16


@dataclass(frozen=True, slots=True)
class ResamplingFilter:
    """A filter as one block of its work: a window of inputs, old ones first, times `matrix` gives a block of outputs.

    The coefficients are multiples of 2**-21, so every sum of their products with samples is exact in a float64.
    """

    matrix: NDArray[np.float64]  # [inputs of a window, outputs of a block]
    block: int  # inputs from the start of one window to the start of the next
    history: int  # input samples kept from the frame before
    delay: float  # input samples


@cache
def design(rate_in: int, rate_out: int) -> ResamplingFilter:
    """Design the filter between two rates; where one is twice the other, only what is not plain in a half-band one.

    Then every second coefficient is zero but the middle one: every second output is an input (twice the rate), or
    every second input goes into one output alone (half the rate), and the matrix is for the others.
    """
    if rate_out == 2 * rate_in:
        between = _phases(rate_in, rate_out)[1:]
        taps = between.shape[1]
        return ResamplingFilter(_banded(between, _HALF_BAND_BLOCK, 1), _HALF_BAND_BLOCK, taps, taps / 2)
    if rate_in == 2 * rate_out:
        between = _phases(rate_out, rate_in)[1:] / 2
        taps = between.shape[1]
        return ResamplingFilter(_banded(between, _HALF_BAND_BLOCK, 1), _HALF_BAND_BLOCK, 2 * taps, taps)
    phases = _phases(rate_in, rate_out)
    up, taps = phases.shape
    down = up * rate_in // rate_out
    samples = frame_samples(rate_in)
    block = next(
        size for size in range(down, samples + 1, down) if size * up // down in _OUTPUTS_A_BLOCK and samples % size == 0
    )
    return ResamplingFilter(_banded(phases, block, down), block, taps - 1, taps / 2)


def _phases(rate_in: int, rate_out: int) -> NDArray[np.float64]:
    """Sample a windowed sinc at the lower Nyquist rate: [p, i] weighs the input i samples ago in phase p."""
    lower = min(rate_in, rate_out)
    up = rate_out // math.gcd(rate_in, rate_out)
    taps = _TAPS.get(lower, _TAPS_WIDE) * rate_in // lower
    length = taps * up
    position = np.arange(length) - length / 2
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (2 * position / length) ** 2)) / np.i0(_KAISER_BETA)
    prototype = np.sinc(position * lower / (rate_in * up)) * window
    phases: NDArray[np.float64] = prototype.reshape(taps, up).T
    phases = np.rint(phases / phases.sum(axis=1, keepdims=True) * _SCALE)
    phases[:, taps // 2] += _SCALE - phases.sum(axis=1)  # direct current passes unchanged, in every phase
    return phases / _SCALE


def _banded(phases: NDArray[np.float64], block: int, down: int) -> NDArray[np.float64]:
    """Lay the phases out so that `block` new inputs, after as many old ones as it takes, are one product."""
    up, taps = phases.shape
    matrix = np.zeros((taps - 1 + block, block * up // down))
    for output in range(matrix.shape[1]):
        newest, phase = divmod(output * down, up)
        matrix[newest : newest + taps, output] = phases[phase, ::-1]
    return matrix
