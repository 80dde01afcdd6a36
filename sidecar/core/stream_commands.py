"""What the outside may ask of one stream, and what keeps the texts that wait for its bot."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_requests import AskedCall
from sidecar.core.bot_side import BotSide, BotState
from sidecar.core.cause import Cause, parse_cause
from sidecar.core.clip import ClipError, parse_stream_audio, without_audio
from sidecar.core.commands import (
    Change,
    ClearPlayback,
    Command,
    Dial,
    Hangup,
    Pause,
    PausePlayback,
    Play,
    Resume,
    ResumePlayback,
    Say,
    Transfer,
)
from sidecar.core.errors import CommandError, ErrorCode, ForbiddenCommand, InvalidCommand, Overfull
from sidecar.core.event_body import EventBody
from sidecar.core.events import failure
from sidecar.core.link import ChangeBot, ChangeFormat, ControlPlayback, PauseAudio, PlayClip, SendText, ToWorker
from sidecar.core.option_change import changed_options
from sidecar.core.options import OptionError, StreamOptions

MOST_TEXTS = 100
"""That wait for a bot that is away."""

MOST_TEXT_BYTES = 1 << 20
"""Of all of these; and of one text, whether the bot is there or not."""

_WHY = "the operator hangs up"


class StreamCommands:
    """Does what the outside asks of a stream, or raises `CommandError`."""

    def __init__(
        self,
        stream: str,
        options: StreamOptions,
        *,
        call: AskedCall,
        bot: BotSide,
        emit: Callable[[EventBody], None],
        say: Callable[[ToWorker], None],
        bot_hosts: BotHosts,
    ) -> None:
        self.paused = False
        self._stream = stream
        self.options = options
        self._hosts = bot_hosts
        self._call = call
        self._bot = bot
        self._emit = emit
        self._say = say
        self._waiting = deque[str]()
        self._unsent = 0  # of these, that the worker gave back, and that come first

    def obey(self, command: Command, *, now: float) -> list[str]:
        """Do what is asked; return warnings."""
        match command:
            case Change(options):
                return self._change(options)
            case Pause() | Resume():
                self.paused = isinstance(command, Pause)
                self._say(PauseAudio(self._stream, self.paused))
            case Say(text):
                self._send(text)
            case Play():
                self._play(command)
            case ClearPlayback():
                self._say(ControlPlayback(self._stream, "clear"))
            case PausePlayback():
                self._say(ControlPlayback(self._stream, "pause"))
            case ResumePlayback():
                self._say(ControlPlayback(self._stream, "resume"))
            case Dial(digits, duration_ms):
                self._call.send_digits(digits, duration_ms=duration_ms, now=now)
            case Transfer(to):
                self._call.transfer(to, now=now)
            case Hangup():
                self._call.end(_cause(command), _WHY, now=now)
            case _:
                if command.text is not None and self._bot.state is BotState.CONNECTED:
                    self._send(command.text)
                self._call.end(Cause.NORMAL_CLEARING, _WHY, now=now)
        return []

    def _change(self, given: Mapping[str, str]) -> list[str]:
        try:
            options, warnings = changed_options(self.options, given, hosts=self._hosts)
        except OptionError as error:
            kind = ForbiddenCommand if error.sip_status == 403 else InvalidCommand
            raise kind(error.reason, field=error.name) from None
        if "url" in given and self._bot.state is BotState.GONE:
            raise CommandError("the bot is gone")
        former, self.options = self.options, options
        mix, rate, buffer_size = options.mix, options.rate, options.buffer_size
        if (mix, rate, buffer_size) != (former.mix, former.rate, former.buffer_size):
            self._say(ChangeFormat(self._stream, mix, rate, buffer_size))
        if "url" in given:
            self._say(ChangeBot(self._stream, options))
        return warnings

    # --- texts

    def send_waiting(self) -> None:
        """The bot is there: send it the texts that wait."""
        while self._waiting:
            self._say(SendText(self._stream, self._waiting.popleft(), keep=True))
        self._unsent = 0

    def text_unsent(self, text: str) -> None:
        """The bot had gone before a text came to it: the text waits, before those that came later."""
        if self._fits(text):
            self._waiting.insert(self._unsent, text)
            self._unsent += 1
        else:
            self._emit(failure(ErrorCode.NOT_SUPPORTED, "text: the bot is away, and too many texts wait for it"))

    def bot_gone(self) -> None:
        """There will be no bot any more: tell of the texts that waited for it."""
        if self._waiting:
            error = f"text: the bot is gone, and has not got {len(self._waiting)} texts that waited for it"
            self._emit(failure(ErrorCode.NOT_SUPPORTED, error))
            self._waiting.clear()

    def _send(self, text: str) -> None:
        if len(text.encode()) > MOST_TEXT_BYTES:
            raise InvalidCommand(f"longer than {MOST_TEXT_BYTES} bytes", field="text")
        if self._bot.state is BotState.GONE:
            raise CommandError("the bot is gone")
        if self._bot.state is BotState.CONNECTED:
            self._say(SendText(self._stream, text, keep=True))
        elif self._fits(text):
            self._waiting.append(text)
        else:
            raise Overfull("the bot is away, and too many texts wait for it")

    def _fits(self, text: str) -> bool:
        size = sum(len(each.encode()) for each in (*self._waiting, text))
        return len(self._waiting) < MOST_TEXTS and size <= MOST_TEXT_BYTES

    def _play(self, command: Play) -> None:
        if not self.options.plays:
            raise CommandError("the stream plays nothing: PLAYBACK is off, or INJECT is none")
        try:
            clip = parse_stream_audio(command.data)
        except ClipError as error:
            field, _, reason = str(error).partition(": ")
            raise InvalidCommand(reason, field=field) from None
        self._say(PlayClip(self._stream, clip, without_audio(command.data)))


def _cause(command: Hangup) -> int:
    """Return the cause that is given to the other side."""
    try:
        return parse_cause(command.cause)
    except ValueError as error:
        raise InvalidCommand(str(error).removeprefix("cause: "), field="cause") from None
