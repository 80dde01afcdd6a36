"""The caller's frames on their way into a pair: it evens out their arrival, no more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rtp.pcm import Pcm


@dataclass(slots=True)
class JitterBuffer:
    """Holds `start_frames` back before it gives the first, and never more than `max_frames`.

    A hiccup must not become delay for the rest of the call: frames that come late, after silence was given in their
    place, are dropped as far as they exceed `start_frames`. When full, the oldest go until `start_frames` are left.
    """

    start_frames: int = 2
    max_frames: int = 10
    underruns: int = 0
    dropped_frames: int = 0
    _frames: deque[Pcm] = field(default_factory=deque)
    _playing: bool = False
    _owed: int = 0  # frames in whose place silence was given since the last underrun

    def write(self, frame: Pcm) -> None:
        """Take the next frame, int16[samples]."""
        self._frames.append(frame)
        if self._owed and len(self._frames) > self.start_frames:
            self._frames.popleft()
            self.dropped_frames += 1
            self._owed -= 1
        if len(self._frames) > self.max_frames:
            while len(self._frames) > self.start_frames:
                self._frames.popleft()
                self.dropped_frames += 1
        self._playing = self._playing or len(self._frames) >= self.start_frames

    def read(self) -> Pcm | None:
        """Return the next frame, or None when there is nothing to give yet."""
        if self._playing and self._frames:
            return self._frames.popleft()
        if self._playing:
            self._playing = False
            self.underruns += 1
            self._owed = 0
        if self.underruns:
            self._owed = min(self._owed + 1, self.max_frames)
        return None
