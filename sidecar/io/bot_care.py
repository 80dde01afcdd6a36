"""Keeps each stream connected to its bot: connects, watches over the connection, and heals it when it breaks.

While all is well nothing of this is between the caller's audio and the socket. While a bot is away, its `AudioSink` is
another: the one that keeps what the caller says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

import msgspec
import numpy as np
from websockets.frames import CloseCode

from sidecar.core.bot_connection import BotConnection, Closed, Failed
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_life import BotLife
from sidecar.core.errors import ErrorCode
from sidecar.core.heart_beat import Beat, HeartBeat
from sidecar.core.histogram import Histogram
from sidecar.core.link import BotConnected, BotLost, BotResumed, BotStalled, FromWorker
from sidecar.core.options import EventKind, MixMode, StreamOptions
from sidecar.core.outbox import Outbox
from sidecar.core.reconnect import ABNORMAL
from sidecar.core.replay import Replay
from sidecar.io.bot_inputs import bytes_to_read
from sidecar.io.bot_lane import NO_ROW, AudioSink, BotLane, SocketLane
from sidecar.io.bot_stream import BotStream
from sidecar.io.deflating_lane import DeflatingSocketLane, DeflatingTlsLane
from sidecar.io.readiness import Readiness
from sidecar.io.tls_contexts import TlsContexts
from sidecar.io.tls_lane import TlsLane

GOODBYE_SECONDS = 2.0
"""How long a bot has to answer our close frame."""

_MASKED_HEADER_BYTES = 8
_REDIRECTED = "another bot is called"


class BotCare:
    """All WebSockets of a worker. `on_input` is called when a stream's connection has been given something."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        tasks: asyncio.TaskGroup,
        readiness: Readiness,
        random: Random,
        rows: int,
        hosts: BotHosts,
        connect_seconds: float,
        uplink_seconds: float,  # of audio that is kept for a bot that does not read
        on_input: Callable[[BotStream], None],
        say: Callable[[FromWorker], None],
        connect_times: Histogram,
    ) -> None:
        self.unanswered_goodbyes = 0
        self.sinks: dict[int, AudioSink] = {}  # by row: where the audio for its bot goes
        self.heard_at = np.zeros(rows + 1)  # by row: when its bot last sent anything; what is for `NO_ROW` is nobody's
        self._loop = loop
        self._tasks = tasks
        self._readiness = readiness
        self._random = random
        self._hosts = hosts
        self._connect_seconds = connect_seconds
        self._uplink_seconds = uplink_seconds
        self._on_input = on_input
        self._say = say
        self._connect_times = connect_times
        self._tls = TlsContexts()
        self._ailing: dict[BotStream, None] = {}  # in order: without a bot, or with one that has not caught up
        self._goodbyes: set[BotLane] = set()

    @property
    def idle(self) -> bool:
        """Whether nobody is said goodbye to."""
        return not self._goodbyes

    # --- a stream begins

    def new_stream(self, name: str, options: StreamOptions) -> BotStream:
        """Make a stream, without a row for now; raise ValueError if nobody can connect to its URL."""
        connection, lane = self._line(options)
        life, replay = BotLife(options, self._random), Replay(options.buffer_size, options.replay)
        return BotStream(name, NO_ROW, options, connection, lane, life, replay)

    def connect(self, stream: BotStream) -> None:
        """Begin to connect it."""
        stream.asked_at = self._loop.time()
        stream.lane.on_input = partial(self._heard, stream)
        stream.lane.on_overflow = partial(self._overflowed, stream)
        stream.connecting = self._tasks.create_task(self._connect(stream))
        if stream.row not in self.sinks:
            self._lead_audio(stream, stream.lane)

    async def _connect(self, stream: BotStream) -> None:
        seconds = min(self._connect_seconds, stream.life.seconds_left(now=self._loop.time()))
        await stream.connect(self._hosts, self._tls, seconds=seconds)
        self._loop.call_soon(self._on_input, stream)  # not here: a mistake would end the task, and all others with it

    def _line(self, options: StreamOptions) -> tuple[BotConnection, BotLane]:
        connection = BotConnection(options.url, headers=options.extra_headers, deflate=not options.message_deflate)
        outbox = Outbox(self._outbox_bytes(options))
        plain = options.message_deflate  # the name is mod_audio_stream's: true disables it
        if connection.secure:
            return connection, (TlsLane if plain else DeflatingTlsLane)(connection, outbox)
        kind = SocketLane if plain else DeflatingSocketLane
        return connection, kind(connection, outbox, self._readiness, read_bytes=bytes_to_read(options.playback_rate))

    # --- it has a bot

    def opened(self, stream: BotStream) -> None:
        """The handshake is done: send the metadata, and say whether the bot is new or back."""
        now = self._loop.time()
        self._connect_times.observe(now - stream.asked_at)
        was_reached = stream.life.was_reached
        stream.life.connected(now=now)
        stream.lane.start(stream.options.metadata)
        resumption = stream.replay.resume(now=now)
        if was_reached:
            stream.reconnects += 1
            if EventKind.CALL in stream.options.events:
                data = {"gap_ms": resumption.gap_ms, "replayed_ms": resumption.replayed_ms}
                stream.connection.send_text(msgspec.json.encode({"type": "resumed", "data": data}).decode())
            self._say(BotResumed(stream.name, resumption.gap_ms, resumption.replayed_ms))
        else:
            self._say(BotConnected(stream.name))
        stream.heart_beat = HeartBeat(stream.options.heart_beat, now=now)
        self._await_beat(stream)

    def _heard(self, stream: BotStream) -> None:
        if not stream.closed:
            self.heard_at[stream.row] = self._loop.time()
        self._on_input(stream)

    def _overflowed(self, stream: BotStream) -> None:
        if not stream.closed:
            self._say(BotStalled(stream.name, round(1000 * self._uplink_seconds)))

    def _await_beat(self, stream: BotStream) -> None:
        at = None if stream.heart_beat is None else stream.heart_beat.next_timeout()
        if at is not None:
            stream.beat = self._loop.call_at(at, self._check_beat, stream)

    def _check_beat(self, stream: BotStream) -> None:
        assert stream.heart_beat is not None
        match stream.heart_beat.check(float(self.heard_at[stream.row]), now=self._loop.time()):
            case Beat.PING:
                stream.connection.ping()
                self._on_input(stream)
            case Beat.DEAD:
                why = f"no answer to a ping within {stream.options.heart_beat} s"
                stream.connection.fail(ErrorCode.PING_TIMEOUT, why)
                self._on_input(stream)
            case Beat.NOTHING:
                pass
        self._await_beat(stream)

    # --- its bot is lost

    def heals(self, stream: BotStream, end: Closed | Failed) -> bool:
        """The connection is over, or did not come to be: return whether another one is tried."""
        is_new = stream.connected or stream not in self._ailing
        stream.stop_watching()
        if not stream.life.ended(end, now=self._loop.time()):
            stream.replay.give_up()
            self._ailing.pop(stream, None)
            self._lead_audio(stream, stream.lane)
            return False
        if is_new:
            self._begin_to_keep(stream, end)
        if is_new or stream.life.options.url != stream.options.url:
            self._say(_lost(stream.name, end))
        return True

    def _begin_to_keep(self, stream: BotStream, end: Closed | Failed) -> None:
        """Keep what the bot has missed: what was yet to be sent, and what comes."""
        is_silent = (
            isinstance(end, Failed) and end.code is ErrorCode.PING_TIMEOUT
        )  # who is not may still read our close
        frame_bytes = _MASKED_HEADER_BYTES + int(_bytes_per_ms(stream.options) * stream.options.buffer_size)
        lost = -(-stream.lane.unacknowledged(forget=is_silent) // frame_bytes)
        unsent = stream.lane.outbox.take_audio()
        if stream.connection.deflates:  # the next connection may not have agreed to that
            lost, unsent = lost + len(unsent), []
        self._keep(stream, lost, unsent)

    def _keep(self, stream: BotStream, lost: int = 0, unsent: Sequence[bytes] = ()) -> None:
        stream.replay.begin(lost=lost, unsent=unsent)
        self._lead_audio(stream, _Keeping(stream.replay))
        self._ailing[stream] = None

    def handle_timeout(self, *, now: float) -> None:
        """Connect again, and send what was kept, where that is due."""
        for stream in list(self._ailing):
            if stream.life.is_due(now=now):
                leaves = stream.lane in self._goodbyes
                stream.replace_line(*self._line(stream.life.options), stream.life.options, leaves=leaves)
                self.connect(stream)
            elif stream.connected:
                self._catch_up(stream, now=now)

    def _catch_up(self, stream: BotStream, *, now: float) -> None:
        """Send what is due of what was kept; when that is all, audio goes to the socket again."""
        if not stream.lane.outbox:  # else what is kept waits, and its bound is that of REPLAY
            for frame in stream.replay.take(now=now):
                stream.lane.send_audio(frame)
        if not stream.replay.is_active:
            del self._ailing[stream]
            self._lead_audio(stream, stream.lane)

    # --- it is to have another bot, or to say it in another way

    def redirect(self, stream: BotStream, options: StreamOptions) -> None:
        """Leave the bot, if there is one, and call another; what the caller says meanwhile is kept for it."""
        if stream.life.is_over:
            return
        has_bot = stream.connected
        stream.stop_watching()
        stream.life.redirect(options)
        line = self._line(options)
        if has_bot:
            self._say(BotLost(stream.name, CloseCode.NORMAL_CLOSURE, _REDIRECTED))
            self._say_goodbye(stream.lane, CloseCode.NORMAL_CLOSURE, _REDIRECTED)
            self._keep(stream)
        elif stream not in self._ailing:
            self._keep(stream, unsent=stream.lane.outbox.take_audio())
        stream.replace_line(*line, options, leaves=stream.lane in self._goodbyes)
        self.connect(stream)

    def reform(self, stream: BotStream, mix: MixMode, rate: int, buffer_size: int) -> None:
        """Let its bot hear another format; of the former, what is kept for later is of no use."""
        stream.life.reform(mix, rate, buffer_size)
        stream.options = stream.life.options
        stream.replay.reform(buffer_size)
        stream.lane.outbox.capacity_bytes = self._outbox_bytes(stream.options)

    def _outbox_bytes(self, options: StreamOptions) -> int:
        return int(_bytes_per_ms(options) * 1000 * self._uplink_seconds)

    # --- where its audio goes

    def pause(self, stream: BotStream, paused: bool) -> None:
        """Send its bot no audio, and keep none, until it is no longer paused."""
        stream.paused = paused
        self._lead_audio(stream, stream.sink)

    def _lead_audio(self, stream: BotStream, sink: AudioSink) -> None:
        stream.sink = sink
        self.sinks[stream.row] = _Paused(stream) if stream.paused else sink

    # --- it ends

    def close(self, stream: BotStream, code: int, reason: str) -> None:
        """Let the stream go at once, and its WebSocket say goodbye in its own time."""
        self._ailing.pop(stream, None)
        del self.sinks[stream.row]
        stream.stop_watching()
        stream.lane.row = NO_ROW
        stream.closed = True
        if stream.connecting is not None:
            stream.connecting.cancel()
        if stream.lane in self._goodbyes:
            return
        if stream.connection.is_over or not stream.connection.is_open:
            stream.lane.close()
            return
        self._say_goodbye(stream.lane, code, reason)

    def input_taken(self, stream: BotStream) -> None:
        """What came has been looked at: if that was the last, close the socket."""
        if stream.connection.is_over and not stream.lane.is_closed:
            self._expect_end(stream.lane)
            self._let_go(stream.lane)

    def stop(self) -> None:
        """Wait for no goodbye any more."""
        for lane in list(self._goodbyes):
            self._end_goodbye(lane)

    def _say_goodbye(self, lane: BotLane, code: int, reason: str) -> None:
        """Let nothing more be heard of a bot but its answer to our goodbye."""
        lane.row = NO_ROW
        lane.on_input = partial(self._hear_goodbye, lane)
        self._expect_end(lane)
        lane.say_goodbye(code, reason)

    def _hear_goodbye(self, lane: BotLane) -> None:
        lane.connection.take_events()
        lane.connection.take_audio()
        lane.flush()
        if lane.connection.is_over:
            self._let_go(lane)

    def _expect_end(self, lane: BotLane) -> None:
        self._goodbyes.add(lane)
        self._loop.call_later(GOODBYE_SECONDS, self._cut_goodbye, lane)

    def _let_go(self, lane: BotLane) -> None:
        """The connection is over: close the socket, and if there is a close frame of ours, when the bot has seen it."""
        if lane.connection.has_closed:
            lane.part(partial(self._end_goodbye, lane))
        else:
            self._end_goodbye(lane)

    def _cut_goodbye(self, lane: BotLane) -> None:
        self.unanswered_goodbyes += lane in self._goodbyes
        self._end_goodbye(lane)

    def _end_goodbye(self, lane: BotLane) -> None:
        self._goodbyes.discard(lane)
        lane.close()


class _Keeping:
    """Where audio goes while there is no bot to send it to, or one that has not caught up."""

    write_now = None

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def send_audio(self, frame: bytes) -> None:
        self._replay.put(frame)

    def keep_rest(self, frame: bytes, written: int) -> None:
        raise AssertionError("nothing is written here")


class _Paused:
    """Where audio goes that the bot is not to hear."""

    write_now = None

    def __init__(self, stream: BotStream) -> None:
        self._stream = stream

    def send_audio(self, frame: bytes) -> None:
        self._stream.messages_paused += 1

    def keep_rest(self, frame: bytes, written: int) -> None:
        raise AssertionError("nothing is written here")


def _lost(name: str, end: Closed | Failed) -> BotLost:
    if isinstance(end, Closed):
        return BotLost(name, end.code, end.reason)
    return BotLost(name, ABNORMAL, end.error, end.code)


def _bytes_per_ms(options: StreamOptions) -> float:
    return 2 * (2 if options.mix is MixMode.STEREO else 1) * options.rate / 1000
