"""What one bot wants to be played, and what it is told of that: the playback half of its dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sidecar.core.bot_messages import (
    Answer,
    BotMessage,
    BotMessageError,
    Clear,
    Dtmf,
    Hangup,
    Mark,
    Pause,
    RawAudio,
    Resume,
    StreamAudio,
    Transfer,
    message_to_bot,
    parse_bot_message,
)
from sidecar.core.bridge import Bridge
from sidecar.core.clip import Clip
from sidecar.core.errors import ErrorCode
from sidecar.core.event_body import EventBody
from sidecar.core.events import ClipTaken, failure, told
from sidecar.core.link import (
    AnswerAsked,
    BotRequest,
    BotSpoke,
    BotText,
    DigitsAsked,
    HangupAsked,
    StreamTold,
    TransferAsked,
)
from sidecar.core.options import EventKind, StreamOptions
from sidecar.core.playback_events import Cleared, MarkAnswered, PlaybackEvent
from sidecar.core.playback_queue import PlaybackQueue, Stretch
from sidecar.core.speech_events import BargedIn, SpeechEvent
from sidecar.core.text_allowance import TextAllowance

HEARD_A_SECOND, HEARD_AT_ONCE = 4 << 20, 32 << 20
"""Characters of text from the bot, the audio in it too: that is half a minute of any audio in a second."""

TOLD_A_SECOND, TOLD_AT_ONCE = 256 << 10, 1 << 20
"""Characters of these, without audio, that control and all who listen to events get."""

_OF_THE_MODULE = frozenset(("streamAudio", "rawAudio"))
"""Messages of bots that were written for mod_audio_stream, which does not answer them."""


@dataclass(eq=False, slots=True)
class ClipToDecode:
    """A clip that has its place in the queue, and the rate that it is wanted at."""

    stretch: Stretch
    clip: Clip
    rate: int  # Hz
    half: bytearray  # of a sample, that the raw clips of one sound share
    of_bot: bool  # else somebody outside wants it to be heard

    def whole_samples(self, data: bytes) -> bytes:
        """Put the half sample at the end of the last raw clip in front, and keep back the one at the end."""
        data = bytes(self.half) + data
        whole = len(data) // 2 * 2
        self.half[:] = data[whole:]
        return data[:whole]


class Player:
    """Takes the bot's audio and texts in the order in which they came. Sans-IO.

    What is to be done about it is in `texts` for the bot, `messages` for control, and `clips` to be decoded; whoever
    calls takes these away.
    """

    def __init__(self, stream: str, row: int, options: StreamOptions, bridge: Bridge) -> None:
        self.texts: list[str] = []
        self.messages: list[BotSpoke | BotText | StreamTold | BotRequest] = []
        self.clips: list[ClipToDecode] = []
        self.closed = False  # the row is given back
        self.heard_texts = TextAllowance(HEARD_A_SECOND, at_once=HEARD_AT_ONCE)
        self.told_texts = TextAllowance(TOLD_A_SECOND, at_once=TOLD_AT_ONCE)
        self._half = bytearray()  # of a sample, of raw clips
        self._rate = options.playback_rate
        self._stream = stream
        self._row = row
        self._bridge = bridge
        self._playback = bridge.playback
        self._plays = options.plays
        self._has_spoken = False
        self._told_groups = options.events
        self._tells = EventKind.PLAYBACK in options.events  # how playback goes
        if self._tells:
            self._playback.queue(row, keep=True)

    @property
    def takes_frames(self) -> bool:
        """Whether audio may go past `play`, to the rows of the bridge: the first of it does not."""
        return self._has_spoken and self._playback.takes_frames(self._row)

    def play(self, audio: bytes, *, now: float) -> None:
        """Take raw audio."""
        if self._plays:
            self._speak()
            self._playback.play(self._row, audio, now=now)

    def receive(self, text: str, *, now: float) -> None:
        """Take a text message."""
        if not self.heard_texts.take(len(text), now=now):
            if self.heard_texts.is_news:
                self.fail(f"texts: more than {HEARD_A_SECOND} characters a second; what is more is not obeyed")
            return
        message, text = parse_bot_message(text)
        is_told = self.told_texts.take(len(text), now=now)
        if is_told:
            self.messages.append(BotText(self._stream, text))
        elif self.told_texts.is_news:
            self.fail(f"texts: more than {TOLD_A_SECOND} characters a second; what is more is not told of")
        if isinstance(message, BotMessageError):
            self._refuse(message.kind, message.reason)
        elif message is not None:
            self._obey(message, now=now, is_told=is_told)

    def play_clip(self, clip: Clip, body: str, *, now: float) -> None:
        """Take a clip of somebody other than the bot; `body` is what was said of it, as JSON."""
        self._tell_clip(body)
        self._queue_clip(clip, now=now, of_bot=False)

    def control(self, action: Literal["clear", "pause", "resume"], *, now: float) -> None:
        """Do what somebody other than the bot wants; a bot that is told how playback goes is told of a clear."""
        match action:
            case "clear":
                cleared = self._clear(now=now)
                self._emit(cleared)
                if EventKind.PLAYBACK in self._told_groups:
                    self._tell_cleared(cleared, reason="operator")
            case "pause":
                self._engine(now).pause()
            case _:
                self._engine(now).resume()

    def drain(self, *, now: float) -> None:
        """Let all that is queued be played, whatever the bot has paused; the bridge tells when it is."""
        queue = self._playback.queue_of(self._row)
        if queue is not None:
            queue.resume()
        self._bridge.drain(self._row, now=now)

    def bot_lost(self, *, now: float) -> None:
        """The connection is over, and there may be another: what was said is played, but is not gone on with.

        What comes next has the rate of the options and begins with a whole sample; it is played, even if the bot
        that is lost had paused: another knows nothing of that.
        """
        self._half = bytearray()
        self._playback.change_rate(self._row, self._rate, now=now)
        self._playback.forget_half(self._row)
        if (queue := self._playback.queue_of(self._row)) is not None:
            queue.resume()
        self._listen_to(queue)

    def wants(self, clip: ClipToDecode) -> bool:
        """Whether a clip is still to be played."""
        return not (self.closed or clip.stretch.ended)

    def write_clip(self, clip: ClipToDecode, pcm: bytes, *, now: float) -> None:
        """Take what a clip has become so far."""
        if not self.closed:
            if clip.of_bot:
                self._speak()
            queue = self._playback.queue(self._row)
            queue.write_clip(clip.stretch, pcm, now=now)
            self._listen_to(queue)

    def end_clip(self, clip: ClipToDecode, error: str | None, *, now: float) -> None:
        """Take note that no more comes of a clip, and why, if it should have."""
        if self.closed:
            return
        queue = self._playback.queue(self._row)
        queue.end_clip(clip.stretch, now=now)
        if error is not None and clip.of_bot:
            self._refuse("streamAudio", error)
        elif error is not None:
            self.fail(f"play: {error}")
        self._listen_to(queue)

    def fail(self, error: str) -> None:
        """Tell control what could not be done."""
        self._emit(failure(ErrorCode.NOT_SUPPORTED, error))

    def tell(self, event: PlaybackEvent) -> None:
        """Take what the engine has to tell."""
        if isinstance(event, MarkAnswered):
            self._emit(event)
            self.texts.append(message_to_bot(event.kind, event.value()))
        elif self._tells:
            self.announce(EventKind.PLAYBACK, event)

    def announce(self, group: EventKind, event: EventBody) -> None:
        """Tell control of an event, and the bot, if EVENTS has the group that it belongs to."""
        self._emit(event)
        self.tell_bot(group, event)

    def tell_bot(self, group: EventKind, body: EventBody) -> None:
        """Tell the bot of an event, if EVENTS has the group that it belongs to."""
        if group in self._told_groups:
            self.texts.append(message_to_bot(body.kind, body.value()))

    def hear(self, event: SpeechEvent, *, now: float) -> None:
        """Take what the caller's voice has brought."""
        self.announce(EventKind.VAD, event)
        if isinstance(event, BargedIn) and event.action == "clear":
            self._tell_cleared(self._clear(now=now), reason="barge_in")

    # --- how it works

    def _obey(self, message: BotMessage, *, now: float, is_told: bool) -> None:
        match message:
            case StreamAudio(clip, body):
                if is_told:
                    self._tell_clip(body)
                self._queue_clip(clip, now=now, of_bot=True)
            case RawAudio(rate):
                self._playback.change_rate(self._row, int(rate), now=now)
            case Mark(name):
                self._engine(now).mark(name, now=now)
            case Clear():
                self._tell_cleared(self._clear(now=now))
            case Pause():
                self._engine(now).pause()
                self._confirm("pause")
            case Resume():
                self._engine(now).resume()
                self._confirm("resume")
            case Hangup(after, cause):
                self.messages.append(HangupAsked(self._stream, after == "drain", cause))
                if after == "drain":
                    self.drain(now=now)
            case Transfer(to):
                self.messages.append(TransferAsked(self._stream, to))
            case Dtmf(digits, duration_ms):
                self.messages.append(DigitsAsked(self._stream, digits, duration_ms))
            case _:
                assert isinstance(message, Answer)
                self.messages.append(AnswerAsked(self._stream))
        self._listen_to(self._playback.queue_of(self._row))

    def _engine(self, now: float) -> PlaybackQueue:
        self._playback.flush(self._row, now=now)
        return self._playback.queue(self._row)

    def _clear(self, *, now: float) -> Cleared:
        queue = self._engine(now)
        self._half = bytearray()
        cleared = queue.clear()
        self._bridge.speech.cleared(self._row)
        self._listen_to(queue)
        return cleared

    def _tell_cleared(self, cleared: Cleared, *, reason: str | None = None) -> None:
        data = {"played_ms": cleared.played_ms, "dropped_ms": cleared.dropped_ms, "marks": cleared.marks}
        if reason is not None:
            data["reason"] = reason
        self.texts.append(message_to_bot("cleared", data))

    def _confirm(self, kind: str) -> None:
        queued_ms = self._playback.queue(self._row).queued_ms
        self.texts.append(message_to_bot(kind, {"ok": True, "queued_ms": queued_ms}))

    def _refuse(self, kind: str, why: str) -> None:
        """Tell control what is wrong with a message of the bot's; and the bot, if it can know of such answers."""
        self.fail(f"{kind}: {why}")
        if EventKind.PLAYBACK in self._told_groups or kind not in _OF_THE_MODULE:
            self.texts.append(message_to_bot(kind, {"ok": False, "error": why}))

    def _tell_clip(self, body: str) -> None:
        self.messages.append(StreamTold(self._stream, ClipTaken.kind, body))

    def _queue_clip(self, clip: Clip, *, now: float, of_bot: bool) -> None:
        """Give a clip its place; whoever sends clips is told how they are played, so the engine stays."""
        if not self._plays:
            return
        self._tells = True
        self._playback.flush(self._row, now=now)
        self._playback.forget_half(self._row)
        queue = self._playback.queue(self._row, keep=True)
        self.clips.append(ClipToDecode(queue.open_clip(), clip, self._playback.rate(self._row), self._half, of_bot))

    def _speak(self) -> None:
        """Take note that there is audio of the bot."""
        if not self._has_spoken:
            self._has_spoken = True
            self.messages.append(BotSpoke(self._stream))

    def _listen_to(self, queue: PlaybackQueue | None) -> None:
        while queue is not None and (event := queue.next_event()) is not None:
            self.tell(event)

    def _emit(self, body: EventBody) -> None:
        self.messages.append(told(self._stream, body))
