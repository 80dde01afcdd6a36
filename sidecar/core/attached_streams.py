"""Streams that hear a live call from beside it: over one leg, or over two that carry a voice each.

A leg that carries the voice of one party is what the other one hears: so what the caller is to hear of the bot goes to
the leg of the callee, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp import FRAME_MS, Frames, MediaPlane, Pcm, Resampler, Rows, VoicePair, frame_samples, mix
from sidecar.core.options import Inject, MixMode, StreamOptions, Track

WAIT_TURNS = 2000 // FRAME_MS
"""For how long the bot is not played where the leg that would carry it is not there yet: 2 s."""

_LISTENERS = {
    Inject.CALLER: {Track.CALLEE},
    Inject.CALLEE: {Track.CALLER},
    Inject.BOTH: {Track.CALLER, Track.CALLEE},
    Inject.NONE: set[Track](),
}
_ROW = np.array([0])


def is_plain(options: StreamOptions) -> bool:
    """Whether a stream with its first leg is worked on as any call is: the bot hears that leg, and is played to it."""
    if options.track is None:
        return True
    its_own = options.mix in (MixMode.MONO, MixMode.MIXED) or (
        options.mix is MixMode.CALLEE and options.track is Track.CALLEE
    )
    return its_own and not _awaits_another(options, {options.track})


def _awaits_another(options: StreamOptions, legs: set[Track]) -> bool:
    """Whether another leg is to come that the bot is to be played to. Of a mixture one leg has both voices."""
    may_come = options.id is not None and options.mix is not MixMode.MIXED
    return may_come and not _LISTENERS[options.inject] <= legs


class Voices(NamedTuple):
    """A frame of what a bot is to hear, at its rate."""

    row: int  # of the stream
    voices: list[Pcm]  # each int16[1, samples]


@dataclass(slots=True)
class _Leg:
    row: int
    track: Track
    down: Resampler  # from the rate of the stream's row, at which the bot is played
    is_started: bool = False
    sends: bool = False


@dataclass(slots=True)
class _Stream:
    row: int  # that of its first leg
    options: StreamOptions
    pair: VoicePair | None  # where both voices are heard
    legs: dict[Track, _Leg] = field(default_factory=dict)
    had_both: bool = False
    waited: int = 0  # turns for the leg that is to be played to

    @property
    def heard(self) -> set[Track]:
        """Whose voices the bot hears. One leg alone is heard, whosever it is, unless the bot asks for the callee."""
        if self.pair is not None:
            return {Track.CALLER, Track.CALLEE}
        if self.options.mix is MixMode.CALLEE:
            return {Track.CALLEE}
        return {Track.CALLER} if self.had_both else set(self.legs)

    @property
    def listeners(self) -> set[Track]:
        """The legs that the bot is played to: one that has always been alone is what it was set up to be."""
        return _LISTENERS[self.options.inject] if self.had_both else set(self.legs)

    def waits(self) -> bool:
        """Whether the bot is not played yet: called at each turn."""
        if self.had_both or self.waited >= WAIT_TURNS or not _awaits_another(self.options, set(self.legs)):
            return False
        self.waited += 1
        return True


class AttachedStreams:
    """The rows of a `MediaPlane` that are legs of such streams. All else is as if they were plain calls."""

    def __init__(self, plane: MediaPlane, *, jitter_frames: int) -> None:
        """Voices wait for each other for `jitter_frames` of 20 ms at the most."""
        self.is_leg: NDArray[np.bool_] = np.zeros(plane.capacity, np.bool_)
        self._caller_of = np.arange(plane.capacity)  # the stream whose caller speaks in a row; -1: none
        self._rate = np.zeros(plane.capacity, np.int64)  # Hz, of what the bot hears
        self._resamplers: dict[tuple[int, int], Resampler] = {}
        self._plane = plane
        self._most_delay = jitter_frames * FRAME_MS / 1000
        self._streams: dict[int, _Stream] = {}
        self._of_leg: dict[int, _Stream] = {}

    def __bool__(self) -> bool:
        return bool(self._streams)

    def __contains__(self, row: int) -> bool:
        return row in self._of_leg

    # --- legs come and go

    def open(self, row: int, options: StreamOptions) -> None:
        """Begin a stream with its first leg."""
        paired = options.mix in (MixMode.MIXED, MixMode.STEREO)
        pair = VoicePair(options.rate, most_delay=self._most_delay) if paired else None
        self._streams[row] = _Stream(row, options, pair)
        self.join(row, row, options.track or Track.CALLER)

    def reform(self, row: int, options: StreamOptions) -> None:
        """Let the bot of a stream hear another format."""
        stream = self._streams[row]
        if options.mix not in (MixMode.MIXED, MixMode.STEREO):
            stream.pair = None
        elif stream.pair is None or options.rate != stream.options.rate:
            stream.pair = VoicePair(options.rate, most_delay=self._most_delay)
        stream.options = options
        for leg in stream.legs.values():
            self._rate[leg.row] = options.rate
            self._up(leg.down.rate_out, options.rate).reset(leg.row)

    def join(self, row: int, stream_row: int, track: Track) -> None:
        """Let a leg carry a voice of the stream."""
        stream = self._streams[stream_row]
        wire_rate, played_rate = (self._plane.codec(each).sample_rate for each in (row, stream_row))
        stream.legs[track] = _Leg(row, track, Resampler(played_rate, wire_rate, rows=1))
        self._rate[row] = stream.options.rate
        self._up(wire_rate, stream.options.rate).reset(row)
        stream.had_both |= len(stream.legs) == 2
        self._of_leg[row], self.is_leg[row] = stream, True
        self._caller_of[row] = stream_row if track is Track.CALLER else -1

    def change(self, row: int) -> None:
        """Take note that the codec of a leg may have changed."""
        stream = self._of_leg[row]
        played_rate = self._plane.codec(stream.row).sample_rate
        for leg in stream.legs.values():
            wire_rate = self._plane.codec(leg.row).sample_rate
            if leg.down.rate_out != wire_rate:
                self._up(wire_rate, stream.options.rate).reset(leg.row)
            if (leg.down.rate_in, leg.down.rate_out) != (played_rate, wire_rate):
                leg.down = Resampler(played_rate, wire_rate, rows=1)

    def start(self, row: int, *, sends: bool) -> int:
        """Let a leg have media; return the row of its stream, whose grid it is on."""
        stream = self._of_leg[row]
        for leg in stream.legs.values():
            if leg.row == row:
                leg.is_started, leg.sends = True, sends
        return stream.row

    def leave(self, row: int) -> None:
        """A leg is over, and its stream is not: its voice is silence from now on."""
        stream = self._of_leg[row]
        for track in [track for track, leg in stream.legs.items() if leg.row == row]:
            del stream.legs[track]
            if stream.pair is not None:
                stream.pair.clear(_channel(track))
        if row == stream.row:
            self._caller_of[row] = -1  # what is filled in is nobody's voice
        else:
            self._forget(row)

    def close(self, row: int) -> None:
        """End a stream, which has no leg but its first."""
        del self._streams[row]
        self._forget(row)

    def _forget(self, row: int) -> None:
        del self._of_leg[row]
        self.is_leg[row] = False
        self._caller_of[row] = row

    def missed_frames(self, row: int) -> int:
        """Return how often one of two voices was not there in its turn."""
        pair = self._streams[row].pair if row in self._streams else None
        return pair.missed_frames if pair else 0

    # --- up

    def callers(self, frames: Frames) -> Frames:
        """Return those frames that callers have spoken, as if all came over the first legs of their streams."""
        rows = self._caller_of[frames.rows]
        spoken = rows >= 0
        return Frames(rows[spoken], frames.pcm[spoken])

    def hear(self, frames: Frames, *, now: float) -> Iterator[Voices]:
        """Take what has come over legs: what is not to be paired is given at once."""
        rates = self._rate[frames.rows]
        for rate in np.unique(rates).tolist():
            rows, pcm = frames.rows[rates == rate], frames.pcm[rates == rate]
            pcm = self._up(pcm.shape[1] * 1000 // FRAME_MS, rate).process(rows, pcm)
            for at, row in enumerate(rows.tolist()):
                stream = self._of_leg[row]
                for leg in stream.legs.values():
                    if leg.row != row or leg.track not in stream.heard:
                        continue
                    if stream.pair is None:
                        yield Voices(stream.row, [pcm[at : at + 1]])
                    else:
                        stream.pair.write(_channel(leg.track), pcm[at], now=now)

    def _up(self, wire_rate: int, rate: int) -> Resampler:
        if (wire_rate, rate) not in self._resamplers:
            self._resamplers[wire_rate, rate] = Resampler(wire_rate, rate, rows=len(self.is_leg))
        return self._resamplers[wire_rate, rate]

    def take_voices(self, rows: Rows, *, now: float) -> Iterator[Voices]:
        """Give what the bots of the streams in `rows` hear at this turn of the grid, unless it was given at once."""
        for row in rows.tolist():
            stream = self._streams[row]
            if stream.pair is not None:
                caller, callee = stream.pair.read(now=now)[:, None]
                yield Voices(row, [caller, callee] if stream.options.mix is MixMode.STEREO else [mix(caller, callee)])
            elif not stream.heard & set(stream.legs):
                yield Voices(row, [np.zeros((1, frame_samples(stream.options.rate)), np.int16)])

    # --- down

    def ready_to_play(self, rows: Rows) -> Rows:
        """Return the streams of `rows` whose bots are to be played now: called at each turn."""
        return np.array([row for row in rows.tolist() if not self._streams[row].waits()], np.int64)

    def others_of(self, rows: Rows) -> Rows:
        """Return the legs of the streams in `rows` that are not in their stream's own row."""
        legs = [leg.row for row in rows.tolist() if row in self._streams for leg in self._streams[row].legs.values()]
        return np.setdiff1d(np.array(legs, np.int64), rows)

    def to_send(self, rows: Rows, played: list[Frames]) -> tuple[list[Frames], Rows]:
        """Return what the legs of the streams in `rows` are sent, and the legs that do not listen.

        `played` has a frame of each bot that is played.
        """
        frames = {row: pcm for each in played for row, pcm in zip(each.rows.tolist(), each.pcm, strict=True)}
        by_size: dict[int, list[tuple[int, Pcm]]] = {}
        deaf = []
        for row in rows.tolist():
            stream = self._streams[row]
            for leg in stream.legs.values():
                if not leg.is_started:
                    continue
                pcm = np.zeros(frame_samples(leg.down.rate_out), np.int16)
                if row in frames and leg.track in stream.listeners:
                    pcm = leg.down.process(_ROW, frames[row][None])[0]
                if leg.sends:
                    by_size.setdefault(len(pcm), []).append((leg.row, pcm))
                else:
                    deaf.append(leg.row)
        sent = [Frames(np.array([row for row, _ in of]), np.stack([pcm for _, pcm in of])) for of in by_size.values()]
        return sent, np.array(deaf, np.int64)


def _channel(track: Track) -> int:
    return 0 if track is Track.CALLER else 1
