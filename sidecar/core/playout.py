"""The playout buffer: what the bot said and the caller has not heard yet."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

SEGMENT_GAP = 0.100
"""Seconds: audio that comes within this time after the queue ran dry was meant to follow without a break."""

_SMALL = 160  # bytes


@dataclass(slots=True)
class PlayoutBuffer:
    """A byte queue of 16-bit mono samples, read one frame at a time on the grid of the call.

    After it was empty, playback starts when `preroll_bytes` are there or `preroll` seconds have passed, so that audio
    which trickles in does not stutter. Chunks may have any length; half a sample at the end of one waits for its other
    half, or all that follows would be noise. The end of what there is gets padded.
    """

    frame_bytes: int
    preroll: float  # seconds
    preroll_bytes: int
    capacity_bytes: int
    played_bytes: int = 0
    refused_bytes: int = 0
    underruns: int = 0
    queued_bytes: int = 0
    start_at: float = -math.inf  # seconds: when playback starts, while it is gathered
    dry_since: float = -math.inf
    episode_from: int = 0  # what `played_bytes` was when the queue was last empty
    chunks: deque[bytes | memoryview] = field(default_factory=deque)
    half: bytes = b""  # of a sample
    half_since: float = -math.inf

    def write(self, data: bytes, *, now: float) -> None:
        """Queue audio; what exceeds the capacity is refused and counted."""
        if self.half or len(data) % 2:
            data = self._whole_samples(data, now=now)
        room = (self.capacity_bytes - self.queued_bytes) // 2 * 2
        if len(data) > room:
            self.refused_bytes += len(data) - room
            data = data[:room]
        if not data:
            return
        if not self.chunks:
            self.start_at = now + self.preroll
            self.episode_from = self.played_bytes
            if now - self.dry_since < SEGMENT_GAP:
                self.underruns += 1
        self.queued_bytes += len(data)
        if len(data) < _SMALL and self.chunks and len(self.chunks[-1]) < _SMALL:
            data = bytes(self.chunks.pop()) + data  # pieces of nothing must not cost more than what they hold
        self.chunks.append(data)

    def read(self, *, now: float) -> bytes | memoryview | None:
        """Return the next `frame_bytes` to play, or None when there is nothing to play."""
        if not self.chunks:
            return None
        if self.queued_bytes < self.preroll_bytes and now < self.start_at:
            return None
        self.start_at = -math.inf
        frame = self._take()
        if not self.chunks:
            self.dry_since = now
        return frame

    def clear(self) -> int:
        """Drop what is queued; return how many bytes that was."""
        dropped, self.queued_bytes = self.queued_bytes, 0
        self.chunks.clear()
        self.start_at = -math.inf
        self.dry_since = -math.inf
        self.half = b""
        return dropped

    def forget_half(self) -> None:
        """Nothing follows what was written last: its other half does not come."""
        self.half = b""

    def whole_frames(self, *, at_most: int) -> list[bytes | memoryview] | None:
        """Return what is queued, if it is no more than so many chunks of a frame each; None if it is anything else."""
        if len(self.chunks) > at_most or self.half or any(len(chunk) != self.frame_bytes for chunk in self.chunks):
            return None
        return list(self.chunks)

    def put_frames(self, frames: list[bytes], *, start_at: float, dry_since: float, episode_from: int) -> None:
        """Have exactly these queued, as if they had been written here."""
        self.chunks = deque(frames)
        self.queued_bytes = len(frames) * self.frame_bytes
        self.start_at, self.dry_since, self.episode_from = start_at, dry_since, episode_from

    def _whole_samples(self, data: bytes, *, now: float) -> bytes:
        """Put the half sample of before in front, and keep back the one at the end."""
        if not self.chunks and now - max(self.dry_since, self.half_since) >= SEGMENT_GAP:
            self.half = b""  # nothing has followed it
        data = self.half + data
        whole = len(data) // 2 * 2
        data, self.half, self.half_since = data[:whole], data[whole:], now
        return data

    def _take(self) -> bytes | memoryview:
        """Cut one frame off the front of the queue; pad it with silence at the end."""
        first = self.chunks[0]
        size = self.frame_bytes
        if len(first) == size:
            self.chunks.popleft()
            frame: bytes | memoryview = first
        elif len(first) > size:
            view = memoryview(first)
            frame, self.chunks[0] = view[:size], view[size:]
        else:
            frame = self._gather()
        played = min(self.queued_bytes, size)
        self.queued_bytes -= played
        self.played_bytes += played
        return frame

    def _gather(self) -> bytes:
        parts, missing = [], self.frame_bytes
        while self.chunks and missing:
            chunk = self.chunks.popleft()
            if len(chunk) > missing:
                view = memoryview(chunk)
                self.chunks.appendleft(view[missing:])
                chunk = view[:missing]
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts) + bytes(missing)
