"""What the control process and a media worker say to each other: all of it.

The messages are values that survive a wire. Nothing else passes between the two, so that a worker may live in the
same process or in one of its own.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sidecar.core.clip import Clip
from sidecar.core.media_leg import MediaLeg
from sidecar.core.options import MixMode, StreamOptions, Track
from sidecar.core.worker_counts import WorkerCounted


class OpenStream(msgspec.Struct, frozen=True, tag=True):
    """Take a row, and connect to the bot."""

    stream: str
    leg: MediaLeg | None  # None: `ChangeLeg` says it later, before there is media
    options: StreamOptions
    port: int | None = None  # to be bound for this stream alone; None: that of the worker


class JoinStream(msgspec.Struct, frozen=True, tag=True):
    """Take a row for another leg of a stream; `LegJoined` or `StreamRefused` answers."""

    stream: str  # the leg's own name, by which it is meant from now on; the first leg has that of its stream
    of: str  # the stream
    track: Track  # whose voice it carries
    leg: MediaLeg | None
    port: int | None = None


class LeaveStream(msgspec.Struct, frozen=True, tag=True):
    """This leg is over, the stream goes on; `LegLeft` answers, unless it is the first leg."""

    stream: str


class ChangeLeg(msgspec.Struct, frozen=True, tag=True):
    """The telephone side is another from now on; `LegChanged` or `LegRefused` answers each, in order."""

    stream: str
    leg: MediaLeg


class StartMedia(msgspec.Struct, frozen=True, tag=True):
    """The call is answered, or has early media: its grid begins."""

    stream: str
    sends: bool = True  # False: the caller does not listen, so there is no RTP to it
    receives: bool = True  # False: the caller does not speak, so its silence means nothing


class SendDigits(msgspec.Struct, frozen=True, tag=True):
    """Let the caller hear these digits, each for so long, as telephone events (RFC 4733)."""

    stream: str
    digits: str
    duration_ms: int


class SendText(msgspec.Struct, frozen=True, tag=True):
    """Say this to the bot, if it is there; if it is not, and the text is to be kept, `TextUnsent` gives it back."""

    stream: str
    text: str
    keep: bool = False


class ChangeFormat(msgspec.Struct, frozen=True, tag=True):
    """What the bot hears is in another format from now on."""

    stream: str
    mix: MixMode
    rate: int  # Hz
    buffer_size: int  # ms


class ChangeBot(msgspec.Struct, frozen=True, tag=True):
    """Leave the bot, and call another: that of these options."""

    stream: str
    options: StreamOptions


class PauseAudio(msgspec.Struct, frozen=True, tag=True):
    """Send the bot no audio, or send it audio again."""

    stream: str
    paused: bool


class PlayClip(msgspec.Struct, frozen=True, tag=True):
    """Play a clip, as if the bot had sent it; `body` is that of the event."""

    stream: str
    clip: Clip
    body: str


class ControlPlayback(msgspec.Struct, frozen=True, tag=True):
    """Do with what is queued what the bot could ask for."""

    stream: str
    action: Literal["clear", "pause", "resume"]


class AskStats(msgspec.Struct, frozen=True, tag=True):
    """Tell what has passed through the stream so far; `StatsTold` does."""

    stream: str


class CloseStream(msgspec.Struct, frozen=True, tag=True):
    """The call is over: give the row back, close the WebSocket."""

    stream: str
    code: int = 1000
    reason: str = ""


LegChange = StartMedia | ChangeLeg | SendDigits | LeaveStream
"""What is done to one leg of a stream."""

LiveChange = ChangeFormat | ChangeBot | PauseAudio | PlayClip | ControlPlayback | AskStats | SendText
"""What is asked of a stream between its beginning and its end, for somebody outside, or in answer to its bot."""

ToWorker = OpenStream | JoinStream | LegChange | LiveChange | CloseStream


class WorkerReady(msgspec.Struct, frozen=True, tag=True):
    """The worker takes streams; RTP for them goes to this port."""

    port: int


class WorkerLoad(msgspec.Struct, frozen=True, tag=True):
    """How the worker does, said twice a second: whoever is silent for long hangs."""

    streams: int = 0
    late_p99_ms: float = 0.0  # of the ticks of its media grid, over the last second
    late_max_ms: float = 0.0
    busy: float = 0.0  # of one core, 0 to 1, since it was said last
    tasks: int = 0  # of its event loop


class StreamRefused(msgspec.Struct, frozen=True, tag=True):
    """The worker has no row for the stream, or its address belongs to another call."""

    stream: str
    reason: str


class LegJoined(msgspec.Struct, frozen=True, tag=True):
    """The leg has its row."""

    stream: str


class LegChanged(msgspec.Struct, frozen=True, tag=True):
    """The stream has its new leg."""

    stream: str


class LegRefused(msgspec.Struct, frozen=True, tag=True):
    """The address of the new leg belongs to another call; the stream keeps the leg it has."""

    stream: str
    reason: str


class BotConnected(msgspec.Struct, frozen=True, tag=True):
    """The WebSocket is open, and the metadata is on its way."""

    stream: str


class BotLost(msgspec.Struct, frozen=True, tag=True):
    """The WebSocket broke, or the bot closed for now; it will be tried again, or another bot instead."""

    stream: str
    close_code: int  # as RFC 6455, section 7.1.5, has it
    reason: str
    error: int | None = None  # one of `ErrorCode`; None: it was closed


class BotResumed(msgspec.Struct, frozen=True, tag=True):
    """There is a bot again."""

    stream: str
    gap_ms: int  # of the caller's audio, that the bot did not get in time
    replayed_ms: int  # that it gets now, of these


class BotStalled(msgspec.Struct, frozen=True, tag=True):
    """The bot reads too slowly: from now on its oldest audio is dropped, until it has caught up."""

    stream: str
    kept_ms: int


class BotFailed(msgspec.Struct, frozen=True, tag=True):
    """The WebSocket did not come to be, or broke for good; `code` is one of `ErrorCode`."""

    stream: str
    code: int
    error: str
    forbidden: bool = False  # its address turned out to be none that may be called


class BotClosed(msgspec.Struct, frozen=True, tag=True):
    """The bot said goodbye (RFC 6455, section 7.1.4); what it said before may still be playing."""

    stream: str
    code: int
    reason: str


BotNews = BotConnected | BotLost | BotResumed | BotStalled | BotFailed | BotClosed
"""How the connection to a bot goes."""


class BotSpoke(msgspec.Struct, frozen=True, tag=True):
    """The first audio of any bot of the stream has come."""

    stream: str


class BotText(msgspec.Struct, frozen=True, tag=True):
    """The bot sent a text message; `text` is without the audio that may have been in it."""

    stream: str
    text: str


class TextUnsent(msgspec.Struct, frozen=True, tag=True):
    """There was no bot to send a text to that is to be kept."""

    stream: str
    text: str


class StreamTold(msgspec.Struct, frozen=True, tag=True):
    """Something happened in the worker that the outside should know: an event."""

    stream: str
    kind: str
    body: str  # JSON; see `told` and `body_told` in events.py


class AnswerAsked(msgspec.Struct, frozen=True, tag=True):
    """The bot wants the call to be answered."""

    stream: str


class HangupAsked(msgspec.Struct, frozen=True, tag=True):
    """The bot wants the call to end: now, or when `PlaybackDrained` says so."""

    stream: str
    after_drain: bool
    cause: int | str | None  # of Q.850, as the bot gave it


class TransferAsked(msgspec.Struct, frozen=True, tag=True):
    """The bot wants the caller to be connected to somebody else."""

    stream: str
    to: str


class DigitsAsked(msgspec.Struct, frozen=True, tag=True):
    """The bot wants the caller to hear digits."""

    stream: str
    digits: str
    duration_ms: int


BotRequest = AnswerAsked | HangupAsked | TransferAsked | DigitsAsked


class PlaybackDrained(msgspec.Struct, frozen=True, tag=True):
    """After the bot has closed, or wants the call to end: all that it said has been played."""

    stream: str


class DigitHeard(msgspec.Struct, frozen=True, tag=True):
    """The caller has pressed a key."""

    stream: str
    digit: str
    duration_ms: int
    source: str  # `rfc4733`, or `inband`: as a tone in the audio


class NothingHeard(msgspec.Struct, frozen=True, tag=True):
    """Nothing comes from where the caller's RTP should, but RTP comes from where nobody expects it."""

    stream: str
    expected: str
    actual: str
    why: str  # and what would help

    def __str__(self) -> str:
        return f"nothing is heard from {self.expected}, while RTP comes from {self.actual}: {self.why}"


