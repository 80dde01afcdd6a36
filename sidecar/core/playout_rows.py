"""The playout buffers of many calls at once: what their bots said and they have not heard yet.

Bots that talk in frames of 20 ms have them in a ring of a few frames a row, written and read for all rows together.
What is not plainly the next frame goes to the row's own `PlayoutBuffer`, and from there back into the ring as soon as
it can. What is played is the same as if all had gone there. A row that wants more than raw audio has a `PlaybackQueue`
for as long as it needs one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp import FRAME_MS, Pcm, Rows, records
from sidecar.core.playback_events import PlaybackEvent
from sidecar.core.playback_queue import PlaybackQueue
from sidecar.core.playout import SEGMENT_GAP, PlayoutBuffer

RING_FRAMES = 16
"""More than this, 320 ms, are queued one by one: who is that far ahead talks in bursts. It is more than what we may be
late ourselves, and then have answered at once."""


class PlayoutCounts(NamedTuple):
    """What became of the audio of a row."""

    played_bytes: int
    refused_bytes: int
    underruns: int


class PlayoutRows:
    """The playout buffers of the rows whose bots talk at one rate."""

    def __init__(self, *, frame_samples: int, rows: int) -> None:
        self.frame_bytes = 2 * frame_samples
        self._buffers: dict[int, PlayoutBuffer] = {}
        self._queues: dict[int, PlaybackQueue] = {}  # while a row has one, that is its state
        self._kept: set[int] = set()  # rows that keep their queue
        self._news: list[tuple[int, PlaybackEvent]] = []
        # While a row is `_in_ring`, these columns are its state; else its `PlayoutBuffer` is.
        self._in_ring = np.zeros(rows, np.bool_)
        self._ring = np.zeros((rows * RING_FRAMES, frame_samples), np.int16)
        self._ring_records = records(self._ring)
        self._first = np.zeros(rows, np.int64)
        self._count = np.zeros(rows, np.int64)
        self._start_at = np.zeros(rows)  # seconds
        self._dry_since = np.zeros(rows)
        self._played = np.zeros(rows, np.int64)  # frames, since the row is in the ring
        self._underruns = np.zeros(rows, np.int64)
        self._episode_from = np.zeros(rows, np.int64)  # bytes played when it was last empty, since it is in the ring
        # What does not change while a row is taken.
        self._preroll = np.zeros(rows)
        self._preroll_frames = np.zeros(rows, np.int64)
        self._room = np.zeros(rows, np.int64)  # frames

    def open(self, row: int, *, preroll_ms: int, capacity_bytes: int) -> None:
        """Take a row for a call."""
        preroll_bytes = self.frame_bytes * preroll_ms // FRAME_MS
        buffer = PlayoutBuffer(self.frame_bytes, preroll_ms / 1000, preroll_bytes, capacity_bytes)
        self._buffers[row] = buffer
        self._preroll[row] = buffer.preroll
        self._preroll_frames[row] = -(-preroll_bytes // self.frame_bytes)
        self._room[row] = min(RING_FRAMES, capacity_bytes // self.frame_bytes)
        self._store(row, buffer)

    def close(self, row: int) -> PlayoutBuffer:
        """Give a row back; return what became of its audio."""
        buffer = self.buffer(row)
        del self._buffers[row]
        self._queues.pop(row, None)
        self._kept.discard(row)
        self._news = [news for news in self._news if news[0] != row]
        return buffer

    def buffer(self, row: int) -> PlayoutBuffer:
        """Return the buffer of one row; it knows all until frames are written or read here.

        It may be written and read, unless the row has a `queue`: then it only has the counts of that.
        """
        buffer = self._buffers[row]
        if row in self._queues:
            self._queues[row].count_into(buffer)
        elif self._in_ring[row]:
            self._in_ring[row] = False
            order = row * RING_FRAMES + (self._first[row] + np.arange(self._count[row])) % RING_FRAMES
            episode_from = buffer.played_bytes + int(self._episode_from[row])
            buffer.played_bytes += int(self._played[row]) * self.frame_bytes
            buffer.underruns += int(self._underruns[row])
            buffer.put_frames(
                [frame.tobytes() for frame in self._ring[order]],
                start_at=float(self._start_at[row]),
                dry_since=float(self._dry_since[row]),
                episode_from=episode_from,
            )
        return buffer

    def counts(self, row: int) -> PlayoutCounts:
        """Return what became of the audio of a row; to look does not take it out of the ring."""
        buffer = self._buffers[row]
        if row in self._queues:
            self._queues[row].count_into(buffer)
        played, underruns = buffer.played_bytes, buffer.underruns
        if self._in_ring[row]:
            played += int(self._played[row]) * self.frame_bytes
            underruns += int(self._underruns[row])
        return PlayoutCounts(played, buffer.refused_bytes, underruns)

    def queue(self, row: int, *, keep: bool = False) -> PlaybackQueue:
        """Return the playback engine of a row, for now, or, if it is to `keep` it, until it is closed.

        What it has to tell comes by `take_news`.
        """
        if keep:
            self._kept.add(row)
        if row not in self._queues:
            self._queues[row] = PlaybackQueue.of(self.buffer(row))
        return self._queues[row]

    def queue_of(self, row: int) -> PlaybackQueue | None:
        """Return the playback engine of a row, if it has one now."""
        return self._queues.get(row)

    def take_news(self) -> list[tuple[int, PlaybackEvent]]:
        """Return what the queues have had to tell when they were read, and of which row."""
        news, self._news = self._news, []
        return news

    def has_audio(self, row: int) -> bool:
        """Whether something is queued for the row."""
        if row in self._queues:
            return not self._queues[row].is_empty
        return bool(self._count[row] if self._in_ring[row] else self._buffers[row].queued_bytes)

    def write(self, row: int, data: bytes, *, now: float) -> None:
        """Queue audio of any length for one row."""
        if len(data) == self.frame_bytes and self._in_ring[row]:
            self.write_frames(np.array([row]), np.frombuffer(data, "<i2")[None, :], now=now)
        elif row in self._queues:
            self._queues[row].write(data, now=now)
        else:
            self.buffer(row).write(data, now=now)

    def write_frames(self, rows: Rows, frames: Pcm, *, now: float) -> None:
        """Queue one frame of each row: int16[n, samples]."""
        count = self._count.take(rows)
        fits = self._in_ring.take(rows) & (count < self._room.take(rows))
        if np.count_nonzero(fits) < len(rows):
            for at in np.flatnonzero(~fits).tolist():
                row, data = int(rows[at]), frames[at].astype("<i2", copy=False).tobytes()
                if self._in_ring[row]:
                    self.buffer(row)  # it is full
                self.write(row, data, now=now)
            rows, frames, count = rows[fits], frames[fits], count[fits]
        begins = count == 0
        if np.count_nonzero(begins):
            first = rows[begins]
            self._start_at[first] = now + self._preroll[first]
            self._underruns[first] += now - self._dry_since[first] < SEGMENT_GAP
            self._episode_from[first] = self._played[first] * self.frame_bytes
        self._ring_records[rows * RING_FRAMES + (self._first.take(rows) + count) % RING_FRAMES] = records(frames)
        self._count[rows] = count + 1

    def read(self, rows: Rows, *, now: float) -> tuple[Pcm, NDArray[np.bool_]]:
        """Take the next frame to play of each row, int16[n, samples], silence where there is none; and say where."""
        count, first = self._count.take(rows), self._first.take(rows)
        in_ring = self._in_ring.take(rows)
        plays = (
            in_ring & (count > 0) & ((count >= self._preroll_frames.take(rows)) | (now >= self._start_at.take(rows)))
        )
        pcm: Pcm = self._ring.take(rows * RING_FRAMES + first, axis=0)
        if np.count_nonzero(plays) == len(rows):
            self._played_frame(rows, first, count, now=now)
            return pcm, plays
        pcm[~plays] = 0
        self._played_frame(rows[plays], first[plays], count[plays], now=now)
        for at in np.flatnonzero(~in_ring).tolist():
            frame = self._read_one(int(rows[at]), now=now)
            if frame is not None:
                pcm[at] = np.frombuffer(frame, "<i2")
                plays[at] = True
        return pcm, plays

    def _read_one(self, row: int, *, now: float) -> bytes | memoryview | None:
        """Read a row that is not in the ring; let it back in if it can be there."""
        buffer, queue = self._buffers[row], self._queues.get(row)
        frame = buffer.read(now=now) if queue is None else queue.read(now=now)
        if queue is not None:
            self._collect(row, queue)
            if row in self._kept or not queue.is_plain:
                return frame
            queue.give_back(buffer)
            del self._queues[row]
        self._store(row, buffer)
        return frame

    def _collect(self, row: int, queue: PlaybackQueue) -> None:
        while (event := queue.next_event()) is not None:
            self._news.append((row, event))

    def _played_frame(self, rows: Rows, first: NDArray[np.int64], count: NDArray[np.int64], *, now: float) -> None:
        self._first[rows] = (first + 1) % RING_FRAMES
        self._count[rows] = count - 1
        self._played[rows] += 1
        self._start_at[rows] = -np.inf
        dry = count == 1
        if np.count_nonzero(dry):
            self._dry_since[rows[dry]] = now

    def _store(self, row: int, buffer: PlayoutBuffer) -> None:
        """Take a row into the ring, if what is queued for it are a few whole frames.

        Half a ring at the most: a row whose ring has run over would else go in and out with each frame.
        """
        frames = buffer.whole_frames(at_most=int(self._room[row]) // 2)
        if frames is None:
            return
        self._in_ring[row] = True
        self._start_at[row], self._dry_since[row] = buffer.start_at, buffer.dry_since
        self._first[row] = self._played[row] = self._underruns[row] = 0
        self._episode_from[row] = buffer.episode_from - buffer.played_bytes
        self._count[row] = len(frames)
        for at, frame in enumerate(frames):
            self._ring[row * RING_FRAMES + at] = np.frombuffer(frame, "<i2")
