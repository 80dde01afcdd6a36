"""The jitter buffers of many calls at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtp.jitter_buffer import GONE_FRAMES, START_FRAMES, WINDOW_FRAMES, is_quiet, merged
from rtp.pcm import Pcm, Rows, records


class JitterRows:
    """What a `JitterBuffer` is for one call, a row each, and with the same result; all frames have the same size."""

    def __init__(self, rows: int, *, frame_samples: int, max_frames: int) -> None:
        # The system gives memory for the rows that are used, when they are used.
        self._frames = np.zeros((rows * max_frames, frame_samples), np.int16)
        self._records = records(self._frames)
        self._max_frames = max_frames
        self._first = np.zeros(rows, np.int64)
        self._count = np.zeros(rows, np.int64)
        self._playing = np.zeros(rows, np.bool_)
        self._missed = np.zeros(rows, np.int64)
        self._reads = np.zeros(rows, np.int64)
        self._lowest = np.zeros(rows, np.int64)
        self._excess = np.zeros(rows, np.int64)
        self._underruns = np.zeros(rows, np.int64)
        self._dropped = np.zeros(rows, np.int64)

    def reset(self, row: int) -> None:
        """Begin a call in `row`."""
        self._count[row] = self._missed[row] = self._underruns[row] = self._dropped[row] = 0
        self._playing[row] = False

    def underruns(self, row: int) -> int:
        """Return how often `row` ran dry."""
        return int(self._underruns[row])

    def dropped_frames(self, row: int) -> int:
        """Return how many frames of `row` were left out."""
        return int(self._dropped[row])

    def write(self, rows: Rows, frames: Pcm) -> None:
        """Take the next frame of each row, int16[n, samples]."""
        first, count = self._first.take(rows), self._count.take(rows)
        full = count == self._max_frames
        if np.count_nonzero(full):
            first, count = (first + full) % self._max_frames, count - full
            self._first[rows] = first
            self._dropped[rows] += full
        self._records[rows * self._max_frames + (first + count) % self._max_frames] = records(
            np.ascontiguousarray(frames)
        )
        self._count[rows] = count + 1
        starts = ~self._playing.take(rows) & (count + 1 >= START_FRAMES)
        if np.count_nonzero(starts):
            self._playing[rows[starts]] = True
            self._begin_window(rows[starts], excess=0)

    def read(self, rows: Rows) -> Pcm:
        """Return the next frame of each row, int16[n, samples]; silence where there is nothing to give yet."""
        first, count = self._first.take(rows), self._count.take(rows)
        pcm: Pcm = self._frames.take(rows * self._max_frames + first, axis=0)
        gives = self._playing.take(rows) & (count > 0)
        if np.count_nonzero(gives) < len(rows):
            pcm[~gives] = 0
            self._miss(rows[self._playing.take(rows) & (count == 0)])
            places = np.flatnonzero(gives)
            rows, first, count = rows[gives], first[gives], count[gives]
        else:
            places = None
        self._missed[rows] = 0
        self._first[rows], self._count[rows] = (first + 1) % self._max_frames, count - 1
        shortened = (self._excess.take(rows) > 0) & (count > 1)
        if np.count_nonzero(shortened):
            for at in np.flatnonzero(shortened).tolist():
                place = at if places is None else places[at]
                pcm[place] = self._shortened(int(rows[at]), pcm[place])
        self._note_reads(rows)
        return pcm

    def _note_reads(self, rows: Rows) -> None:
        """Take note of what was left after a read."""
        reads = self._reads.take(rows) + 1
        self._reads[rows] = reads
        self._lowest[rows] = np.minimum(self._lowest.take(rows), self._count.take(rows))
        over = reads == WINDOW_FRAMES
        if np.count_nonzero(over):
            self._begin_window(rows[over], excess=np.maximum(0, self._lowest[rows[over]] - START_FRAMES + 1))

    def _miss(self, rows: Rows) -> None:
        """Take note that rows have run dry."""
        self._underruns[rows] += self._missed[rows] == 0
        self._missed[rows] += 1
        self._playing[rows] = self._missed[rows] < GONE_FRAMES
        self._begin_window(rows, excess=0)

    def _begin_window(self, rows: Rows, *, excess: int | NDArray[np.int64]) -> None:
        self._reads[rows], self._lowest[rows], self._excess[rows] = 0, self._max_frames, excess

    def _shortened(self, row: int, frame: Pcm) -> Pcm:
        """Return what is heard in place of `frame` and the one after it, where there is more than is needed."""
        if not is_quiet(frame) and self._reads[row] < WINDOW_FRAMES - 1:
            return frame
        following: Pcm = self._frames[row * self._max_frames + self._first[row]]
        self._first[row] = (self._first[row] + 1) % self._max_frames
        self._count[row] -= 1
        self._excess[row] -= 1
        self._dropped[row] += 1
        return following if is_quiet(frame) else merged(frame, following)
