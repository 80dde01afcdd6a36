"""The caller's frames on their way into a pair: it evens out their arrival, no more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtp.pcm import Pcm

START_FRAMES = 2
"""Frames that are held back before the first is given."""

WINDOW_FRAMES = 100
"""Reads, 2 s, over which it is seen how many frames are needed."""

GONE_FRAMES = 10
"""Reads without a frame, after which the caller begins anew."""

_QUIET = 100.0  # root mean square of a frame, about -50 dBov, that nobody misses


@dataclass(slots=True)
class JitterBuffer:
    """Holds as many frames back as arrival has been uneven by, and never more than `max_frames`.

    A frame that comes too late is silence in its place, and delays what follows by its length: so the delay grows to
    what the network needs. Where over `WINDOW_FRAMES` there was always one more than needed, a quiet frame is left
    out; where none is quiet, two are faded into one. When full, the oldest goes.
    """

    max_frames: int = 10
    underruns: int = 0
    dropped_frames: int = 0
    _frames: deque[Pcm] = field(default_factory=deque)
    _playing: bool = False
    _missed: int = 0  # reads in a row that found nothing
    _reads: int = 0  # in this window
    _lowest: int = 0  # frames that were left after a read, at the least, in this window
    _excess: int = 0  # frames that were not needed in the last one

    def write(self, frame: Pcm) -> None:
        """Take the next frame, int16[samples]."""
        self._frames.append(frame)
        if len(self._frames) > self.max_frames:
            self._frames.popleft()
            self.dropped_frames += 1
        if not self._playing and len(self._frames) >= START_FRAMES:
            self._playing = True
            self._begin_window(excess=0)

    def read(self) -> Pcm | None:
        """Return the next frame, or None when there is nothing to give yet."""
        if not self._playing:
            return None
        if not self._frames:
            self.underruns += not self._missed
            self._missed += 1
            self._playing = self._missed < GONE_FRAMES
            self._begin_window(excess=0)
            return None
        self._missed = 0
        frame = self._next()
        self._reads += 1
        self._lowest = min(self._lowest, len(self._frames))
        if self._reads == WINDOW_FRAMES:
            self._begin_window(excess=max(0, self._lowest - START_FRAMES + 1))
        return frame

    def clear(self) -> None:
        """Forget all frames, and begin anew."""
        self._frames.clear()
        self._playing = False

    def _begin_window(self, *, excess: int) -> None:
        self._reads, self._lowest, self._excess = 0, self.max_frames, excess

    def _next(self) -> Pcm:
        frame = self._frames.popleft()
        if not self._excess or not self._frames:
            return frame
        if is_quiet(frame):
            frame = self._frames.popleft()
        elif self._reads == WINDOW_FRAMES - 1:
            frame = merged(frame, self._frames.popleft())
        else:
            return frame
        self._excess -= 1
        self.dropped_frames += 1
        return frame


def is_quiet(frame: Pcm) -> bool:
    """Whether nobody would miss a frame."""
    return bool(np.mean(frame.astype(np.float64) ** 2) < _QUIET**2)


def merged(first: Pcm, second: Pcm) -> Pcm:
    """Fade one frame into the next."""
    weight = np.linspace(0.0, 1.0, len(first))
    return np.rint((1 - weight) * first + weight * second).astype(np.int16)
