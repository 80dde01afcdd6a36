"""The bridge between telephone and bot: frames of RTP become messages, bytes of the bot become RTP.

One call is one row. What calls have in common, their rates and their mix, is a format; all rows of a format are worked
on together. Up means towards the bot, down towards the caller.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp import FRAME_MS, AddressKeys, Frames, MediaPlane, Pacer, Pcm, Rows, mix
from sidecar.core.attached_streams import AttachedStreams, Voices, is_plain
from sidecar.core.digit_rows import ToneRows
from sidecar.core.downlinks import Downlinks
from sidecar.core.message_cutter import as_bytes
from sidecar.core.options import MixMode, StreamOptions, Track
from sidecar.core.speech_rows import SpeechRows
from sidecar.core.uplink import Uplink, UplinkKey
from sidecar.core.websocket_frames import masked_binary_frames

PHASES = 4
"""Rows take turns within the 20 ms, so that packets do not leave in one burst."""

MOST_CALLS = PHASES * 1024
"""The packets of one phase leave in one batch."""

CATCH_UP_FRAMES = 5
"""Frames of each call that are sent late, after a stall; what is older is left out."""

JITTER_FRAMES = 10
"""Frames of the caller that are held back at the most, to be paired with what the caller hears."""

_TICK = FRAME_MS / 1000 / PHASES

Bytes = NDArray[np.uint8]


class Messages(NamedTuple):
    """One WebSocket frame for each of some rows, ready to be written."""

    rows: Rows
    frames: Bytes  # uint8[n, bytes of a frame]


@dataclass(slots=True)
class _Call:
    """What is not worth a column."""

    uplink: Uplink
    dropped_frames: int = 0  # of the caller, before it had this uplink


class Bridge:
    """Joins the rows of a `MediaPlane` to their bots. Sans-IO: arrays in, arrays out, and the time as an argument."""

    def __init__(
        self,
        plane: MediaPlane,
        *,
        random_bytes: Callable[[int], bytes],
        jitter_frames: int = JITTER_FRAMES,
        tones: ToneRows | None = None,
    ) -> None:
        """`tones` looks at what comes from callers, where digits are to be found in it."""
        rows = plane.capacity
        assert rows <= MOST_CALLS
        self.playback = Downlinks(rows)
        self.speech = SpeechRows(rows)
        self._plane = plane
        self._attached = AttachedStreams(plane, jitter_frames=jitter_frames)
        self._random_bytes = random_bytes
        self._jitter_frames = jitter_frames
        self._tones = tones
        self._pacer = Pacer(_TICK, catch_up_max=CATCH_UP_FRAMES * PHASES)
        self._tick = 0
        self._tick_at = 0.0  # seconds: when the next one is due, however late it is
        self._calls: dict[int, _Call] = {}
        self._uplinks: dict[UplinkKey, Uplink] = {}
        self._numbers = itertools.count()
        self._uplink_number = np.zeros(rows, np.int64)
        self._messages_sent = np.zeros(rows, np.int64)
        self._on_grid: list[Rows] = [np.empty(0, np.int64) for _ in range(PHASES)]
        self._sends = np.zeros(rows, np.bool_)
        self._draining: set[int] = set()
        self._drained: list[int] = []
        self._rows = rows

    # --- calls come and go

    def open(self, row: int, options: StreamOptions, *, playout_seconds: float) -> None:
        """Join `row` of the plane to a bot."""
        rate, wire_rate = options.playback_rate, self._plane.codec(row).sample_rate
        if not is_plain(options):
            self._attached.open(row, options)
        uplink = self._join_uplink(row, self._uplink_key(row, options))
        self.playback.open(row, rate, wire_rate, preroll_ms=options.preroll, playout_seconds=playout_seconds)
        self.speech.open(row, options)
        self._messages_sent[row] = 0
        self._calls[row] = _Call(uplink)

    def join(self, row: int, stream_row: int, track: Track, options: StreamOptions) -> None:
        """Let `row` of the plane be another leg of a stream, which has `options`."""
        if stream_row not in self._attached:
            self._change_uplink(stream_row, options.rate)
            self._attach(stream_row, options)
        self._attached.join(row, stream_row, track)

    def _attach(self, row: int, options: StreamOptions) -> None:
        """Let a row that was worked on as any call is be one of an attached stream."""
        self._attached.open(row, options)
        if row in self._on_grid[row % PHASES]:
            self._attached.start(row, sends=bool(self._sends[row]))

    def leave(self, row: int) -> None:
        """The leg in `row` is over, and the stream is not: its row stays with it if it is the stream's own."""
        if row in self._attached:
            self._attached.leave(row)
        else:  # the leg that was to stay was refused: the stream is about to end, and its row is sent nothing more
            self._sends[row] = False

    def change(self, row: int) -> None:
        """Take note that the codec of `row` may have changed: bot and caller go on hearing each other."""
        call, wire_rate = self._calls.get(row), self._plane.codec(row).sample_rate
        if row in self._attached:
            self._attached.change(row)
            if call is not None:
                self.playback.change(row, wire_rate)
            return
        assert call is not None
        if call.uplink.key.wire_rate == wire_rate:
            return
        self._change_uplink(row, wire_rate)
        self.playback.change(row, wire_rate)

    def _change_uplink(self, row: int, wire_rate: int) -> None:
        """Let what comes for `row` be of another rate; a message that has begun is gone on with."""
        call = self._calls[row]
        rest = call.uplink.take_rest(row)
        call.dropped_frames += call.uplink.dropped_frames(row)
        self._leave_uplink(call.uplink)
        call.uplink = self._join_uplink(row, replace(call.uplink.key, wire_rate=wire_rate))
        call.uplink.begin_with(row, rest)

    def reform(self, row: int, options: StreamOptions) -> None:
        """Let the messages of `row` be of the format of these options, from the next on: `cut` before that."""
        call = self._calls[row]
        if row in self._attached:
            self._attached.reform(row, options)
        elif not is_plain(options):
            self._attach(row, options)
        call.dropped_frames += call.uplink.dropped_frames(row)
        self._leave_uplink(call.uplink)
        call.uplink = self._join_uplink(row, self._uplink_key(row, options))

    def _uplink_key(self, row: int, options: StreamOptions) -> UplinkKey:
        """Return the format of a row; those of attached streams come at the rate of their bots."""
        rate, wire_rate = options.rate, self._plane.codec(row).sample_rate
        if row in self._attached:
            return UplinkKey(options.mix, rate, rate, options.buffer_size)
        return UplinkKey(options.mix if options.track is None else MixMode.MONO, wire_rate, rate, options.buffer_size)

    def _join_uplink(self, row: int, key: UplinkKey) -> Uplink:
        if key not in self._uplinks:
            number = next(self._numbers)
            self._uplinks[key] = Uplink(key, self._rows, number=number, jitter_frames=self._jitter_frames)
        uplink = self._uplinks[key]
        uplink.calls += 1
        uplink.reset(row)
        self._uplink_number[row] = uplink.number
        return uplink

    def _leave_uplink(self, uplink: Uplink) -> None:
        uplink.calls -= 1
        if not uplink.calls:  # formats are many, and each has room for every row
            del self._uplinks[uplink.key]

    def start(self, row: int, *, sends: bool = True) -> None:
        """Begin the grid of `row`: from now on, a frame every 20 ms, and, if it `sends`, a packet to the caller."""
        self._sends[row] = sends
        self.speech.start(row, listens=sends)
        if row in self._attached:
            row = self._attached.start(row, sends=sends)
        phase = row % PHASES
        if row not in self._on_grid[phase]:
            self._on_grid[phase] = np.append(self._on_grid[phase], row)

    def close(self, row: int) -> Messages | None:
        """Part `row` from its bot; return the last, shorter message, if there is one."""
        rest = self.cut(row)
        call = self._calls.pop(row)
        if row in self._attached:
            self._attached.close(row)
        self.playback.close(row)
        self.speech.close(row)
        self._leave_uplink(call.uplink)
        phase = row % PHASES
        self._on_grid[phase] = self._on_grid[phase][self._on_grid[phase] != row]
        self._draining.discard(row)
        self._drained = [drained for drained in self._drained if drained != row]
        return rest

    def cut(self, row: int) -> Messages | None:
        """End the message of `row` that has begun, if there is one; return it, shorter as it is."""
        rest = self._calls[row].uplink.take_rest(row)
        return self._framed(np.array([row]), rest[None, :]) if len(rest) else None

    def messages_sent(self, row: int) -> int:
        """Return how many messages of `row` there were."""
        return int(self._messages_sent[row])

    def dropped_frames(self, row: int) -> int:
        """Return how many frames of the caller in `row` were left out, to be in time with what it hears."""
        return self._calls[row].dropped_frames + self._calls[row].uplink.dropped_frames(row)

    def missed_frames(self, row: int) -> int:
        """Return how often one of two voices that come over two legs was not there in its turn."""
        return self._attached.missed_frames(row)

    def drain(self, row: int, *, now: float) -> None:
        """Ask to be told, by `take_drained`, when all that is queued for `row` has been played."""
        # The grid may be yet to begin: a bot can speak and leave before the call is answered.
        self.playback.flush(row, now=now)
        if row in self._on_grid[row % PHASES] or self.playback.has_audio(row):
            self._draining.add(row)
        else:
            self._drained.append(row)

    def take_drained(self) -> list[int]:
        """Return the rows that have played all they had; each is told once."""
        drained, self._drained = self._drained, []
        return drained

    # --- up

    def receive(
        self, data: Bytes, lengths: NDArray[np.uint32], sources: AddressKeys, *, now: float
    ) -> Iterator[Messages]:
        """Take datagrams as `MediaPlane.receive` does; give the messages that are complete."""
        for frames in self._plane.receive(data, lengths, sources, now=now):
            yield from self._from_caller(frames, now=now)

    def handle_timeout(self, *, now: float) -> Iterator[Messages]:
        """Conceal what has been missing for too long."""
        for frames in self._plane.handle_timeout(now=now):
            yield from self._from_caller(frames, now=now)

    def _from_caller(self, frames: Frames, *, now: float) -> Iterator[Messages]:
        """Pass mono audio on at once; let paired audio wait for its turn on the grid."""
        if self._tones is not None:
            self._tones.process(frames)
        if self.speech.is_used:
            self.speech.process(self._attached.callers(frames) if self._attached else frames, now=now)
        if self._attached and (of_legs := self._attached.is_leg[frames.rows]).any():
            heard = self._attached.hear(Frames(frames.rows[of_legs], frames.pcm[of_legs]), now=now)
            yield from self._from_legs(heard)
            frames = Frames(frames.rows[~of_legs], frames.pcm[~of_legs])
        for uplink, chosen in self._by_uplink(frames.rows):
            rows, pcm = frames.rows[chosen], frames.pcm[chosen]
            if uplink.mix is MixMode.MONO:
                yield from self._messages(uplink, rows, [pcm])
            elif uplink.callers is not None:
                uplink.callers.write(rows, pcm)

    def _from_legs(self, heard: Iterable[Voices]) -> Iterator[Messages]:
        """Pass on what bots are to hear of attached streams; those of one format together."""
        by_uplink: dict[int, list[Voices]] = {}
        for voices in heard:
            by_uplink.setdefault(int(self._uplink_number[voices.row]), []).append(voices)
        for alike in by_uplink.values():
            rows, channels = zip(*alike, strict=True)
            together = [np.concatenate(channel) for channel in zip(*channels, strict=True)]
            yield from self._messages(self._calls[rows[0]].uplink, np.array(rows), together)

    def _from_callee(self, frames: Frames) -> Iterator[Messages]:
        """Pair what is played with the caller's voice, or pass it on alone."""
        for uplink, chosen in self._by_uplink(frames.rows):
            rows, callee = frames.rows[chosen], frames.pcm[chosen]
            if uplink.mix is MixMode.CALLEE:
                yield from self._messages(uplink, rows, [callee])
            elif uplink.callers is not None:
                caller = uplink.callers.read(rows)
                voices = [caller, callee] if uplink.mix is MixMode.STEREO else [mix(caller, callee)]
                yield from self._messages(uplink, rows, voices)

    def _by_uplink(self, rows: Rows) -> Iterator[tuple[Uplink, slice | NDArray[np.bool_]]]:
        """Split rows by their format; most often they all have the same."""
        numbers = self._uplink_number.take(rows)
        for uplink in list(self._uplinks.values()):
            chosen = numbers == uplink.number
            count = np.count_nonzero(chosen)
            if count == len(rows):
                yield uplink, slice(None)
                return
            if count:
                yield uplink, chosen

    def _messages(self, uplink: Uplink, rows: Rows, voices: list[Pcm]) -> Iterator[Messages]:
        rows, pcm = uplink.messages(rows, voices)
        if len(rows):
            yield self._framed(rows, pcm)

    def _framed(self, rows: Rows, pcm: Pcm) -> Messages:
        self._messages_sent[rows] += 1
        masks = np.frombuffer(self._random_bytes(4 * len(rows)), np.uint32)
        return Messages(rows, masked_binary_frames(as_bytes(pcm), masks))

    # --- down

    def ticks_due(self, *, now: float) -> int:
        """Return how often `tick` is to be called now: once every 5 ms, for a quarter of the rows."""
        skip, run = self._pacer.due(now=now)
        for tick in range(self._tick, self._tick + min(skip, PHASES)):
            frames = len(range(tick, self._tick + skip, PHASES))
            rows = self._on_grid[tick % PHASES]
            self._plane.skip(rows, frames)
            if self._attached:
                self._plane.skip(self._attached.others_of(rows), frames)
        self._tick += skip
        self._tick_at = (self._pacer.next_timeout or now) - run * _TICK
        return run

    def start_clock(self) -> None:
        """Begin the grid anew: there was nothing to send for a while."""
        self._pacer.next_timeout = None

    @property
    def ticks_skipped(self) -> int:
        """How many ticks were left out after stalls: each is a frame of a quarter of the calls."""
        return self._pacer.skipped

    def next_tick(self) -> float | None:
        """Return when the next tick is due."""
        return self._pacer.next_timeout

    def tick(
        self, packets: Bytes, lengths: NDArray[np.uint64], destinations: AddressKeys, *, now: float
    ) -> tuple[int, list[Messages]]:
        """Write this turn's RTP packets into the arrays given; return how many, and messages that they complete."""
        rows, at = self._on_grid[self._tick % PHASES], self._tick_at
        self._tick += 1
        self._tick_at += _TICK
        count, messages = 0, list[Messages]()
        if self._attached and (attached := self._attached.is_leg[rows]).any():
            count, messages = self._attached_turn(rows[attached], packets, lengths, destinations, now=now, at=at)
            rows = rows[~attached]
        for frames in self._play(rows, now=now) if len(rows) else ():
            sends = self._sends.take(frames.rows)
            sent = frames
            if np.count_nonzero(sends) < len(sends):
                self._plane.skip(frames.rows[~sends], 1)
                sent = Frames(frames.rows[sends], frames.pcm[sends])
            count += self._plane.send(sent, packets[count:], lengths[count:], destinations[count:])
            messages += self._from_callee(frames)
        return count, messages

    def _attached_turn(
        self,
        rows: Rows,
        packets: Bytes,
        lengths: NDArray[np.uint64],
        destinations: AddressKeys,
        *,
        now: float,
        at: float,
    ) -> tuple[int, list[Messages]]:
        """Do what `tick` does for streams that are attached; it was due `at`."""
        count = 0
        ready = self._attached.ready_to_play(rows)
        played = list(self._play(ready, now=now)) if len(ready) else []
        sent, deaf = self._attached.to_send(rows, played)
        self._plane.skip(deaf, 1)
        for frames in sent:
            count += self._plane.send(frames, packets[count:], lengths[count:], destinations[count:])
        return count, list(self._from_legs(self._attached.take_voices(rows, now=at)))

    def _play(self, rows: Rows, *, now: float) -> Iterator[Frames]:
        """Take the next frame to play of each row, silence where there is none."""
        for frames, plays in self.playback.frames(rows, now=now):
            if self._draining:
                for row in frames.rows[~plays].tolist():
                    self._note_drained(row)
            yield self.speech.played(frames, plays, now=now) if self.speech.is_used else frames

    def _note_drained(self, row: int) -> None:
        if row in self._draining and not self.playback.has_audio(row):
            self._draining.discard(row)
            self._drained.append(row)
