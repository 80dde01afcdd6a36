"""What the playback engine tells of; the names of the fields are those that the outside sees."""

from __future__ import annotations

from typing import Literal

import msgspec

from sidecar.core.event_body import EventBody


class MarkAnswered(EventBody, frozen=True):
    """All before the mark has been played, or it was cleared."""

    kind = "mark"
    name: str
    event: Literal["playout", "cleared"]


class PlaybackBody(EventBody, frozen=True, tag_field="event"):
    """How playback goes; `event` says what of it this is."""

    kind = "playback"


class ChunkPlayed(PlaybackBody, frozen=True, tag="chunk_played"):
    """A clip, or a stretch of raw audio, has been played to its end."""

    sequence: int = msgspec.field(name="seq")
    size: int  # bytes of it
    remaining: int  # bytes that wait behind it


class QueueCompleted(PlaybackBody, frozen=True, tag="queue_completed"):
    """Nothing has been there to play for 100 ms."""

    total_chunks: int


class Underrun(PlaybackBody, frozen=True, tag="underrun"):
    """Audio came too late to follow what was played."""

    gap_ms: int


class PlaybackRefused(PlaybackBody, frozen=True, tag="refused"):
    """The queue was full: so much has not been taken since this was told last; at most once a second."""

    refused_ms: int


class Xoff(PlaybackBody, frozen=True, tag="xoff"):
    """The queue is nearly full: the bot should pause."""

    queued_ms: int


class Xon(PlaybackBody, frozen=True, tag="xon"):
    """There is room again."""

    queued_ms: int


class Cleared(PlaybackBody, frozen=True, tag="cleared"):
    """What became of all that was queued since the queue was last empty: played and dropped are the whole."""

    played_ms: int
    dropped_ms: int
    marks: list[str]


Progress = ChunkPlayed | QueueCompleted | Underrun | PlaybackRefused | Xoff | Xon | Cleared
PlaybackEvent = MarkAnswered | Progress
