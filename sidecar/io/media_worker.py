"""The media worker: the sockets of RTP, the WebSockets of its calls, and the bridge between them.

This is where a packet enters and leaves. Up: `_on_datagrams` takes RTP, the bridge makes messages of it, `_send` writes
them. Down: `_on_bots_readable`, or `_after_input` for one bot, queues what was said, `_on_tick`, every 5 ms, writes as
RTP what is to be played.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random

import numpy as np
import structlog
from websockets.frames import CloseCode

from rtp import GateCounters, MediaPlane, prepare, records
from sidecar.core.bot_connection import Closed, ConnectionEvent, Failed, Opened, TextReceived
from sidecar.core.bridge import Bridge, Messages
from sidecar.core.digit_rows import ToneRows
from sidecar.core.grid_lateness import GridLateness
from sidecar.core.legs import Legs
from sidecar.core.link import (
    BotClosed,
    BotFailed,
    ChangeLeg,
    CloseStream,
    FromWorker,
    JoinStream,
    LeaveStream,
    OpenStream,
    PlaybackDrained,
    SendDigits,
    StartMedia,
    StreamEnded,
    StreamRefused,
    StreamStats,
    ToWorker,
    WorkerReady,
)
from sidecar.core.player import Player
from sidecar.io.bot_care import BotCare
from sidecar.io.bot_inputs import MOST_READS, BotInputs, bytes_to_read
from sidecar.io.bot_lane import NO_ROW, SocketLane, send_frames
from sidecar.io.bot_stream import BotStream
from sidecar.io.clip_decoder import ClipDecoder
from sidecar.io.clips import Clips
from sidecar.io.joined_legs import JoinedLeg, JoinedLegs, address_taken
from sidecar.io.live_changes import LiveChanges
from sidecar.io.load_meter import LoadMeter
from sidecar.io.media_sockets import MediaSockets
from sidecar.io.readiness import open_readiness
from sidecar.io.rtp_backlog import RtpBacklog
from sidecar.io.worker_figures import WorkerFigures
from sidecar.io.worker_settings import WorkerSettings

log = structlog.get_logger(__name__)

LOAD_SECONDS = 0.5
"""Between two `WorkerLoad`s."""


class MediaWorker:
    """Runs the media of many calls in the running event loop."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        sockets: MediaSockets,
        random: Random,
        to_control: Callable[[FromWorker], None],
        unsaid: Callable[[], int] = lambda: 0,
    ) -> None:
        """`unsaid` counts what was too much for the link to take to control."""
        self._settings = settings
        self._sockets = sockets
        self._datagrams = sockets.datagrams
        self._random = random
        self._to_control = to_control
        self._plane = MediaPlane(settings.capacity, random)
        tones = ToneRows(settings.capacity) if settings.inband_digits else None
        self._legs = Legs(self._plane, random=random, timeouts=settings.timeouts, tones=tones)
        self._bridge = Bridge(self._plane, random_bytes=os.urandom, jitter_frames=settings.jitter_frames, tones=tones)
        self._streams: dict[str, BotStream] = {}
        self._figures = WorkerFigures(self._streams, self._legs, self._bridge, sockets, unsaid)
        self._joined = JoinedLegs(self._legs, self._bridge, sockets, to_control, self._after_input, self._figures.tally)
        self._by_row: list[BotStream | None] = [None] * settings.capacity
        self._inputs = BotInputs()
        self._backlog = RtpBacklog(sockets.datagrams, self._plane, self._figures.histograms["rtp_batch_datagrams"])
        self._stopping = asyncio.Event()
        self._ticker: asyncio.Handle | None = None  # none while there is no stream
        self._lateness = GridLateness(self._figures.histograms["grid_late_seconds"])

    async def run(self) -> None:
        """Take streams until `stop` is called; then close all, the RTP socket too."""
        prepare(self._settings.codecs)
        self._loop = asyncio.get_running_loop()
        self._readiness = open_readiness(self._loop, self._on_bots_readable, portable=self._settings.portable)
        self._clips = Clips(ClipDecoder(), loop=self._loop)
        self._sockets.watch(self._readiness, self._on_datagrams, self._on_report)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._care = self._new_care(tasks)
                self._live = LiveChanges(
                    self._bridge, self._legs, self._care, self._send, self._to_control, self._after_input
                )
                self._to_control(WorkerReady(self._datagrams.port))
                await self._tell_load()
                for stream in list(self._streams.values()):
                    self._close(stream, CloseCode.GOING_AWAY, "the sidecar stops")
                self._tell_counts()
                while not self._care.idle:  # noqa: ASYNC110  once, for as long as a goodbye may take
                    await asyncio.sleep(0.01)
        finally:
            self._care.stop()
            if self._ticker is not None:
                self._ticker.cancel()
            await self._clips.close()
            self._readiness.close()
            self._sockets.close()

    def stop(self) -> None:
        """End all streams, then `run`."""
        self._stopping.set()

    async def _tell_load(self) -> None:
        """Say how it goes, again and again, until `stop` is called."""
        load = LoadMeter(self._lateness, now=self._loop.time())
        for turn in itertools.count():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), LOAD_SECONDS)
                return
            self._to_control(load.read(len(self._streams), now=self._loop.time()))
            if turn % 2:
                self._tell_counts()

    def _tell_counts(self) -> None:
        try:
            self._to_control(self._figures.take(self._joined, self._care, self._clips))
        except Exception:  # no figure is worth a call
            log.exception("figures not told")

    @property
    def idle(self) -> bool:
        """Whether nothing is left of any stream: no row, no socket, no task."""
        return not (self._streams or self._plane.calls) and self._care.idle

    @property
    def counters(self) -> GateCounters:
        """Datagrams that reached no call."""
        return self._plane.gate.counters

    # --- what control says

    def handle(self, message: ToWorker) -> None:
        """Do what the control process asks; a stream that is over already is not asked again."""
        if isinstance(message, OpenStream):
            self._open(message)
            return
        if isinstance(message, JoinStream):
            self._joined.join(message, self._streams.get(message.of))
            return
        leg = self._streams.get(message.stream) or self._joined.get(message.stream)
        if leg is None:
            return
        stream = leg.stream if isinstance(leg, JoinedLeg) else leg
        match message:
            case StartMedia() | ChangeLeg() | SendDigits() | LeaveStream():
                self._joined.handle(leg, message, now=self._loop.time())
            case CloseStream(_, code, reason):
                self._close(stream, code, reason)
            case _:
                self._live.handle(stream, message)

    def _open(self, message: OpenStream) -> None:
        leg, options = message.leg, message.options
        try:
            stream = self._care.new_stream(message.stream, options)
        except ValueError as error:
            self._to_control(StreamRefused(message.stream, str(error)))
            return
        try:
            unknown = self._sockets.open_leg(message.port, leg)
        except OSError as error:
            self._to_control(StreamRefused(message.stream, f"port {message.port}: {error.strerror}"))
            return
        row = self._legs.open(message.stream, leg, port=message.port, unknown=unknown)
        if row is None:
            self._sockets.close_leg(message.port)
            self._to_control(StreamRefused(message.stream, address_taken(leg)))
            return
        self._bridge.open(row, options, playout_seconds=options.playback_max)
        stream.row, stream.port = row, message.port
        stream.player = Player(message.stream, row, options, self._bridge)
        self._streams[message.stream] = self._by_row[row] = stream
        if self._ticker is None:
            self._bridge.start_clock()
            self._backlog.begin(now=self._loop.time())
            self._ticker = self._loop.call_soon(self._on_tick)
        self._care.connect(stream)
        self._live.opened(stream)

    def _new_care(self, tasks: asyncio.TaskGroup) -> BotCare:
        return BotCare(
            loop=self._loop,
            tasks=tasks,
            readiness=self._readiness,
            random=self._random,
            rows=self._settings.capacity,
            hosts=self._settings.bot_hosts,
            connect_seconds=self._settings.connect_timeout,
            uplink_seconds=self._settings.uplink_seconds,
            on_input=self._after_input,
            say=self._to_control,
            connect_times=self._figures.histograms["bot_connect_seconds"],
        )

    def _close(self, stream: BotStream, code: int, reason: str) -> None:
        """Give the row back at once; let the WebSocket say goodbye in its own time."""
        stats = self._close_row(stream)
        del self._streams[stream.name]
        self._by_row[stream.row] = None
        stream.player.closed = True
        self._to_control(StreamEnded(stream.name, stats))
        self._care.close(stream, code, reason)

    def _close_row(self, stream: BotStream) -> StreamStats:
        """Close the row, and return what passed through it."""
        self._joined.close(stream, now=self._loop.time())
        leg = self._legs.close(stream.row, now=self._loop.time(), wall_clock=time.time())
        stats = stream.stats(leg, self._bridge)
        last = self._bridge.close(stream.row)
        if last is not None:
            self._send(last)
        self._figures.tally.end(stream.name, stats)
        self._send_reports()
        if not stream.has_left:
            self._sockets.close_leg(stream.port)
        return stats

    # --- up: from the caller to the bot

    def _on_datagrams(self, count: int) -> bool:
        """Take the RTP that has been read, and send what it completes; return whether it was heard, and none forged."""
        now, forged = self._loop.time(), self.counters.unauthentic
        if not self._backlog.admits(count, now=now):
            return False
        data, lengths, sources = self._datagrams.data, self._datagrams.lengths, self._datagrams.sources
        for messages in self._bridge.receive(data[:count], lengths[:count], sources[:count], now=now):
            self._send(messages)
        return self.counters.unauthentic == forged

    def _on_report(self, data: bytes, source: int) -> None:
        self._legs.receive_report(data, source, now=self._loop.time())

    def _send_reports(self) -> None:
        for report in self._legs.reports_to_send():
            self._sockets.send_report(report)

    def _send(self, messages: Messages) -> None:
        """Write one WebSocket frame to each of the bots."""
        sinks = map(self._care.sinks.__getitem__, messages.rows.tolist())
        send_frames(sinks, records(messages.frames).tolist())

    # --- down: from the bot to the caller

    def _on_bots_readable(self, lanes: list[SocketLane]) -> None:
        """Read many bots at once: what is plainly one frame of audio is queued together, all else one by one."""
        for first in range(0, len(lanes), MOST_READS):
            some = lanes[first : first + MOST_READS]
            self._inputs.read(some)
            rows, data = np.array([lane.row for lane in some]), self._inputs.data[: len(some)]
            self._care.heard_at[rows] = now = self._loop.time()
            played = self._bridge.playback.play_frames(rows, data, self._inputs.lengths, now=now)
            for at in np.flatnonzero(~played).tolist():
                self._inputs.give(at, some[at])

    def _after_input(self, stream: BotStream) -> None:
        """Take what a bot has sent: what is to be played to its player, all else to control."""
        audio, played = stream.connection.take_audio(), 0
        for event in stream.connection.take_events():
            until = event.audio_before if isinstance(event, TextReceived) else len(audio)
            self._play(stream, audio[played:until])
            self._on_event(stream, event)
            played = until
        self._play(stream, audio[played:])
        self._deliver(stream)
        if not stream.closed:
            plain = stream.connection.is_plain and stream.player.takes_frames
            stream.lane.row = stream.row if plain else NO_ROW
        stream.lane.flush()
        while events := stream.connection.take_events():
            for event in events:
                self._on_event(stream, event)
            stream.lane.flush()  # which may find that the bot does not read
        self._care.input_taken(stream)

    def _play(self, stream: BotStream, audio: list[bytes]) -> None:
        now = self._loop.time()
        for chunk in audio if not stream.closed else ():
            stream.player.play(chunk, now=now)

    def _deliver(self, stream: BotStream) -> None:
        """Pass on what a player has to say."""
        player = stream.player
        for message in player.messages:
            self._to_control(message)
        for clip in player.clips:
            self._clips.add(stream.name, player, clip, done=partial(self._after_input, stream))
        player.messages.clear()
        player.clips.clear()
        if player.texts:
            stream.lane.send_texts(player.texts)
            player.texts.clear()

    def _on_event(self, stream: BotStream, event: ConnectionEvent) -> None:
        stream.settled.set()
        if stream.closed:
            return
        match event:
            case Opened():
                self._care.opened(stream)
            case TextReceived(text, _):
                if stream.texts.take(now=self._loop.time()):
                    stream.player.receive(text, now=self._loop.time())
                    if isinstance(stream.lane, SocketLane):  # the rate may be another
                        stream.lane.read_bytes = bytes_to_read(self._bridge.playback.rate(stream.row))
                else:
                    stream.connection.refuse("too many texts")
            case Closed() | Failed() if self._care.heals(stream, event):
                stream.player.bot_lost(now=self._loop.time())
            case Closed(code, reason):
                self._to_control(BotClosed(stream.name, code, reason))
                stream.player.drain(now=self._loop.time())
            case Failed(code, error, forbidden):
                self._to_control(BotFailed(stream.name, code, error, forbidden))
                stream.player.bot_lost(now=self._loop.time())

    def _on_tick(self) -> None:
        """Send the RTP that is due, and whatever else time brings."""
        now = self._loop.time()
        self._backlog.turn(now=now)
        due = self._bridge.next_tick()
        if due is not None:
            self._lateness.note(now - due, now=now)
        try:
            self._readiness.look_at_batch()
            self._tell_speech(now)
            datagrams = self._datagrams
            for _ in range(self._bridge.ticks_due(now=now)):
                count, messages = self._bridge.tick(
                    datagrams.packets, datagrams.packet_lengths, datagrams.destinations, now=now
                )
                self._datagrams.send(count)
                for each in messages:
                    self._send(each)
            for each in self._bridge.handle_timeout(now=now):
                self._send(each)
            for row, news in self._bridge.playback.take_news():
                stream = self._stream_of(row)
                stream.player.tell(news)
                self._after_input(stream)
            self._care.handle_timeout(now=now)
            self._legs.handle_timeout(now=now, wall_clock=time.time())
            self._send_reports()
            while (event := self._legs.next_event()) is not None:
                self._to_control(event)
            for row in self._bridge.take_drained():
                self._to_control(PlaybackDrained(self._stream_of(row).name))
        finally:  # whatever happened, the next tick comes
            self._ticker = self._next_tick(now) if self._streams else None

    def _tell_speech(self, now: float) -> None:
        """Tell what callers' voices have brought, before more is played to who interrupts."""
        for row, news in self._bridge.speech.take_news():
            stream = self._stream_of(row)
            self._figures.hear(news)
            stream.player.hear(news, now=now)
            self._after_input(stream)

    def _stream_of(self, row: int) -> BotStream:
        stream = self._by_row[row]
        assert stream is not None
        return stream

    def _next_tick(self, now: float) -> asyncio.Handle:
        """Wake up when the next tick is due, never before: uvloop counts in whole milliseconds, and rounds down."""
        wait = max(0.0, (self._bridge.next_tick() or now) - now)
        return self._loop.call_later(math.ceil(wait * 1000) / 1000, self._on_tick)
