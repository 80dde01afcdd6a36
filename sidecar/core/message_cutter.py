"""Gathers 20 ms frames into messages of BUFFER_SIZE."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtp import Pcm, Rows


class MessageCutter:
    """Keeps the unfinished message of each row; all messages have the same number of frames."""

    def __init__(self, *, frame_samples: int, frames: int, rows: int) -> None:
        self._frames = frames
        self._samples = frame_samples
        # The system gives memory for the rows that are used, when they are used.
        self._gathered = np.zeros((rows, frames if frames > 1 else 0, frame_samples), np.int16)
        self._filled = np.zeros(rows, np.int64)

    def cut(self, rows: Rows, pcm: Pcm) -> tuple[Rows, Pcm]:
        """Take one frame int16[n, samples] of each row; return the rows whose message is full, and the messages."""
        if self._frames == 1:
            return rows, pcm
        at = self._filled[rows]
        self._gathered[rows, at] = pcm
        self._filled[rows] = at + 1
        full = rows[at + 1 == self._frames]
        self._filled[full] = 0
        return full, self._gathered[full].reshape(len(full), self._frames * self._samples)

    def take_rest(self, row: int) -> Pcm:
        """Return what is gathered of the row's next message, int16[samples], and forget it."""
        filled, self._filled[row] = int(self._filled[row]), 0
        rest: Pcm = self._gathered[row, :filled].reshape(-1)
        return rest

    def begin_with(self, row: int, rest: Pcm) -> None:
        """Begin the row's next message with what another cutter has given as rest."""
        frames = rest.reshape(-1, self._gathered.shape[2])
        self._gathered[row, : len(frames)] = frames
        self._filled[row] = len(frames)


def as_bytes(messages: Pcm) -> NDArray[np.uint8]:
    """Return messages int16[n, m] as little-endian uint8[n, 2 * m]."""
    return np.ascontiguousarray(messages, "<i2").view(np.uint8)


def as_samples(data: NDArray[np.uint8]) -> Pcm:
    """Return little-endian uint8[n, 2 * m] as samples int16[n, m]."""
    return data.view("<i2").astype(np.int16, copy=False)
