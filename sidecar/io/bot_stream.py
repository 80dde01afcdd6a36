"""One stream in the worker: a row of the bridge, and the WebSocket that belongs to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field

import msgspec
import structlog

from sidecar.core.bot_connection import BotConnection
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_life import BotLife
from sidecar.core.bridge import Bridge
from sidecar.core.errors import ErrorCode
from sidecar.core.heart_beat import HeartBeat
from sidecar.core.link import StreamStats
from sidecar.core.options import StreamOptions
from sidecar.core.player import Player
from sidecar.core.replay import Replay
from sidecar.io.bot_lane import AudioSink, BotLane
from sidecar.io.bot_route import find_routes
from sidecar.io.network import system_words
from sidecar.io.secret_reader import read_authorization
from sidecar.io.stream_error import StreamError
from sidecar.io.tls_contexts import TlsContexts
from sidecar.io.tls_lane import explain_tls
from sip.admission import Bucket

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class BotStream:
    """What the worker holds for one stream."""

    name: str
    row: int
    options: StreamOptions
    connection: BotConnection
    lane: BotLane
    life: BotLife
    replay: Replay  # of what the caller says while there is no bot
    port: int | None = None  # of its RTP, if it has one of its own
    has_left: bool = False  # its first leg is over, another is not
    settled: asyncio.Event = field(default_factory=asyncio.Event)  # the handshake is done, or has failed
    player: Player = field(init=False)
    connecting: asyncio.Task[None] | None = None
    texts: Bucket = field(default_factory=lambda: Bucket(200.0, 400))
    closed: bool = False  # the row is given back; only the goodbye of the WebSocket is still going on
    heart_beat: HeartBeat | None = None  # of the connection, once it is open
    beat: asyncio.TimerHandle | None = None
    reconnects: int = 0
    asked_at: float = 0.0  # when it was last begun to connect
    paused: bool = False  # its bot is sent no audio
    messages_paused: int = 0  # that it was not sent for that
    sink: AudioSink = field(init=False)  # where its audio goes while it is not paused
    dropped_before: int = 0  # messages, by lanes of before

    @property
    def connected(self) -> bool:
        """Whether there is a bot."""
        return self.heart_beat is not None

    @property
    def messages_dropped(self) -> int:
        """How many messages no bot has got, as far as we know."""
        return self.dropped_before + self.lane.outbox.dropped + self.replay.dropped

    def stats(self, leg: StreamStats, bridge: Bridge) -> StreamStats:
        """Return what has passed through it so far; `leg` is what has through its telephone side."""
        speech = bridge.speech.totals(self.row)
        playback = bridge.playback.totals(self.row)
        return msgspec.structs.replace(
            leg,
            frames_dropped=leg.frames_dropped + bridge.dropped_frames(self.row),
            frames_missed=bridge.missed_frames(self.row),
            messages_sent=bridge.messages_sent(self.row) - self.messages_paused,
            messages_dropped=self.messages_dropped,
            messages_replayed=self.replay.replayed,
            reconnects=self.reconnects,
            playback_ms=playback.played_ms,
            playback_refused_ms=playback.refused_ms,
            underruns=playback.underruns,
            texts_refused=self.player.heard_texts.refused,
            texts_untold=self.player.told_texts.refused,
            barge_ins=speech.barge_ins,
            responses=speech.responses,
            response_ms_last=speech.last_ms,
            response_ms_mean=speech.mean_ms,
            response_ms_max=speech.max_ms,
        )

    def stop_watching(self) -> None:
        """The connection is over."""
        self.heart_beat = None
        if self.beat is not None:
            self.beat.cancel()

    def replace_line(
        self, connection: BotConnection, lane: BotLane, options: StreamOptions, *, leaves: bool = False
    ) -> None:
        """Have another connection to another bot, or to the same; `leaves`: the former is yet to say goodbye."""
        if self.connecting is not None:
            self.connecting.cancel()
        if not leaves:
            self.lane.on_input = lambda: None
            self.lane.close()
        self.dropped_before += self.lane.outbox.dropped
        self.connection, self.lane, self.options = connection, lane, options
        self.settled = asyncio.Event()

    async def connect(self, hosts: BotHosts, contexts: TlsContexts, *, seconds: float) -> None:
        """Look up the bot, connect, and shake hands, within `seconds`.

        What goes wrong is told by the connection's events.
        """
        try:
            async with asyncio.timeout(seconds):
                self.connection.connect(authorization=await read_authorization(self.options.auth))
                context = await contexts.get(self.options) if self.connection.secure else None
                await self._open_lane(hosts, context, seconds=seconds)
                await self.settled.wait()
        except TimeoutError:
            self.connection.fail(ErrorCode.TIMEOUT, f"no connection within {seconds:.3g} s")
        except StreamError as error:
            self.connection.fail(error.code, str(error), forbidden=error.forbidden)
        except ssl.SSLError as error:
            self.connection.fail(*explain_tls(error))
        except OSError as error:
            self.connection.fail(ErrorCode.CONNECT_FAILED, system_words(error))
        except Exception:  # a mistake of ours ends this stream alone
            log.exception("connecting failed", stream=self.name)
            self.connection.fail(ErrorCode.IO, "internal error")

    async def _open_lane(self, hosts: BotHosts, context: ssl.SSLContext | None, *, seconds: float) -> None:
        """Try the ways to the bot one after the other."""
        routes = await find_routes(self.connection.uri, hosts)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + seconds
        for left in range(len(routes), 1, -1):  # each has its share of the time
            with contextlib.suppress(OSError, StreamError):
                async with asyncio.timeout((give_up_at - loop.time()) / left):
                    return await self.lane.open(await routes[-left].connect(), context)
        return await self.lane.open(await routes[-1].connect(), context)
