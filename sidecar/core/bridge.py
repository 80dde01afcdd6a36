"""The bridge between telephone and bot: frames of RTP become messages, bytes of the bot become RTP.

One call is one row. What calls have in common, their rates and their mix, is a format; all rows of a format are worked
on together. Up means towards the bot, down towards the caller.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp import (
    CLOCK_RATE,
    FRAME_MS,
    AddressKeys,
    Frames,
    JitterBuffer,
    MediaPlane,
    Pacer,
    Pcm,
    Resampler,
    Rows,
    frame_samples,
    interleave,
    mix,
)
from sidecar.core.message_cutter import MessageCutter, as_bytes, as_samples
from sidecar.core.options import MixMode, StreamOptions
from sidecar.core.playout import PlayoutBuffer
from sidecar.core.playout_rows import PlayoutRows
from sidecar.core.websocket_frames import SERVER_HEADER_BYTES, count_binary_frames, masked_binary_frames

PHASES = 4
"""Rows take turns within the 20 ms, so that packets do not leave in one burst."""

MOST_CALLS = PHASES * 1024
"""The packets of one phase leave in one batch."""

CATCH_UP_FRAMES = 5
"""Frames of each call that are sent late, after a stall; what is older is left out."""

Bytes = NDArray[np.uint8]


class Messages(NamedTuple):
    """One WebSocket frame for each of some rows, ready to be written."""

    rows: Rows
    frames: Bytes  # uint8[n, bytes of a frame]


@dataclass(frozen=True, slots=True)
class _UplinkKey:
    mix: MixMode
    rate: int
    buffer_ms: int


class _Uplink:
    """What the rows of one uplink format share: from frames at the wire's rate to WebSocket frames."""

    def __init__(self, key: _UplinkKey, rows: int, *, number: int) -> None:
        channels = 2 if key.mix is MixMode.STEREO else 1
        self.key = key
        self.number = number
        self.mix = key.mix
        self.calls = 0
        self._resamplers = [Resampler(CLOCK_RATE, key.rate, rows=rows) for _ in range(channels)]
        self._cutter = MessageCutter(
            frame_samples=channels * frame_samples(key.rate), frames=key.buffer_ms // FRAME_MS, rows=rows
        )

    def reset(self, row: int) -> None:
        for resampler in self._resamplers:
            resampler.reset(row)
        self._cutter.take_rest(row)

    def messages(self, rows: Rows, voices: list[Pcm]) -> tuple[Rows, Pcm]:
        pcm = [resampler.process(rows, voice) for resampler, voice in zip(self._resamplers, voices, strict=True)]
        return self._cutter.cut(rows, pcm[0] if len(pcm) == 1 else interleave(*pcm))

    def take_rest(self, row: int) -> Pcm:
        return self._cutter.take_rest(row)


class _Downlink:
    """What the rows share whose bots talk at one rate: from what was said to frames at the wire's rate."""

    def __init__(self, rate: int, rows: int) -> None:
        self.rate = rate
        self.playouts = PlayoutRows(frame_samples=frame_samples(rate), rows=rows)
        self._resampler = Resampler(rate, CLOCK_RATE, rows=rows)

    def open(self, row: int, *, preroll_ms: int, playout_seconds: float) -> None:
        self._resampler.reset(row)
        self.playouts.open(row, preroll_ms=preroll_ms, capacity_bytes=int(2 * self.rate * playout_seconds))

    def frames(self, data: Bytes, lengths: NDArray[np.int64]) -> Iterator[tuple[slice | NDArray[np.int64], Pcm]]:
        """Cut WebSocket frames of 20 ms out of rows that are nothing else: the first of each, then the second, ..."""
        size = self.playouts.frame_bytes
        counts = count_binary_frames(data, lengths, size)
        for number in range(int(counts.max(initial=0))):
            at = number * (SERVER_HEADER_BYTES + size) + SERVER_HEADER_BYTES
            chosen = counts > number
            where = slice(None) if chosen.all() else np.flatnonzero(chosen)
            yield where, as_samples(data[where, at : at + size])

    def play(self, rows: Rows, *, now: float) -> tuple[Pcm, NDArray[np.bool_]]:
        """Take the next frame of each row, int16[n, 160], silence where there is none; and where there is one."""
        pcm, plays = self.playouts.read(rows, now=now)
        return self._resampler.process(rows, pcm), plays


@dataclass(slots=True)
class _Call:
    """What is not worth a column."""

    uplink: _Uplink
    downlink: _Downlink
    caller: JitterBuffer | None  # only where the two voices are paired


