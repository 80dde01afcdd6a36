"""The way down of all calls: what bots say, at whatever rate, waits here until it is played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp import Frames, Rows
from sidecar.core.downlink import Downlink
from sidecar.core.playback_events import PlaybackEvent
from sidecar.core.playback_queue import PlaybackQueue
from sidecar.core.playout import PlayoutBuffer
from sidecar.core.rate_converter import RateConverter

Bytes = NDArray[np.uint8]


class Played(NamedTuple):
    """What became of the audio of a bot."""

    played_ms: int = 0
    refused_ms: int = 0
    underruns: int = 0


@dataclass(slots=True)
class _Talk:
    """What one bot says."""

    downlink: Downlink  # that of the rate of what is queued
    preroll_ms: int
    playout_seconds: float
    before: Played = field(default_factory=Played)  # at rates that it has had before
    converter: RateConverter | None = None  # of what comes in, while audio of another rate is still queued
    keeps_queue: bool = False


class Downlinks:
    """A `Downlink` for each rate that bots talk at; a row is in one of them."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._by_rate: dict[int, Downlink] = {}
        self._talks: dict[int, _Talk] = {}
        self._rate = np.zeros(rows + 1, np.int64)
        self._wire_rate = np.zeros(rows, np.int64)
        self._news: list[tuple[int, PlaybackEvent]] = []

    # --- calls come and go

    def open(self, row: int, rate: int, wire_rate: int, *, preroll_ms: int, playout_seconds: float) -> None:
        """Begin a call in `row` whose bot talks at `rate`, in Hz."""
        self._wire_rate[row] = wire_rate
        self._talks[row] = _Talk(self._downlink(rate), preroll_ms, playout_seconds)
        self._join(row)

    def change(self, row: int, wire_rate: int) -> None:
        """Let the codec of `row` have another rate; what waits to be played stays."""
        self._wire_rate[row] = wire_rate
        self._talks[row].downlink.change(row, wire_rate)

    def close(self, row: int) -> None:
        """End the call in `row`."""
        self._talks.pop(row).downlink.playouts.close(row)
        self._news = [news for news in self._news if news[0] != row]

    def _downlink(self, rate: int) -> Downlink:
        if rate not in self._by_rate:
            self._by_rate[rate] = Downlink(rate, self._rows)
        return self._by_rate[rate]

    def _join(self, row: int) -> None:
        talk, wire_rate = self._talks[row], int(self._wire_rate[row])
        talk.downlink.open(row, wire_rate, preroll_ms=talk.preroll_ms, playout_seconds=talk.playout_seconds)
        self._rate[row] = talk.downlink.rate

    # --- what comes in

    def play(self, row: int, audio: bytes, *, now: float) -> None:
        """Queue raw audio, L16 little-endian, of any length."""
        talk = self._talks[row]
        if talk.converter is not None and self.has_audio(row):
            audio = talk.converter.convert(audio)
        elif talk.converter is not None:
            audio = talk.converter.take_rest() + audio
            self._move(row, talk.converter.rate_in)
        talk.downlink.playouts.write(row, audio, now=now)

    def play_frames(self, rows: Rows, data: Bytes, lengths: NDArray[np.int64], *, now: float) -> NDArray[np.bool_]:
        """Queue what was read from some bots, uint8[n, m] of which `lengths` bytes each, where that is plainly frames.

        Return where it is: whole WebSocket frames of 20 ms of audio. All else is for `BotConnection`, and so is
        whatever comes for a row that is negative.
        """
        rates = self._rate.take(rows)  # the last of them is nobody's
        played = np.zeros(len(rows), np.bool_)
        for rate, downlink in self._by_rate.items():
            of_rate = np.count_nonzero(rates == rate)
            if not of_rate:
                continue
            frames = downlink.frames(data, lengths if of_rate == len(rows) else np.where(rates == rate, lengths, 0))
            for chosen, pcm in frames:
                downlink.playouts.write_frames(rows[chosen], pcm, now=now)
                played[chosen] = True
        return played

    def takes_frames(self, row: int) -> bool:
        """Whether audio for `row` may come by `play_frames`: not while it is to be converted."""
        return self._talks[row].converter is None

    def rate(self, row: int) -> int:
        """Return the rate of what is queued for `row`, in Hz."""
        return self._talks[row].downlink.rate

    def change_rate(self, row: int, rate: int, *, now: float) -> None:
        """Let the audio for `play` be of another rate, in Hz; what is queued is played before it."""
        self.flush(row, now=now)
        self.forget_half(row)  # its other half cannot be of another rate
        talk = self._talks[row]
        if rate == talk.downlink.rate:
            talk.converter = None
        elif self.has_audio(row):
            talk.converter = RateConverter(rate, talk.downlink.rate)
        else:
            self._move(row, rate)

    def forget_half(self, row: int) -> None:
        """Nothing follows what `play` was given last: the other half of its last sample does not come."""
        (self.queue_of(row) or self.buffer(row)).forget_half()

    def _move(self, row: int, rate: int) -> None:
        """Let a row that has nothing queued be of another rate."""
        talk = self._talks[row]
        talk.before, talk.converter = self.totals(row), None
        self._news += talk.downlink.playouts.take_news()
        queue = self.queue_of(row)
        talk.downlink.playouts.close(row)
        talk.downlink = self._downlink(rate)
        self._join(row)
        if queue is not None:
            self.queue(row, keep=talk.keeps_queue).go_on_from(queue)

    def flush(self, row: int, *, now: float) -> None:
        """Queue what `play` has kept back, as something else follows."""
        talk = self._talks[row]
        if talk.converter is not None:
            talk.downlink.playouts.write(row, talk.converter.flush(), now=now)

    # --- what is asked

    def queue(self, row: int, *, keep: bool = False) -> PlaybackQueue:
        """Return the playback engine of `row`; `keep` it for the whole call, or until it has no work."""
        talk = self._talks[row]
        talk.keeps_queue |= keep
        return talk.downlink.playouts.queue(row, keep=keep)

    def queue_of(self, row: int) -> PlaybackQueue | None:
        """Return the playback engine of `row`, if it has one now."""
        return self._talks[row].downlink.playouts.queue_of(row)

    def take_news(self) -> list[tuple[int, PlaybackEvent]]:
        """Return what the playback engines have to tell, and of which row."""
        news, self._news = self._news, []
        for downlink in self._by_rate.values():
            news += downlink.playouts.take_news()
        return news

    def has_audio(self, row: int) -> bool:
        """Whether something is queued for `row`, or still to come from a decoder."""
        return self._talks[row].downlink.playouts.has_audio(row)

    def buffer(self, row: int) -> PlayoutBuffer:
        """Return the playout buffer of `row`, until the next frame is played or queued."""
        return self._talks[row].downlink.playouts.buffer(row)

    def totals(self, row: int) -> Played:
        """Return what became of the audio for `row`."""
        talk, bytes_per_ms = self._talks[row], self.rate(row) // 500
        counts = talk.downlink.playouts.counts(row)
        return Played(
            talk.before.played_ms + counts.played_bytes // bytes_per_ms,
            talk.before.refused_ms + counts.refused_bytes // bytes_per_ms,
            talk.before.underruns + counts.underruns,
        )

    # --- what goes out

    def frames(self, rows: Rows, *, now: float) -> Iterator[tuple[Frames, NDArray[np.bool_]]]:
        """Take the next frame of each row, silence where there is none; and say where there is one."""
        rates, wire_rates = self._rate.take(rows), self._wire_rate.take(rows)
        for downlink in self._by_rate.values():
            for wire_rate in downlink.wire_rates:
                is_chosen = (rates == downlink.rate) & (wire_rates == wire_rate)
                count = np.count_nonzero(is_chosen)
                if not count:
                    continue
                chosen = rows if count == len(rows) else rows[is_chosen]
                pcm, plays = downlink.play(chosen, wire_rate, now=now)
                yield Frames(chosen, pcm), plays
