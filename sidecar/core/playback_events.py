"""What the playback engine tells of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MarkAnswered:
    """All before the mark has been played, or it was cleared."""

    name: str
    event: Literal["playout", "cleared"]


@dataclass(frozen=True, slots=True)
class ChunkPlayed:
    """A clip, or a stretch of raw audio, has been played to its end."""

    sequence: int
    size: int  # bytes of it
    remaining: int  # bytes that wait behind it


@dataclass(frozen=True, slots=True)
class QueueCompleted:
    """Nothing has been there to play for 100 ms."""

    total_chunks: int


@dataclass(frozen=True, slots=True)
class Underrun:
    """Audio came too late to follow what was played."""

    gap_ms: int


@dataclass(frozen=True, slots=True)
class PlaybackRefused:
    """The queue is full; told once, until something fits again."""

    refused_ms: int


@dataclass(frozen=True, slots=True)
class Xoff:
    """The queue is nearly full: the bot should pause."""

    queued_ms: int


@dataclass(frozen=True, slots=True)
class Xon:
    """There is room again."""

    queued_ms: int


PlaybackEvent = MarkAnswered | ChunkPlayed | QueueCompleted | Underrun | PlaybackRefused | Xoff | Xon


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of all that was queued since the queue was last empty: played and dropped are the whole."""

    played_ms: int
    dropped_ms: int
    marks: tuple[str, ...]
