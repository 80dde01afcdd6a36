"""The media worker: one UDP socket, the WebSockets of its calls, and the bridge between them.

This is where a packet enters and leaves. Up: `on_readable` reads RTP, the bridge makes messages of it, `_send` writes
them. Down: `_after_input` queues what a bot has sent, `_on_tick`, every 5 ms, writes as RTP what is to be played.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import structlog
from websockets.frames import CloseCode

from rtp import FRAME_MS, Codec, MediaPlane, PlaneCounters, address_key, prepare
from sidecar.core.bot_connection import Closed, ConnectionEvent, Failed, Opened, TextReceived
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bridge import JITTER_FRAMES, Bridge, Messages
from sidecar.core.link import (
    BotClosed,
    BotFailed,
    BotText,
    ChangeLeg,
    CloseStream,
    FromWorker,
    LegChanged,
    LegRefused,
    MediaLeg,
    OpenStream,
    PlaybackDrained,
    StartMedia,
    StreamEnded,
    StreamRefused,
    StreamStats,
    ToWorker,
    WorkerReady,
)
from sidecar.io.bot_care import BotCare
from sidecar.io.bot_inputs import MOST_READS, BotInputs
from sidecar.io.bot_lane import NO_ROW, SocketLane, send_frames
from sidecar.io.bot_stream import BotStream
from sidecar.io.datagrams import Datagrams
from sidecar.io.readiness import open_readiness

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a media worker is told when it starts."""

    capacity: int = 2000  # calls
    connect_timeout: float = 5.0  # seconds
    uplink_seconds: float = 2.0  # audio kept for a bot that does not read, or is not connected yet
    playout_seconds: float = 600.0
    bot_hosts: BotHosts = field(default_factory=BotHosts)
    portable: bool = False  # use no system call that only Linux has
    jitter_frames: int = JITTER_FRAMES
    codecs: Sequence[Codec] = ()  # to be loaded before the first call


