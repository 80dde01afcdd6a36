"""What the outside is told about streams: one record, written in one way, whatever the outlet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import msgspec

from sidecar.core.event_body import EventBody
from sidecar.core.link import StreamStats, StreamTold
from sidecar.core.playback_events import MarkAnswered, Progress
from sidecar.core.speech_events import SpeechEvent
from sidecar.core.stream_snapshot import StreamSnapshot

EVENT_KINDS = tuple(
    "connect disconnect dtmf error json leg mark play playback reconnected reconnecting start stats stop transfer "
    "vad".split()
)
"""The names of all kinds."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Something happened to a stream."""

    body: EventBody
    stream: str  # empty, where a call was refused before it had one, unless we had asked for that call
    call: str  # the option CALL; without it the SIP Call-ID
    sequence: int  # counts the events of the stream, from 1
    at: float  # seconds since 1970
    quiet: bool = False  # not for the log (SUPPRESS_LOG)

    @property
    def kind(self) -> str:
        """The name of its kind: `connect`, `error`, ..."""
        return self.body.kind

    @property
    def time(self) -> str:
        """When it was (RFC 3339), to the millisecond."""
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def json(self) -> bytes:
        """Return it as every outlet says it."""
        return msgspec.json.encode(
            {
                "event": self.kind,
                "stream": self.stream,
                "call": self.call,
                "time": self.time,
                "sequence": self.sequence,
                "body": self.body.value(),
            }
        )


class Started(EventBody, frozen=True):
    """There is a call, and its stream begins; each other event of the stream comes after this one."""

    kind = "start"
    call_id: str  # of SIP
    from_: str = msgspec.field(name="from")
    to: str
    url: str  # of the bot, without what may be secret
    mix: str
    rate: int  # Hz
    warnings: list[str]

    @classmethod
    def of(cls, seen: StreamSnapshot, warnings: list[str]) -> Self:
        """Say what is seen of a stream that begins; `warnings` are about its options."""
        return cls(seen.call_id, seen.from_, seen.to, seen.url, seen.mix, seen.rate, warnings)


class Stopped(EventBody, frozen=True):
    """The stream is over; the last of its events."""

    kind = "stop"
    stats: StreamStats | None  # None: it never began

    def value(self) -> Any:
        return {} if self.stats is None else msgspec.to_builtins(self.stats)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        return cls(None if text in ("{}", b"{}") else msgspec.json.decode(text, type=StreamStats))


class Connected(EventBody, frozen=True, tag_field="status", tag="connected"):
    """The bot is there."""

    kind = "connect"


class CloseMessage(msgspec.Struct, frozen=True):
    """How a WebSocket ended (RFC 6455, section 7.1.5)."""

    code: int
    reason: str


class Disconnected(EventBody, frozen=True, tag_field="status", tag="disconnected"):
    """The bot is gone for good, or was said goodbye to."""

    kind = "disconnect"
    message: CloseMessage


class Reconnecting(EventBody, frozen=True, tag_field="status", tag="reconnecting"):
    """The bot is lost, and called again; or another is called in its place."""

    kind = "reconnecting"
    message: CloseMessage


class Reconnected(EventBody, frozen=True, tag_field="status", tag="reconnected"):
    """There is a bot again."""

    kind = "reconnected"
    gap_ms: int  # of the caller's audio, that the bot did not get in time
    replayed_ms: int  # that it gets now, of these


class ErrorMessage(msgspec.Struct, frozen=True):
    """What went wrong."""

    code: int  # one of `ErrorCode`
    error: str


class Failure(EventBody, frozen=True, tag_field="status", tag="error"):
    """Something went wrong, be it the end of the stream or not."""

    kind = "error"
    message: ErrorMessage


class BotSaid(EventBody, frozen=True):
    """The bot sent a text; audio that was in it is left out."""

    kind = "json"
    text: str

    def value(self) -> Any:
        return self.text

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        return cls(msgspec.json.decode(text, type=str))


class ClipTaken(EventBody, frozen=True):
    """A clip is to be played: all that was said of it, but the audio."""

    kind = "play"
    data: dict[str, Any]

    def value(self) -> Any:
        return self.data

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        return cls(msgspec.json.decode(text, type=dict[str, Any]))


class JoinedLeg(EventBody, frozen=True, tag_field="status", tag="joined"):
    """Another call carries a voice of the stream."""

    kind = "leg"
    track: str  # whose: caller, callee
    call_id: str  # of SIP
    from_: str = msgspec.field(name="from")
    to: str
    warnings: list[str]


class LeftLeg(EventBody, frozen=True, tag_field="status", tag="left"):
    """A call has ended, and the stream goes on without its voice."""

    kind = "leg"
    track: str
    stats: StreamStats | None  # of its leg; None: those of the first are in `stop`


class DigitPressed(EventBody, frozen=True, omit_defaults=True):
    """The caller has pressed a key; or the callee."""

    kind = "dtmf"
    digit: str
    duration_ms: int
    source: str  # rfc4733, inband, info
    track: str = "caller"


class Transferring(EventBody, frozen=True):
    """How a transfer goes; the `status` is one of SIP."""

    kind = "transfer"
    status: int
    final: bool


class Measured(EventBody, frozen=True):
    """What has passed through the stream so far."""

    kind = "stats"
    stats: StreamStats

    def value(self) -> Any:
        return msgspec.to_builtins(self.stats)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        return cls(msgspec.json.decode(text, type=StreamStats))


def failure(code: int, error: str) -> Failure:
    """Return the body of an event `error`; `code` is one of `ErrorCode`."""
    return Failure(ErrorMessage(code, error))


_TOLD_BY_WORKERS: dict[str, type[EventBody]] = {
    each.kind: each for each in (Failure, ClipTaken, MarkAnswered, Measured)
}
_TOLD_IN_MANY_FORMS: dict[str, Any] = {"playback": Progress, "vad": SpeechEvent}  # `event` says which


def told(stream: str, body: EventBody) -> StreamTold:
    """Return what a worker says of an event."""
    return StreamTold(stream, body.kind, body.json().decode())


def body_told(message: StreamTold) -> EventBody:
    """Return the event of which a worker has told."""
    if message.kind in _TOLD_IN_MANY_FORMS:
        body: EventBody = msgspec.json.decode(message.body, type=_TOLD_IN_MANY_FORMS[message.kind])
        return body
    return _TOLD_BY_WORKERS[message.kind].parse(message.body)
