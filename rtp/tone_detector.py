"""Digits that come as tones in the audio, of many calls at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtp.codec import CLOCK_RATE
from rtp.dtmf_receiver import Digit
from rtp.pcm import Pcm, Rows, frame_samples

_LOW = (697, 770, 852, 941)
_HIGH = (1209, 1336, 1477, 1633)
_DIGITS = ("123A", "456B", "789C", "*0#D")  # by low tone, then by high one; ITU-T Q.23

_WINDOW = 102  # samples: as wide as tones that are 1.5 % off need it
_HOP = 80  # samples, 10 ms
_HOP_MS = 10
_SCALE = 1 << 14  # of the coefficients, which are integers: their sums are exact whatever their order

_QUIETEST = (32768 * 10 ** (-38 / 20)) ** 2
"""Squared amplitude that each of the two tones has at least: -38 dBFS."""

_LOW_LOUDER = 10 ** (9 / 10)
_HIGH_LOUDER = 10 ** (5 / 10)
"""By how much one may be louder than the other (twist): 8 and 4 dB, and 1 dB for what measuring errs."""

_PEAK = 10 ** (8 / 10)
"""By how much each tone stands out of the others of its group."""

_PURITY = 0.74
"""Part of the power that is in the two tones; speech has more beside them, and so it is not taken for digits."""

_HITS = 2  # windows in a row that make a digit: 23 ms
_MISSES = 2  # windows in a row without it that end it
_NONE = -1


def _basis() -> NDArray[np.float64]:
    """Return cosines and sines of the eight tones: float64[102, 16]."""
    turns = 2 * np.pi / CLOCK_RATE * np.outer(np.arange(_WINDOW), _LOW + _HIGH)
    basis: NDArray[np.float64] = np.rint(_SCALE * np.concatenate([np.cos(turns), np.sin(turns)], axis=1))
    return basis


class ToneDetector:
    """Finds DTMF in audio at 8 kHz, one row a call: it ends for digits that last 40 ms and pauses of 40 ms.

    Each 10 ms, the power of the eight tones in the last 13 ms is measured. A row gives the same in any batch.
    """

    def __init__(self, rows: int) -> None:
        self._basis = _basis()
        self._past = np.zeros((rows, _WINDOW - _HOP), np.int16)
        self._last = np.full(rows, _NONE)  # what the window before had
        self._digit = np.full(rows, _NONE)  # what goes on
        self._length = np.zeros(rows, np.int64)  # windows
        self._misses = np.zeros(rows, np.int64)  # windows in a row

    def reset(self, row: int) -> None:
        """Forget the past of `row`: a new call begins in it."""
        self._past[row] = 0
        self._last[row] = self._digit[row] = _NONE

    def process(self, rows: Rows, pcm: Pcm) -> list[tuple[int, Digit]]:
        """Take one frame of each row, int16[n, 160]; return the digits that have ended, and in which rows."""
        signal = np.concatenate([self._past[rows], pcm], axis=1).astype(np.float64)
        self._past[rows] = pcm[:, _HOP - _WINDOW :]
        found: list[tuple[int, Digit]] = []
        for start in range(0, frame_samples(CLOCK_RATE), _HOP):
            found += self._follow(rows, _heard(signal[:, start : start + _WINDOW], self._basis))
        return found

    def _follow(self, rows: Rows, heard: NDArray[np.int64]) -> list[tuple[int, Digit]]:
        """Take what one window of each row had; return the digits that are over with it."""
        digit = self._digit[rows]
        goes_on = (digit != _NONE) & (heard == digit)
        misses = np.where(goes_on, 0, self._misses[rows] + 1)
        begins = (heard != _NONE) & (heard == self._last[rows]) & ~goes_on
        over = (digit != _NONE) & (begins | (misses >= _MISSES))
        ended = [
            (row, Digit(_name(number), length * _HOP_MS))
            for row, number, length in zip(
                rows[over].tolist(), digit[over].tolist(), self._length[rows[over]].tolist(), strict=True
            )
        ]
        self._last[rows] = heard
        self._digit[rows] = np.where(begins, heard, np.where(over, _NONE, digit))
        self._length[rows] = np.where(begins, _HITS, self._length[rows] + goes_on)
        self._misses[rows] = np.where(begins, 0, misses)
        return ended


def _name(number: int) -> str:
    return _DIGITS[number // 4][number % 4]


def _heard(window: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the digit in each window float64[n, 102], 0..15 by low and high tone, or -1."""
    parts = window @ basis
    squares = parts * parts
    tones = (squares[:, :8] + squares[:, 8:]) * (2 / (_WINDOW * _SCALE)) ** 2  # squared amplitudes
    low, high = tones[:, :4], tones[:, 4:]
    order = np.arange(len(window))
    best_low, best_high = low.argmax(axis=1), high.argmax(axis=1)
    lows, highs = low[order, best_low], high[order, best_high]
    power = np.einsum("ij,ij->i", window, window) * (2 / _WINDOW)
    is_digit = (
        (np.minimum(lows, highs) >= _QUIETEST)
        & (lows <= highs * _LOW_LOUDER)
        & (highs <= lows * _HIGH_LOUDER)
        & (lows >= _second(low) * _PEAK)
        & (highs >= _second(high) * _PEAK)
        & (lows + highs >= power * _PURITY)
    )
    return np.where(is_digit, 4 * best_low + best_high, _NONE)


def _second(tones: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the second largest of each row."""
    second: NDArray[np.float64] = np.partition(tones, -2, axis=1)[:, -2]
    return second
