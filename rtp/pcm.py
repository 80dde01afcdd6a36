"""The shape of audio in this package: frames of linear PCM, and the sums done on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FRAME_MS = 20
FRAMES_PER_SECOND = 1000 // FRAME_MS

Pcm = NDArray[np.int16]
"""Linear samples, int16[..., samples]."""

Rows = NDArray[np.int64]
"""The rows of the calls that a batch is about, int64[n], none twice."""


class Frames(NamedTuple):
    """One 20 ms frame of each of some calls, which all have the same sample rate."""

    rows: Rows
    pcm: Pcm  # int16[n, samples]


def frame_samples(rate: int) -> int:
    """Return the samples of one 20 ms frame at `rate` Hz."""
    return rate // FRAMES_PER_SECOND


def mix(caller: Pcm, callee: Pcm) -> Pcm:
    """Sum two batches of equal shape; saturate instead of wrapping around."""
    assert caller.shape == callee.shape
    total = caller.astype(np.int32)
    total += callee
    return total.clip(-32768, 32767).astype(np.int16)


def interleave(left: Pcm, right: Pcm) -> Pcm:
    """Make stereo frames int16[n, 2 * samples] of two mono batches int16[n, samples]."""
    assert left.shape == right.shape
    stereo = np.empty((left.shape[0], 2 * left.shape[1]), np.int16)
    stereo[:, 0::2], stereo[:, 1::2] = left, right
    return stereo


def groups(sizes: NDArray[np.uint32]) -> list[slice | NDArray[np.bool_]]:
    """Split a batch by size; most often all are alike."""
    if not len(sizes):
        return []
    if not np.count_nonzero(sizes != sizes[0]):
        return [slice(None)]
    return [sizes == size for size in np.unique(sizes)]


def records(array: NDArray[Any]) -> NDArray[np.void]:
    """View each row of a contiguous array[n, m] as one item, which numpy moves at once: else it goes by elements."""
    return array.view(f"V{array.shape[1] * array.itemsize}")[:, 0]


def converted(pcm: Pcm, rate: int, to: int) -> Pcm:
    """Bring the little that is heard twice, across a change of the codec, from one sample rate to another."""
    samples = len(pcm) * to // rate
    if samples == len(pcm):
        return pcm
    return np.interp(np.arange(samples) * rate / to, np.arange(len(pcm)), pcm).astype(np.int16)
