"""Streaming conversion between sample rates: a polyphase filter as a matrix product, for many calls at once.

The arithmetic is exact. Samples are integers, the coefficients are integers too (scaled by 2**20), and every sum of
their products fits the 53 bits of a float64: so no order of summation can change a result, and one call alone, a
thousand calls in a batch, and every machine's matrix product give the same samples (docs/adr/0005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rtp.pcm import FRAMES_PER_SECOND, Pcm, Rows, frame_samples

_TAPS = 32  # input samples a phase, at the lower of the two rates
_KAISER_BETA = 6.5  # stop band 66 dB down or more
_SCALE = float(1 << 20)
_MOST_OUTPUTS_A_BLOCK = 64  # larger blocks multiply by more zeros, smaller ones cost more per call


@dataclass(frozen=True, slots=True)
class _Filter:
    """One block of the conversion: `window` input samples (history first) give `matrix.shape[1]` outputs."""

    history: int  # input samples kept from the frame before
    block: int  # new input samples a block
    matrix: NDArray[np.float64]


@cache
def _design(rate_in: int, rate_out: int) -> _Filter:
    """Design the windowed-sinc low-pass for the lower of two Nyquist rates, and lay its phases out as a matrix."""
    common = math.gcd(rate_in, rate_out)
    up, down = rate_out // common, rate_in // common
    taps = _TAPS * rate_in // min(rate_in, rate_out)
    length = taps * up
    position = np.arange(length) - length / 2
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (2 * position / length) ** 2)) / np.i0(_KAISER_BETA)
    prototype = np.sinc(position * min(rate_in, rate_out) / (rate_in * up)) * window
    phases = prototype.reshape(taps, up).T  # phases[p, i] weighs the input i samples ago
    phases = np.rint(phases / phases.sum(axis=1, keepdims=True) * _SCALE)
    phases[:, taps // 2] += _SCALE - phases.sum(axis=1)  # direct current passes unchanged, in every phase

    blocks = [
        size
        for size in range(down, frame_samples(rate_in) + 1, down)
        if frame_samples(rate_in) % size == 0 and size * up // down <= _MOST_OUTPUTS_A_BLOCK
    ]
    block = max(blocks, default=down)
    matrix = np.zeros((taps - 1 + block, block * up // down))
    for output in range(matrix.shape[1]):
        newest, phase = divmod(output * down, up)
        matrix[newest : newest + taps, output] = phases[phase, ::-1]
    return _Filter(taps - 1, block, matrix)


class Resampler:
    """Converts 20 ms frames from one rate to another; each row keeps the end of its own past.

    Every frame in gives one frame out, delayed by `delay_ms`. Rates are multiples of 8000 Hz.
    """

    def __init__(self, rate_in: int, rate_out: int, *, rows: int) -> None:
        assert rate_in % 8000 == rate_out % 8000 == 0, "rates are multiples of 8000 Hz"
        self.rate_in = rate_in
        self.rate_out = rate_out
        self._filter = _design(rate_in, rate_out) if rate_in != rate_out else None
        self._history = np.zeros((rows, self._filter.history if self._filter else 0))

    @property
    def delay_ms(self) -> float:
        """How much later the audio comes out, in ms: half the filter."""
        return (self._filter.history + 1) / 2 * 1000 / self.rate_in if self._filter else 0.0

    def reset(self, row: int) -> None:
        """Forget the past of `row`: a new call begins in it."""
        self._history[row] = 0.0

    def process(self, rows: Rows, pcm: Pcm) -> Pcm:
        """Convert one frame of each row: int16[n, rate_in / 50] to int16[n, rate_out / 50]."""
        if self._filter is None:
            return pcm
        history, block, matrix = self._filter.history, self._filter.block, self._filter.matrix
        count, samples = len(rows), pcm.shape[1]
        signal = np.empty((count, history + samples))
        signal[:, :history] = self._history[rows]
        signal[:, history:] = pcm
        self._history[rows] = signal[:, samples:]
        blocks = samples // block
        windows = as_strided(
            signal,
            (count, blocks, matrix.shape[0]),
            (signal.strides[0], block * signal.strides[1], signal.strides[1]),
        )
        output = windows.reshape(count * blocks, -1) @ matrix
        output *= 1 / _SCALE
        np.rint(output, out=output)
        np.clip(output, -32768, 32767, out=output)
        return output.astype(np.int16).reshape(count, self.rate_out // FRAMES_PER_SECOND)