class MediaLost(msgspec.Struct, frozen=True, tag=True):
    """No RTP came for too long."""

    stream: str
    seconds: float
    ever: bool  # whether any came before

    def __str__(self) -> str:
        return f"no RTP for {self.seconds:.0f} s" if self.ever else f"no RTP came at all, in {self.seconds:.0f} s"


class StreamStats(msgspec.Struct, frozen=True):
    """What passed through a stream."""

    packets_received: int = 0
    packets_sent: int = 0
    packets_lost: int = 0
    packets_late: int = 0
    packets_duplicate: int = 0
    packets_ignored: int = 0
    packets_concealed: int = 0
    filled_ms: int = 0  # of noise, where the caller sent nothing
    frames_dropped: int = 0  # of a jitter buffer, or of a flood
    frames_missed: int = 0  # of one of two voices, in its turn
    telephone_events_dropped: int = 0  # packets of digits, that were too many
    messages_sent: int = 0
    messages_dropped: int = 0
    messages_replayed: int = 0  # late, to a bot that had been lost
    reconnects: int = 0
    playback_ms: int = 0
    playback_refused_ms: int = 0
    underruns: int = 0
    texts_refused: int = 0  # of the bot, that were too much to be looked at
    texts_untold: int = 0  # that were too much to be events
    barge_ins: int = 0  # of the caller, that cleared or lowered playback
    responses: int = 0  # of the bot, to what the caller said
    response_ms_last: int | None = None  # from the end of that to the first sound; None: not known
    response_ms_mean: int | None = None
    response_ms_max: int | None = None
    packets_unauthentic: int = 0  # not encrypted with the keys of the call, or seen before
    round_trip_ms: float | None = None  # None: the other side sent no report
    jitter_ms: float = 0.0  # of what was received
    remote_loss: float = 0.0  # 0..1, of what was sent, as the other side reported last
    remote_jitter_ms: float = 0.0
    mos: float | None = None  # 1..4.5, estimated: how the caller was heard; None: nothing came
    remote_mos: float | None = None  # how the caller heard us; None: the other side sent no report


class LegLeft(msgspec.Struct, frozen=True, tag=True):
    """The row of a leg is given back; the last that is said of it, and not of its stream."""

    stream: str
    stats: StreamStats


class StatsTold(msgspec.Struct, frozen=True, tag=True):
    """What passed through a stream so far, as was asked."""

    stream: str
    stats: StreamStats


class StreamEnded(msgspec.Struct, frozen=True, tag=True):
    """The row is given back; the last that is said of a stream."""

    stream: str
    stats: StreamStats


LegMessage = StreamRefused | LegJoined | LegLeft | LegChanged | LegRefused | DigitHeard | NothingHeard | MediaLost
"""What a worker says of one leg of a stream."""

StreamMessage = (
    LegMessage
    | BotNews
    | BotSpoke
    | BotText
    | TextUnsent
    | StreamTold
    | StatsTold
    | BotRequest
    | PlaybackDrained
    | StreamEnded
)
"""What a worker says of one stream."""

FromWorker = WorkerReady | WorkerLoad | WorkerCounted | StreamMessage
