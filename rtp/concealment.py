"""What is heard where a packet is missing: the sound before it goes on, period by period, and fades."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rtp.comfort_noise import noise
from rtp.pcm import Pcm

HISTORY_MS = 60
"""How much of the past is needed."""

FADE_FROM_MS, FADE_TO_MS = 10, 60
"""Longer repetitions sound robotic: the level falls evenly between these two."""

JOIN_MS = 4
"""What comes after a gap is faded in over this time."""

_SHORTEST_MS, _LONGEST_MS = 5, 15  # periods: of a higher voice, several are one
_TEMPLATE_MS = 20
_COARSE_RATE = 8000

Samples = NDArray[np.float64]


class Concealment:
    """Goes on where `history`, int16[samples] at `rate`, ends. Beneath it is noise of the level `noise_level`.

    The pitch is found by likeness, as in ITU-T G.711 Appendix I, but nothing is delayed for it: the first period is
    bent to begin where the sound has ended. The longer it takes, the more periods are repeated in turn.
    """

    def __init__(self, history: Pcm, rate: int, *, noise_level: float = 0.0) -> None:
        self._rate = rate
        self._noise_level = noise_level
        self._position = 0
        self._sound = _go_on(history, rate) if history.any() else np.empty(0)

    @property
    def is_audible(self) -> bool:
        """Whether anything but noise is left of it."""
        return self._position < len(self._sound)

    def take(self, samples: int) -> Pcm:
        """Return the next int16[samples]."""
        taken = self._next(samples)
        self._position += samples
        return taken

    def join(self, pcm: Pcm) -> Pcm:
        """Return `pcm`, which is heard next, with its beginning faded in over the end of this."""
        samples = min(len(pcm), self._rate * JOIN_MS // 1000)
        weight = (np.arange(samples) + 1) / (samples + 1)
        joined = pcm.copy()
        joined[:samples] = np.rint(weight * pcm[:samples] + (1 - weight) * self._next(samples))
        return joined

    def _next(self, samples: int) -> Pcm:
        total = np.zeros(samples)
        sound = self._sound[self._position : self._position + samples]
        total[: len(sound)] = sound
        if self._noise_level:
            total += noise(self._position, samples, self._noise_level)
        return np.rint(total).clip(-32768, 32767).astype(np.int16)


def _go_on(history: Pcm, rate: int) -> Samples:
    """Return the fading continuation of `history`, float64[FADE_TO_MS]."""
    past = np.zeros(rate * HISTORY_MS // 1000)
    known = min(len(history), len(past))
    past[len(past) - known :] = history[len(history) - known :]
    period = _period(past, rate)
    ramp = period // 4
    length, step = rate * FADE_TO_MS // 1000, rate * FADE_FROM_MS // 1000
    sound = _repeated(past, period, ramp, length)
    for periods in (2, 3):  # from 10 ms on two periods in turn, from 20 ms on three
        begin, span = (periods - 1) * step, periods * period
        if known < span + ramp:
            break
        more = _repeated(past, span, ramp, length + span)
        at = begin % period  # in step with what was heard so far
        blend = np.minimum(np.arange(length - begin) / ramp, 1.0)
        sound[begin:] += blend * (more[at : at + length - begin] - sound[begin:])
    bend = np.maximum(1 - np.arange(length) / ramp, 0.0)
    sound += bend * (past[-1] - past[-1 - period])
    fade = (length - np.arange(length)) / (length - step)
    return sound * np.minimum(fade, 1.0)


def _repeated(past: Samples, span: int, ramp: int, length: int) -> Samples:
    """Repeat the last `span` samples, each round faded into the next over `ramp` samples."""
    cycle = past[-span:].copy()
    weight = (np.arange(ramp) + 1) / (ramp + 1)
    cycle[-ramp:] += weight * (past[-span - ramp : -span] - cycle[-ramp:])
    return np.resize(cycle, length)


def _period(past: Samples, rate: int) -> int:
    """Return the shift, in samples, at which the end of `past` is most like what was before it."""
    step = rate // _COARSE_RATE
    coarse = past[len(past) % step :: step]
    shortest, longest = (ms * _COARSE_RATE // 1000 for ms in (_SHORTEST_MS, _LONGEST_MS))
    best = _most_alike(coarse, shortest, longest, _TEMPLATE_MS * _COARSE_RATE // 1000)
    if step == 1:
        return best
    return _most_alike(past, (best - 1) * step, (best + 1) * step, _TEMPLATE_MS * rate // 1000)


def _most_alike(past: Samples, shortest: int, longest: int, size: int) -> int:
    windows = sliding_window_view(past[-size - longest : len(past) - shortest], size)[::-1]
    products = windows @ past[-size:]
    energies = np.einsum("ij,ij->i", windows, windows)
    return shortest + int(np.argmax(products / np.sqrt(np.maximum(energies, 1.0))))