class MediaWorker:
    """Runs the media of many calls in the running event loop."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        datagrams: Datagrams,
        random: Random,
        to_control: Callable[[FromWorker], None],
    ) -> None:
        self._settings = settings
        self._datagrams = datagrams
        self._random = random
        self._to_control = to_control
        self._plane = MediaPlane(settings.capacity, random)
        self._bridge = Bridge(self._plane, random_bytes=os.urandom, jitter_frames=settings.jitter_frames)
        self._streams: dict[str, BotStream] = {}
        self._by_row: list[BotStream | None] = [None] * settings.capacity
        self._inputs = BotInputs()
        self._stopping = asyncio.Event()
        self._ticker: asyncio.Handle | None = None  # none while there is no stream

    async def run(self) -> None:
        """Take streams until `stop` is called; then close all, the RTP socket too."""
        prepare(self._settings.codecs)
        self._loop = asyncio.get_running_loop()
        self._readiness = open_readiness(self._loop, self._on_bots_readable, portable=self._settings.portable)
        self._readiness.add(self)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._care = self._new_care(tasks)
                self._to_control(WorkerReady(self._datagrams.port))
                await self._stopping.wait()
                for stream in list(self._streams.values()):
                    self._close(stream, CloseCode.GOING_AWAY, "the sidecar stops")
        finally:
            self._care.stop()
            if self._ticker is not None:
                self._ticker.cancel()
            self._readiness.close()
            self._datagrams.close()

    def stop(self) -> None:
        """End all streams, then `run`."""
        self._stopping.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is left of any stream: no row, no socket, no task."""
        return not (self._streams or self._plane.calls) and self._care.idle

    @property
    def counters(self) -> PlaneCounters:
        """Datagrams that reached no call."""
        return self._plane.counters

    # --- what control says

    def handle(self, message: ToWorker) -> None:
        """Do what the control process asks; a stream that is over already is not asked again."""
        if isinstance(message, OpenStream):
            self._open(message)
            return
        stream = self._streams.get(message.stream)
        if stream is None:
            return
        if isinstance(message, StartMedia):
            self._bridge.start(stream.row, sends=message.sends)
        elif isinstance(message, ChangeLeg):
            self._change_leg(stream, message.leg)
        elif isinstance(message, CloseStream):
            self._close(stream, message.code, message.reason)

    def _open(self, message: OpenStream) -> None:
        leg, options = message.leg, message.options
        try:
            stream = self._care.new_stream(message.stream, options)
        except ValueError as error:
            self._to_control(StreamRefused(message.stream, str(error)))
            return
        row = self._plane.open(
            codec=Codec[leg.codec] if leg else Codec.PCMU,
            payload_type=leg.payload_type if leg else 0,
            send_payload_type=leg.send_payload_type if leg else 0,
            destination=address_key(leg.host, leg.port) if leg else None,
            sources=[address_key(host, leg.port) for host in leg.sources] if leg else [],
            ptime_ms=leg.ptime_ms if leg else FRAME_MS,
            telephone_event_payload_type=leg.telephone_event_payload_type if leg else None,
        )
        if row is None:
            why = f"no room, or {leg.host}:{leg.port} is in another call" if leg else "no room"
            self._to_control(StreamRefused(message.stream, why))
            return
        self._bridge.open(row, options, playout_seconds=self._settings.playout_seconds)
        stream.row = row
        self._streams[message.stream] = self._by_row[row] = stream
        if self._ticker is None:
            self._bridge.start_clock()
            self._ticker = self._loop.call_soon(self._on_tick)
        self._care.connect(stream)

    def _change_leg(self, stream: BotStream, leg: MediaLeg) -> None:
        done = self._plane.change(
            stream.row,
            codec=Codec[leg.codec],
            payload_type=leg.payload_type,
            send_payload_type=leg.send_payload_type,
            destination=address_key(leg.host, leg.port),
            sources=[address_key(host, leg.port) for host in leg.sources],
            ptime_ms=leg.ptime_ms,
            telephone_event_payload_type=leg.telephone_event_payload_type,
            now=self._loop.time(),
        )
        self._bridge.change(stream.row)
        self._to_control(
            LegChanged(stream.name) if done else LegRefused(stream.name, f"{leg.host}:{leg.port} is in another call")
        )

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
        )

    def _close(self, stream: BotStream, code: int, reason: str) -> None:
        """Give the row back at once; let the WebSocket say goodbye in its own time."""
        stats = self._close_row(stream)
        del self._streams[stream.name]
        self._by_row[stream.row] = None
        self._to_control(StreamEnded(stream.name, stats))
        self._care.close(stream, code, reason)

    def _close_row(self, stream: BotStream) -> StreamStats:
        """Close the row, and return what passed through it."""
        playout, bytes_per_ms = self._bridge.playout(stream.row), 2 * stream.options.playback_rate // 1000
        jitter_buffer = self._bridge.jitter_buffer(stream.row)
        sent = self._plane.packets_sent(stream.row)
        last = self._bridge.close(stream.row)
        if last is not None:
            self._send(last)
        received = self._plane.close(stream.row)
        return StreamStats(
            packets_received=received.received,
            packets_sent=sent,
            packets_lost=received.lost,
            packets_late=received.late,
            packets_duplicate=received.duplicate,
            packets_ignored=received.ignored,
            packets_concealed=received.concealed,
            filled_ms=received.filled_ms,
            frames_dropped=received.overrun_frames + (jitter_buffer.dropped_frames if jitter_buffer else 0),
            messages_sent=self._bridge.messages_sent(stream.row),
            messages_dropped=stream.messages_dropped,
            messages_replayed=stream.replay.replayed,
            reconnects=stream.reconnects,
            playback_ms=playout.played_bytes // bytes_per_ms,
            playback_refused_ms=playout.refused_bytes // bytes_per_ms,
            underruns=playout.underruns,
        )

    # --- up: from the caller to the bot

    def fileno(self) -> int:
        """The RTP socket, for the event loop to wait on."""
        return self._datagrams.fileno()

    def on_readable(self) -> None:
        """Read RTP, and send what it completes."""
        now = self._loop.time()
        count = self._datagrams.receive()
        data, lengths, sources = self._datagrams.data, self._datagrams.lengths, self._datagrams.sources
        for messages in self._bridge.receive(data[:count], lengths[:count], sources[:count], now=now):
            self._send(messages)

    def on_writable(self) -> None:
        """Never asked for: RTP that cannot be sent now is too late anyway."""

    def _send(self, messages: Messages) -> None:
        """Write one WebSocket frame to each of the bots."""
        sinks = [self._care.sinks[row] for row in messages.rows.tolist()]
        send_frames(sinks, messages.frames.data.cast("B"), messages.frames.shape[1])

    # --- down: from the bot to the caller

    def _on_bots_readable(self, lanes: list[SocketLane]) -> None:
        """Read many bots at once: what is plainly one frame of audio is queued together, all else one by one."""
        for first in range(0, len(lanes), MOST_READS):
            some = lanes[first : first + MOST_READS]
            self._inputs.read(some)
            rows, data = np.array([lane.row for lane in some]), self._inputs.data[: len(some)]
            self._care.heard_at[rows] = now = self._loop.time()
            played = self._bridge.play_frames(rows, data, self._inputs.lengths, now=now)
            for at in np.flatnonzero(~played).tolist():
                self._inputs.give(at, some[at])

    def _after_input(self, stream: BotStream) -> None:
        """Take what a bot has sent: audio to the playout buffer, all else to control."""
        audio = stream.connection.take_audio()
        if not stream.closed:
            now = self._loop.time()
            for chunk in audio:
                self._bridge.play(stream.row, chunk, now=now)
            stream.lane.row = stream.row if stream.connection.is_plain else NO_ROW
        stream.lane.flush()
        while events := stream.connection.take_events():
            for event in events:
                self._on_event(stream, event)
            stream.lane.flush()  # which may find that the bot does not read
        self._care.input_taken(stream)

    def _on_event(self, stream: BotStream, event: ConnectionEvent) -> None:
        stream.settled.set()
        if stream.closed:
            return
        match event:
            case Opened():
                self._care.opened(stream)
            case TextReceived(text):
                if stream.texts.take(now=self._loop.time()):
                    self._to_control(BotText(stream.name, text))
                else:
                    stream.connection.refuse("too many texts")
            case Closed() | Failed() if self._care.heals(stream, event):
                self._bridge.playout(stream.row).forget_half()
            case Closed(code, reason):
                self._to_control(BotClosed(stream.name, code, reason))
                self._bridge.drain(stream.row)
            case Failed(code, error, forbidden):
                self._to_control(BotFailed(stream.name, code, error, forbidden))

    def _on_tick(self) -> None:
        """Send the RTP that is due, and whatever else time brings."""
        now = self._loop.time()
        try:
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
            self._care.handle_timeout(now=now)
            for row in self._bridge.take_drained():
                stream = self._by_row[row]
                assert stream is not None
                self._to_control(PlaybackDrained(stream.name))
        finally:  # whatever happened, the next tick comes
            self._ticker = self._next_tick(now) if self._streams else None

    def _next_tick(self, now: float) -> asyncio.Handle:
        """Wake up when the next tick is due, never before: uvloop counts in whole milliseconds, and rounds down."""
        wait = max(0.0, (self._bridge.next_tick() or now) - now)
        return self._loop.call_later(math.ceil(wait * 1000) / 1000, self._on_tick)