class Bridge:
    """Joins the rows of a `MediaPlane` to their bots. Sans-IO: arrays in, arrays out, and the time as an argument."""

    def __init__(self, plane: MediaPlane, *, random_bytes: Callable[[int], bytes]) -> None:
        rows = plane.capacity
        assert rows <= MOST_CALLS
        self._plane = plane
        self._random_bytes = random_bytes
        self._pacer = Pacer(FRAME_MS / 1000 / PHASES, catch_up_max=CATCH_UP_FRAMES * PHASES)
        self._tick = 0
        self._calls: dict[int, _Call] = {}
        self._uplinks: dict[_UplinkKey, _Uplink] = {}
        self._downlinks: dict[int, _Downlink] = {}
        self._numbers = itertools.count()
        self._uplink_number = np.zeros(rows, np.int64)
        self._playback_rate = np.zeros(rows, np.int64)
        self._messages_sent = np.zeros(rows, np.int64)
        self._on_grid: list[Rows] = [np.empty(0, np.int64) for _ in range(PHASES)]
        self._sends = np.zeros(rows, np.bool_)
        self._draining: set[int] = set()
        self._drained: list[int] = []
        self._rows = rows

    # --- calls come and go

    def open(self, row: int, options: StreamOptions, *, playout_seconds: float) -> None:
        """Join `row` of the plane to a bot."""
        key = _UplinkKey(options.mix, options.rate, options.buffer_size)
        if key not in self._uplinks:
            self._uplinks[key] = _Uplink(key, self._rows, number=next(self._numbers))
        rate = options.playback_rate
        if rate not in self._downlinks:
            self._downlinks[rate] = _Downlink(rate, self._rows)
        uplink, downlink = self._uplinks[key], self._downlinks[rate]
        uplink.calls += 1
        uplink.reset(row)
        downlink.open(row, preroll_ms=options.preroll, playout_seconds=playout_seconds)
        self._uplink_number[row], self._playback_rate[row] = uplink.number, rate
        self._messages_sent[row] = 0
        paired = options.mix in (MixMode.MIXED, MixMode.STEREO)
        self._calls[row] = _Call(uplink, downlink, JitterBuffer() if paired else None)

    def start(self, row: int, *, sends: bool = True) -> None:
        """Begin the grid of `row`: from now on, a frame every 20 ms, and, if it `sends`, a packet to the caller."""
        phase = row % PHASES
        if row not in self._on_grid[phase]:
            self._on_grid[phase] = np.append(self._on_grid[phase], row)
        self._sends[row] = sends

    def close(self, row: int) -> Messages | None:
        """Part `row` from its bot; return the last, shorter message, if there is one."""
        call = self._calls.pop(row)
        call.downlink.playouts.close(row)
        call.uplink.calls -= 1
        if not call.uplink.calls:  # formats are many, and each has room for every row
            del self._uplinks[call.uplink.key]
        phase = row % PHASES
        self._on_grid[phase] = self._on_grid[phase][self._on_grid[phase] != row]
        self._draining.discard(row)
        self._drained = [drained for drained in self._drained if drained != row]
        rest = call.uplink.take_rest(row)
        return self._framed(np.array([row]), rest[None, :]) if len(rest) else None

    def playout(self, row: int) -> PlayoutBuffer:
        """Return the playout buffer of `row`, until the next tick, or until frames are played."""
        return self._calls[row].downlink.playouts.buffer(row)

    def messages_sent(self, row: int) -> int:
        """Return how many messages of `row` there were."""
        return int(self._messages_sent[row])

    def jitter_buffer(self, row: int) -> JitterBuffer | None:
        """Return the jitter buffer of `row`, where its mix needs one."""
        return self._calls[row].caller

    def drain(self, row: int) -> None:
        """Ask to be told, by `take_drained`, when all that is queued for `row` has been played."""
        # The grid may be yet to begin: a bot can speak and leave before the call is answered.
        if row in self._on_grid[row % PHASES] or self._calls[row].downlink.playouts.has_audio(row):
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
            yield from self._from_caller(frames)

    def handle_timeout(self, *, now: float) -> Iterator[Messages]:
        """Conceal what has been missing for too long."""
        for frames in self._plane.handle_timeout(now=now):
            yield from self._from_caller(frames)

    def _from_caller(self, frames: Frames) -> Iterator[Messages]:
        """Pass mono audio on at once; let paired audio wait for its turn on the grid."""
        for uplink, chosen in self._by_uplink(frames.rows):
            rows, pcm = frames.rows[chosen], frames.pcm[chosen]
            if uplink.mix is MixMode.MONO:
                yield from self._messages(uplink, rows, [pcm])
            elif uplink.mix is not MixMode.CALLEE:
                for row, frame in zip(rows.tolist(), pcm, strict=True):
                    caller = self._calls[row].caller
                    assert caller is not None
                    caller.write(frame)

    def _from_callee(self, frames: Frames) -> Iterator[Messages]:
        """Pair what is played with the caller's voice, or pass it on alone."""
        for uplink, chosen in self._by_uplink(frames.rows):
            rows, callee = frames.rows[chosen], frames.pcm[chosen]
            if uplink.mix is MixMode.CALLEE:
                yield from self._messages(uplink, rows, [callee])
            elif uplink.mix is not MixMode.MONO:
                caller = self._caller_frames(rows, callee.shape)
                voices = [caller, callee] if uplink.mix is MixMode.STEREO else [mix(caller, callee)]
                yield from self._messages(uplink, rows, voices)

    def _caller_frames(self, rows: Rows, shape: tuple[int, ...]) -> Pcm:
        pcm = np.zeros(shape, np.int16)
        for at, row in enumerate(rows.tolist()):
            caller = self._calls[row].caller
            assert caller is not None
            frame = caller.read()
            if frame is not None:
                pcm[at] = frame
        return pcm

    def _by_uplink(self, rows: Rows) -> Iterator[tuple[_Uplink, slice | NDArray[np.bool_]]]:
        """Split rows by their format; most often they all have the same."""
        numbers = self._uplink_number[rows]
        for uplink in list(self._uplinks.values()):
            chosen = numbers == uplink.number
            if chosen.all():
                yield uplink, slice(None)
                return
            if chosen.any():
                yield uplink, chosen

    def _messages(self, uplink: _Uplink, rows: Rows, voices: list[Pcm]) -> Iterator[Messages]:
        rows, pcm = uplink.messages(rows, voices)
        if len(rows):
            yield self._framed(rows, pcm)

    def _framed(self, rows: Rows, pcm: Pcm) -> Messages:
        self._messages_sent[rows] += 1
        masks = np.frombuffer(self._random_bytes(4 * len(rows)), np.uint32)
        return Messages(rows, masked_binary_frames(as_bytes(pcm), masks))

    # --- down

    def play(self, row: int, audio: bytes, *, now: float) -> None:
        """Queue audio of a bot, of any length."""
        self._calls[row].downlink.playouts.write(row, audio, now=now)

    def play_frames(self, rows: Rows, data: Bytes, lengths: NDArray[np.int64], *, now: float) -> NDArray[np.bool_]:
        """Queue what was read from some bots, uint8[n, m] of which `lengths` bytes each, where that is plainly frames.

        Return where it is: whole WebSocket frames of 20 ms of audio. All else is for `BotConnection`, and so is
        whatever comes for a row that is negative.
        """
        rates = np.where(rows < 0, 0, self._playback_rate[rows])
        played = np.zeros(len(rows), np.bool_)
        for rate, downlink in self._downlinks.items():
            of_rate = rates == rate
            if not of_rate.any():
                continue
            frames = downlink.frames(data, np.where(of_rate, lengths, 0))
            for chosen, pcm in frames:
                downlink.playouts.write_frames(rows[chosen], pcm, now=now)
                played[chosen] = True
        return played

    def ticks_due(self, *, now: float) -> int:
        """Return how often `tick` is to be called now: once every 5 ms, for a quarter of the rows."""
        skip, run = self._pacer.due(now=now)
        for tick in range(self._tick, self._tick + min(skip, PHASES)):
            frames = len(range(tick, self._tick + skip, PHASES))
            self._plane.skip(self._on_grid[tick % PHASES], frames)
        self._tick += skip
        return run

    def start_clock(self) -> None:
        """Begin the grid anew: there was nothing to send for a while."""
        self._pacer.next_timeout = None

    def next_tick(self) -> float | None:
        """Return when the next tick is due."""
        return self._pacer.next_timeout

    def tick(self, packets: Bytes, destinations: AddressKeys, *, now: float) -> tuple[int, list[Messages]]:
        """Write this turn's RTP packets into the arrays given; return how many, and messages that they complete."""
        rows = self._on_grid[self._tick % PHASES]
        self._tick += 1
        if not len(rows):
            return 0, []
        frames = Frames(rows, self._play(rows, now=now))
        sends = self._sends[rows]
        if sends.all():
            count = self._plane.send(frames, packets, destinations)
        else:
            self._plane.skip(rows[~sends], 1)
            count = self._plane.send(Frames(rows[sends], frames.pcm[sends]), packets, destinations)
        return count, list(self._from_callee(frames))

    def _play(self, rows: Rows, *, now: float) -> Pcm:
        """Take the next frame to play of each row, silence where there is none: int16[n, 160]."""
        rates = self._playback_rate[rows]
        pcm, plays = np.empty((len(rows), frame_samples(CLOCK_RATE)), np.int16), np.empty(len(rows), np.bool_)
        for rate, downlink in self._downlinks.items():
            chosen = rates == rate
            if chosen.all():
                pcm, plays = downlink.play(rows, now=now)
                break
            if chosen.any():
                pcm[chosen], plays[chosen] = downlink.play(rows[chosen], now=now)
        if self._draining:
            for row in rows[~plays].tolist():
                self._note_drained(row)
        return pcm

    def _note_drained(self, row: int) -> None:
        if row in self._draining and not self._calls[row].downlink.playouts.has_audio(row):
            self._draining.discard(row)
            self._drained.append(row)
