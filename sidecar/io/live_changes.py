"""What is done to streams that are up, because somebody outside wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import assert_never

from sidecar.core.bridge import Bridge, Messages
from sidecar.core.call_news import FormatChanged
from sidecar.core.events import Measured
from sidecar.core.legs import Legs
from sidecar.core.link import (
    AskStats,
    ChangeBot,
    ChangeFormat,
    ControlPlayback,
    FromWorker,
    LiveChange,
    PauseAudio,
    PlayClip,
    SendText,
    StatsTold,
    StreamStats,
    TextUnsent,
)
from sidecar.core.options import EventKind
from sidecar.io.bot_care import BotCare
from sidecar.io.bot_stream import BotStream

STATS_SECONDS = 10.0
"""Between the events `stats` of one stream, where EVENTS asks for them."""


class LiveChanges:
    """Does what control asks of streams between their beginning and their end."""

    def __init__(
        self,
        bridge: Bridge,
        legs: Legs,
        care: BotCare,
        send: Callable[[Messages], None],
        say: Callable[[FromWorker], None],
        on_input: Callable[[BotStream], None],
    ) -> None:
        """`on_input` is called where a player has something to say."""
        self._loop = asyncio.get_running_loop()
        self._bridge = bridge
        self._legs = legs
        self._care = care
        self._send = send
        self._say = say
        self._on_input = on_input

    def handle(self, stream: BotStream, message: LiveChange) -> None:
        """Do what is asked."""
        now = self._loop.time()
        match message:
            case PauseAudio(_, paused):
                self._cut(stream)
                self._care.pause(stream, paused)
            case ChangeFormat(_, mix, rate, buffer_size):
                self._cut(stream)
                self._care.reform(stream, mix, rate, buffer_size)
                self._bridge.reform(stream.row, stream.options)
                stream.player.tell_bot(EventKind.CALL, FormatChanged(mix.value, rate, buffer_size))
            case ChangeBot(_, options):
                self._care.redirect(stream, options)
                stream.player.bot_lost(now=now)
            case PlayClip(_, clip, body):
                stream.player.play_clip(clip, body, now=now)
            case ControlPlayback(_, action):
                stream.player.control(action, now=now)
            case SendText(_, text, keep):
                if keep and not stream.connected:
                    self._say(TextUnsent(stream.name, text))
                else:
                    stream.player.texts.append(text)
            case AskStats():
                self._say(StatsTold(stream.name, self._stats(stream)))
            case _:
                assert_never(message)
        self._on_input(stream)

    def opened(self, stream: BotStream) -> None:
        """A stream begins: it may want to be measured from time to time."""
        if EventKind.STATS in stream.options.events:
            self._loop.call_later(STATS_SECONDS, self._tell_stats, stream)

    def _tell_stats(self, stream: BotStream) -> None:
        if not stream.closed:
            stream.player.announce(EventKind.STATS, Measured(self._stats(stream)))
            self._on_input(stream)
            self.opened(stream)

    def _stats(self, stream: BotStream) -> StreamStats:
        return stream.stats(self._legs.stats(stream.row), self._bridge)

    def _cut(self, stream: BotStream) -> None:
        """Send what was said until now as it would have been sent, if there had been more of it."""
        if (rest := self._bridge.cut(stream.row)) is not None:
            self._send(rest)
