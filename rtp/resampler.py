"""Streaming conversion between sample rates: a polyphase filter as small matrix products, for many calls at once.

The arithmetic is exact. Samples are integers, the coefficients are integers too (scaled by a power of two), and every
sum of their products fits the 53 bits of a float64: so no order of summation can change a result, and one call alone,
a thousand calls in a batch, and every machine's matrix product give the same samples (docs/adr/0005, docs/adr/0016).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rtp.pcm import Pcm, Rows, frame_samples, records
from rtp.resampling_filter import ResamplingFilter, design

_ROWS_AT_ONCE = 128  # what they need stays in the cache, and is taken from the system once


class Resampler:
    """Converts 20 ms frames from one rate to another; each row keeps the end of its own past.

    Every frame in gives one frame out, delayed by `delay_ms`. Rates are multiples of 8000 Hz.
    """

    def __init__(self, rate_in: int, rate_out: int, *, rows: int) -> None:
        assert rate_in % 8000 == rate_out % 8000 == 0, "rates are multiples of 8000 Hz"
        self.rate_in = rate_in
        self.rate_out = rate_out
        self._filter = design(rate_in, rate_out) if rate_in != rate_out else None
        self._doubles = rate_out == 2 * rate_in
        self._halves = rate_in == 2 * rate_out
        if self._filter is not None:
            at_once = min(rows, _ROWS_AT_ONCE)
            samples = frame_samples(rate_in)
            self._history = np.zeros((rows, self._filter.history), np.int16)
            self._history_records = records(self._history)
            self._signal = np.empty((at_once, self._filter.history + samples), np.int16)
            blocks = (samples // 2 if self._halves else samples) // self._filter.block
            self._product = _Product(self._filter, blocks, at_once)

    @property
    def delay_ms(self) -> float:
        """How much later the audio comes out, in ms: half the filter."""
        return self._filter.delay * 1000 / self.rate_in if self._filter else 0.0

    def reset(self, row: int) -> None:
        """Forget the past of `row`: a new call begins in it."""
        if self._filter is not None:
            self._history[row] = 0

    def process(self, rows: Rows, pcm: Pcm) -> Pcm:
        """Convert one frame of each row: int16[n, rate_in / 50] to int16[n, rate_out / 50]."""
        if self._filter is None:
            return pcm
        out = np.empty((len(rows), frame_samples(self.rate_out)), np.int16)
        if len(rows) <= _ROWS_AT_ONCE:
            self._convert(self._filter, rows, pcm, out)
            return out
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            self._convert(self._filter, rows[some], pcm[some], out[some])
        return out

    def _convert(self, filter: ResamplingFilter, rows: Rows, pcm: Pcm, out: Pcm) -> None:
        count, samples = pcm.shape
        history = filter.history
        signal = self._signal[:count]
        signal[:, :history] = self._history.take(rows, axis=0)
        signal[:, history:] = pcm
        self._history_records[rows] = records(signal[:, samples:].copy())
        if self._doubles:
            out[:, 0::2] = signal[:, history // 2 : history // 2 + samples]
            _saturate(self._product.of(signal[:, 1:]), out[:, 1::2])
        elif self._halves:
            product = self._product.of(signal[:, 1:-1:2])
            product += signal[:, history // 2 : history // 2 + samples : 2] * 0.5
            _saturate(product, out)
        else:
            _saturate(self._product.of(signal), out)


class _Product:
    """The product of a filter's matrix and every window of each row. Windows overlap; none is copied."""

    def __init__(self, filter: ResamplingFilter, blocks: int, rows: int) -> None:
        window, outputs = filter.matrix.shape
        self._matrix = filter.matrix
        self._input = np.empty((rows, window + (blocks - 1) * filter.block))
        self._output = np.empty((rows, blocks * outputs))
        self._windows = _blocks(self._input, blocks, window, filter.block)
        self._products = _blocks(self._output, blocks, outputs, outputs)

    def of(self, signal: Pcm) -> NDArray[np.float64]:
        """Return float64[n, outputs] of int16[n, inputs]; it is overwritten next time."""
        count = len(signal)
        self._input[:count] = signal
        np.matmul(self._windows[:, :count], self._matrix, out=self._products[:, :count])
        return self._output[:count]


def _blocks(array: NDArray[np.float64], blocks: int, width: int, step: int) -> NDArray[np.float64]:
    """View float64[n, samples] as float64[blocks, n, width], where each block begins `step` samples after the last."""
    rows, columns = array.strides
    return as_strided(array, (blocks, len(array), width), (step * columns, rows, columns))


def _saturate(samples: NDArray[np.float64], out: Pcm) -> None:
    """Round into int16; what is beyond its range stays at its ends."""
    np.rint(samples, out=samples)
    samples.clip(-32768, 32767, out=samples)
    out[:] = samples
