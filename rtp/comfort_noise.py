"""Noise in the place of pauses that are not sent (RFC 3389), so that a pause sounds like one, and takes its time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtp.pcm import Pcm

LOUDEST = 10 ** (-50 / 20) * 32768
"""What is taken for background noise, where the sender does not say: -50 dBov at most. Louder was speech cut short."""

_BLOCKS_A_SECOND = 100

# White noise, always the same: two receivers of the same packets give the same samples. It begins again after 4 s.
_NOISE: NDArray[np.float64] = np.random.default_rng(3389).standard_normal(32768)


def noise_level(payload: bytes) -> float:
    """Return the level that a comfort noise packet asks for, as the root mean square of samples.

    Its first byte is the level below overload in dB (RFC 3389, section 3.1); the shape of the spectrum is not followed.
    """
    return 32768 * 10 ** (-(payload[0] & 0x7F) / 20) if payload else 0.0


def background_level(history: Pcm, rate: int) -> float:
    """Return the level of the softest 10 ms of `history`, int16[samples]: what is there when nobody speaks."""
    size = rate // _BLOCKS_A_SECOND
    blocks = history[: len(history) // size * size].astype(np.float64).reshape(-1, size)
    return min(LOUDEST, float(np.sqrt(np.mean(blocks**2, axis=1)).min(initial=LOUDEST)))


def noise(position: int, samples: int, level: float) -> NDArray[np.float64]:
    """Return float64[samples] of noise from `position` on, with the root mean square `level`."""
    return np.take(_NOISE, np.arange(position, position + samples), mode="wrap") * level
