"""Two legs that hear the same clicks, each with a clock and a network of its own."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np

from rtp import Pcm, frame_samples

RATE = 8000
CLICK = 20_000


@dataclass(frozen=True, slots=True)
class FarVoice:
    """One party, and how its voice comes to us."""

    ppm: float = 0.0  # by which its clock is slow
    phase: float = 0.0  # seconds after 0 at which its first frame begins
    delay: float = 0.010  # of its network, at the least
    jitter: float = 0.0  # seconds more, at the most
    lateness: float = 0.0  # seconds more, of one frame in fifty
    silent: tuple[float, float] = (0.0, 0.0)  # from and until: nothing comes

    def frames(self, clicks: list[float], *, seconds: float, random: Random) -> Iterator[tuple[float, Pcm]]:
        """Give frames and when they come, in order: a hum, and clicks that sound at the times given."""
        size, came = frame_samples(RATE), 0.0
        period = (1 + self.ppm / 1e6) / RATE
        places = np.array([round((click - self.phase) / period) for click in clicks])
        for number in range(int((seconds - self.phase) / (period * size))):
            first = number * size
            pcm = np.rint(300 * np.sin(np.arange(first, first + size) * 0.1)).astype(np.int16)
            for place in places[(places >= first) & (places < first + size)]:
                pcm[place - first] = CLICK
            complete = self.phase + (first + size) * period
            late = self.lateness if random.random() < 0.02 else 0.0
            came = max(came, complete + self.delay + random.uniform(0, self.jitter) + late)
            if not self.silent[0] <= complete < self.silent[1]:
                yield came, pcm


def as_they_come(*voices: Iterator[tuple[float, Pcm]]) -> Iterator[tuple[float, int, Pcm]]:
    """Give the frames of all voices in the order in which they come: when, whose, what."""
    return heapq.merge(*map(_numbered, itertools.count(), voices), key=lambda each: each[:2])


def _numbered(which: int, voice: Iterator[tuple[float, Pcm]]) -> Iterator[tuple[float, int, Pcm]]:
    for at, pcm in voice:
        yield at, which, pcm


def clicks_in(pcm: Pcm) -> list[float]:
    """Return the seconds at which clicks are heard."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > CLICK // 3)
    first = loud[np.diff(loud, prepend=-RATE) > RATE // 20]
    return [float(at) / RATE for at in first]
