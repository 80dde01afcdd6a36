"""All that a media worker counts, gathered once a second for control to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sidecar.core.bridge import Bridge
from sidecar.core.histogram import Histogram
from sidecar.core.legs import Legs
from sidecar.core.speech_events import BotAnswered, SpeechEvent
from sidecar.core.stream_tally import StreamTally
from sidecar.core.worker_counts import CountsTold, WorkerCounted
from sidecar.io.bot_care import BotCare
from sidecar.io.bot_stream import BotStream
from sidecar.io.clips import Clips
from sidecar.io.joined_legs import JoinedLegs
from sidecar.io.media_sockets import MediaSockets

_LOOKS = 40
"""Legs that are looked at each time, in turn: a look takes some microseconds, and there may be thousands of legs."""


@dataclass(slots=True)
class WorkerFigures:
    """Counts are kept where things happen, which must not cost more for it; here is what nobody else keeps."""

    streams: Mapping[str, BotStream]
    legs: Legs
    bridge: Bridge
    sockets: MediaSockets
    unsaid: Callable[[], int]  # texts and clips that were too many for the link
    tally: StreamTally = field(default_factory=StreamTally)
    _told: CountsTold = field(default_factory=CountsTold)
    _turn: Iterator[str] = field(default_factory=lambda: iter(()))

    @property
    def histograms(self) -> Mapping[str, Histogram]:
        """What is counted by size, by the names of `HISTOGRAMS`."""
        return self._told.histograms

    def hear(self, event: SpeechEvent) -> None:
        """Something was found in a caller's voice: perhaps that the bot has answered it."""
        if isinstance(event, BotAnswered):
            self.histograms["bot_response_seconds"].observe(event.response_ms / 1000)

    def take(self, joined: JoinedLegs, care: BotCare, clips: Clips) -> WorkerCounted:
        """Return what is news since the last time."""
        self._look_at_some(joined)
        counts = self.legs.counts()
        counts["rtp_dropped"]["unknown_source"] += self.sockets.unknown_source
        counts |= {name: {"": total} for name, total in self.tally.totals.items()}
        counts |= clips.counts()
        counts["rtp_send_errors"] = {"": self.sockets.datagrams.send_errors}
        counts["grid_ticks_skipped"] = {"": self.bridge.ticks_skipped}
        counts["bot_goodbyes_cut"] = {"": care.unanswered_goodbyes}
        counts["link_dropped"] = {"": self.unsaid()}
        return self._told.tell(counts, {"clips_waiting_bytes": clips.waiting_bytes})

    def _look_at_some(self, joined: JoinedLegs) -> None:
        for _ in range(_LOOKS):
            name = next(self._turn, None)
            if name is None:
                self._turn = iter([*self.streams, *joined.names])
                return
            if (stream := self.streams.get(name)) is not None:
                self.tally.note(name, stream.stats(self.legs.stats(stream.row), self.bridge))
                if (round_trip := stream.lane.round_trip()) is not None:
                    self.histograms["bot_round_trip_seconds"].observe(round_trip)
            elif (leg := joined.get(name)) is not None:
                self.tally.note(name, self.legs.stats(leg.row))
