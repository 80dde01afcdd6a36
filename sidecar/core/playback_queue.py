"""The playback engine of one call, written for clarity: clips, raw audio and marks in the order in which they came.

It reads as `PlayoutBuffer` does where there is raw audio alone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Self

from sidecar.core.playback_events import (
    ChunkPlayed,
    Cleared,
    MarkAnswered,
    PlaybackEvent,
    PlaybackRefused,
    QueueCompleted,
    Underrun,
    Xoff,
    Xon,
)
from sidecar.core.playout import SEGMENT_GAP, PlayoutBuffer

MOST_MARKS = 1000
"""That wait; one more is answered at once, as cleared."""

_XOFF, _XON = 0.75, 0.5  # of the capacity
_SMALL = 160  # bytes
_REFUSED_EVERY = 1.0
"""Seconds between two `PlaybackRefused`."""


@dataclass(eq=False, slots=True)
class Stretch:
    """Audio that is told of as one chunk: a clip, or raw audio up to the next clip, mark or pause of 100 ms."""

    sequence: int
    is_clip: bool
    size: int = 0  # bytes taken
    queued: int = 0  # bytes
    ended: bool = False  # no more will come
    half: bytes = b""  # of a sample of a clip
    chunks: deque[bytes | memoryview] = field(default_factory=deque)

    @property
    def is_open(self) -> bool:
        """Whether it holds its place for audio that is still to come from a decoder."""
        return self.is_clip and not self.ended


class PlaybackQueue:
    """A queue of 16-bit mono audio, read one frame at a time on the grid of the call.

    What waits for its decoder holds its place: what came later is heard later. A mark is answered by the read that
    returns the last sample before it, or by `clear`; each exactly once.
    """

    def __init__(self, *, rate: int, preroll: float, capacity_bytes: int) -> None:
        """Play at `rate`, in Hz; gather `preroll` seconds after the queue was empty."""
        self.played_bytes = 0
        self.refused_bytes = 0
        self.underruns = 0
        self.queued_bytes = 0
        self._bytes_per_second = 2 * rate
        self._frame_bytes = rate // 50 * 2
        self._preroll = preroll
        self._preroll_bytes = int(rate * preroll) * 2
        self._capacity_bytes = capacity_bytes
        self._entries: deque[Stretch | str] = deque()  # a text is the name of a mark
        self._events: deque[PlaybackEvent] = deque()
        self._marks = 0
        self._chunks = 0  # told of since the queue was completed
        self._sequence = 0
        self._episode_bytes = 0  # taken since the queue was last empty
        self._episode_played = 0
        self._start_at: float | None = None  # while gathering
        self._dry_since = -math.inf
        self._half = b""  # of a sample of raw audio
        self._half_since = -math.inf
        self._paused = False
        self._xoff = False
        self._refused_told = 0  # bytes
        self._refused_told_at = -math.inf
        self._tell_refused_at = math.inf

    @classmethod
    def of(cls, buffer: PlayoutBuffer) -> Self:
        """Go on with what a buffer has, which is empty afterwards."""
        queue = cls(rate=buffer.frame_bytes * 25, preroll=buffer.preroll, capacity_bytes=buffer.capacity_bytes)
        queue._preroll_bytes = buffer.preroll_bytes
        queue.played_bytes, queue.refused_bytes = buffer.played_bytes, buffer.refused_bytes
        queue.underruns, queue.queued_bytes = buffer.underruns, buffer.queued_bytes
        queue._refused_told = buffer.refused_bytes
        queue._start_at = None if math.isinf(buffer.start_at) else buffer.start_at
        queue._dry_since, queue._half, queue._half_since = buffer.dry_since, buffer.half, buffer.half_since
        if buffer.queued_bytes:
            queue._episode_played = buffer.played_bytes - buffer.episode_from
            queue._episode_bytes = queue._episode_played + buffer.queued_bytes
            stretch = queue._begin(is_clip=False)
            stretch.size, stretch.queued, stretch.chunks = queue._episode_bytes, buffer.queued_bytes, buffer.chunks
            buffer.chunks = deque()
        buffer.clear()
        return queue

    def give_back(self, buffer: PlayoutBuffer) -> None:
        """Let a buffer go on with what is here, which must be `is_plain`."""
        self.count_into(buffer)
        buffer.start_at = -math.inf if self._start_at is None else self._start_at
        buffer.dry_since, buffer.half, buffer.half_since = self._dry_since, self._half, self._half_since
        buffer.episode_from = self.played_bytes - self._episode_played
        buffer.chunks = deque()
        for entry in self._entries:
            assert isinstance(entry, Stretch)
            buffer.chunks = entry.chunks

    def go_on_from(self, former: PlaybackQueue) -> None:
        """Be what an empty queue of another rate was."""
        self._sequence, self._chunks = former._sequence, former._chunks
        self._paused, self._dry_since, self._events = former._paused, former._dry_since, former._events
        if former._refused_told < former.refused_bytes:
            former._tell_refused(former._refused_told_at)
        self._refused_told_at = former._refused_told_at

    def count_into(self, buffer: PlayoutBuffer) -> None:
        """Let a buffer have the counts."""
        buffer.played_bytes, buffer.refused_bytes = self.played_bytes, self.refused_bytes
        buffer.underruns, buffer.queued_bytes = self.underruns, self.queued_bytes

    @property
    def is_plain(self) -> bool:
        """Whether there is raw audio alone, so that a `PlayoutBuffer` can go on with it."""
        first = self._entries[0] if self._entries else None
        plain = first is None or (isinstance(first, Stretch) and not first.is_clip)
        return plain and len(self._entries) <= 1 and not self._paused and not self._events

    @property
    def is_empty(self) -> bool:
        """Whether nothing is queued, nor still to come from a decoder."""
        return not self.queued_bytes and not any(isinstance(each, Stretch) and each.is_open for each in self._entries)

    @property
    def queued_ms(self) -> int:
        """How much is queued, in ms."""
        return self._ms(self.queued_bytes)

    def next_event(self) -> PlaybackEvent | None:
        """Return what the bot should know."""
        return self._events.popleft() if self._events else None

    # --- what comes in

    def write(self, data: bytes, *, now: float) -> None:
        """Queue raw audio of any length; what exceeds the capacity is refused."""
        self._let_pass(now)
        if self._half or len(data) % 2:
            data = self._whole_samples(data, now)
        last = self._entries[-1] if self._entries else None
        if data and (not isinstance(last, Stretch) or last.ended or last.is_clip):
            last = self._begin(is_clip=False)
        if isinstance(last, Stretch) and data:
            self._accept(last, data, now)

    def open_clip(self) -> Stretch:
        """Give a clip its place in the queue; its audio follows, bit by bit, by `write_clip`."""
        return self._begin(is_clip=True)

    def write_clip(self, clip: Stretch, data: bytes, *, now: float) -> None:
        """Queue audio of a clip; nothing happens if it was cleared meanwhile."""
        self._let_pass(now)
        if not clip.ended:
            data = clip.half + data
            whole = len(data) // 2 * 2
            data, clip.half = data[:whole], data[whole:]
            self._accept(clip, data, now)

    def end_clip(self, clip: Stretch, *, now: float) -> None:
        """No more comes of a clip."""
        playable = self._playable()
        clip.ended = True
        self._settle()
        if not playable and self._playable():
            self._start_at = now + self._preroll

    def mark(self, name: str, *, now: float) -> None:
        """Ask to be told when all that is queued has been played."""
        if self._marks >= MOST_MARKS:
            self._events.append(MarkAnswered(name, "cleared"))
            return
        self._marks += 1
        self._entries.append(name)
        self._settle()

    def clear(self) -> Cleared:
        """Drop what is queued; the next read has nothing to play."""
        marks = [entry for entry in self._entries if isinstance(entry, str)]
        self._events.extend(MarkAnswered(name, "cleared") for name in marks)
        for entry in self._entries:
            if isinstance(entry, Stretch):
                entry.ended = True
        whole, played = self._ms(self._episode_bytes), self._ms(self._episode_played)
        self._entries.clear()
        self.queued_bytes = self._episode_bytes = self._episode_played = self._marks = self._chunks = 0
        self._start_at, self._dry_since, self._half = None, -math.inf, b""
        self._watch_level()
        return Cleared(played, whole - played, marks)

    def forget_half(self) -> None:
        """Nothing follows the raw audio that was written last: the other half of its last sample does not come."""
        self._half = b""

    def pause(self) -> None:
        """Play nothing; what is queued, and what comes, is kept."""
        self._paused = True

    def resume(self) -> None:
        """Play on."""
        self._paused = False

    # --- what goes out

    def read(self, *, now: float) -> bytes | None:
        """Return the next 20 ms to play, filled up with silence at the end, or None when there is nothing."""
        if now >= self._tell_refused_at:
            self._tell_refused(now)
        self._let_pass(now)
        if self._paused or not self._playable():
            return None
        if self._start_at is not None:
            if self._playable_bytes() < self._preroll_bytes and now < self._start_at:
                return None
            self._start_at = None
        frame = b""
        while len(frame) < self._frame_bytes and self._playable():
            frame += self._take(self._frame_bytes - len(frame))
            self._settle()
        if not self._playable():
            self._dry_since = now
        self._watch_level()
        return frame + bytes(self._frame_bytes - len(frame))

    # --- how it works

    def _begin(self, *, is_clip: bool) -> Stretch:
        self._sequence += 1
        stretch = Stretch(self._sequence, is_clip)
        self._entries.append(stretch)
        return stretch

    def _accept(self, stretch: Stretch, data: bytes, now: float) -> None:
        """Take what there is room for; it may be what playback has waited for."""
        room = (self._capacity_bytes - self.queued_bytes) // 2 * 2
        if len(data) > room:
            self.refused_bytes += len(data) - room
            data = data[:room]
            at = max(now + SEGMENT_GAP, self._refused_told_at + _REFUSED_EVERY)
            self._tell_refused_at = min(self._tell_refused_at, at)
        if not data:
            return
        playable, begun = self._playable(), stretch.size > 0
        stretch.size += len(data)
        stretch.queued += len(data)
        self.queued_bytes += len(data)
        self._episode_bytes += len(data)
        if len(data) < _SMALL and stretch.chunks and len(stretch.chunks[-1]) < _SMALL:
            data = bytes(stretch.chunks.pop()) + data  # pieces of nothing must not cost more than what they hold
        stretch.chunks.append(data)
        self._settle()
        if not playable and self._playable():
            self._start_at = now + self._preroll
            if now - self._dry_since < SEGMENT_GAP or (begun and stretch.is_clip):
                self.underruns += 1
                self._events.append(Underrun(round((now - self._dry_since) * 1000)))
        self._watch_level()

    def _whole_samples(self, data: bytes, now: float) -> bytes:
        """Put the half sample of before in front, and keep back the one at the end."""
        if not self.queued_bytes and now - max(self._dry_since, self._half_since) >= SEGMENT_GAP:
            self._half = b""  # nothing has followed it
        data = self._half + data
        whole = len(data) // 2 * 2
        data, self._half, self._half_since = data[:whole], data[whole:], now
        return data

    def _playable(self) -> bool:
        """Whether there is something to play now; an open clip without audio holds up what is behind it."""
        return bool(self._entries) and isinstance(self._entries[0], Stretch) and self._entries[0].queued > 0

    def _playable_bytes(self) -> int:
        count = 0
        for entry in self._entries:
            if isinstance(entry, Stretch):
                count += entry.queued
                if entry.is_open:
                    break
        return count

    def _take(self, size: int) -> bytes | memoryview:
        """Take up to `size` bytes from the first chunk."""
        stretch = self._entries[0]
        assert isinstance(stretch, Stretch)
        data = stretch.chunks.popleft()
        if len(data) > size:
            view = memoryview(data)
            stretch.chunks.appendleft(view[size:])
            data = view[:size]
        stretch.queued -= len(data)
        self.queued_bytes -= len(data)
        self.played_bytes += len(data)
        self._episode_played += len(data)
        return data

    def _settle(self) -> None:
        """Tell of what has been played to its end."""
        if self.is_empty:
            self._episode_bytes = self._episode_played = 0
        while self._entries:
            first = self._entries[0]
            if isinstance(first, str):
                self._marks -= 1
                self._events.append(MarkAnswered(first, "playout"))
            elif first.queued or not (first.ended or (not first.is_clip and len(self._entries) > 1)):
                return
            elif first.size:  # else nothing of it could be decoded, or there was no room
                self._chunks += 1
                self._events.append(ChunkPlayed(first.sequence, first.size, self.queued_bytes))
            self._entries.popleft()

    def _let_pass(self, now: float) -> None:
        """Raw audio that nothing has followed for a while is at its end, and so may be the queue."""
        if self._paused or now - self._dry_since < SEGMENT_GAP:
            return
        if self._entries and isinstance(first := self._entries[0], Stretch) and not first.is_clip and not first.queued:
            first.ended = True
            self._settle()
        if not self._entries and self._chunks:
            self._events.append(QueueCompleted(self._chunks))
            self._chunks = 0

    def _watch_level(self) -> None:
        """Ask the bot to stop, and to go on."""
        if not self._xoff and self.queued_bytes > self._capacity_bytes * _XOFF:
            self._events.append(Xoff(self._ms(self.queued_bytes)))
        elif self._xoff and self.queued_bytes < self._capacity_bytes * _XON:
            self._events.append(Xon(self._ms(self.queued_bytes)))
        else:
            return
        self._xoff = not self._xoff

    def _tell_refused(self, now: float) -> None:
        self._events.append(PlaybackRefused(self._ms(self.refused_bytes - self._refused_told)))
        self._refused_told, self._refused_told_at, self._tell_refused_at = self.refused_bytes, now, math.inf

    def _ms(self, size: int) -> int:
        return size * 1000 // self._bytes_per_second
