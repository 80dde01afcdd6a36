"""What a bot says in text: one JSON object a message, `{"type": ..., "data": {...}}`, read once."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from sidecar.core import option_values
from sidecar.core.clip import Clip, ClipError, parse_stream_audio, without_audio

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Cause = Annotated[int, msgspec.Meta(ge=1, le=127)]
_CauseName = Annotated[str, msgspec.Meta(max_length=64)]


class RawAudio(msgspec.Struct, frozen=True):
    """Binary audio that follows has this rate."""

    rate: float = msgspec.field(name="sampleRate")  # Hz


class Mark(msgspec.Struct, frozen=True):
    """Tell when all before this has been played."""

    name: _Name


class Clear(msgspec.Struct, frozen=True):
    """Play nothing of what is queued."""


class Pause(msgspec.Struct, frozen=True):
    """Play nothing for now."""


class Resume(msgspec.Struct, frozen=True):
    """Play on."""


class Hangup(msgspec.Struct, frozen=True):
    """End the call."""

    after: str = "drain"  # or now
    cause: _Cause | _CauseName | None = None  # of Q.850: its number, or the name that FreeSWITCH has for it


class Transfer(msgspec.Struct, frozen=True):
    """Let the caller be connected to somebody else."""

    to: Annotated[str, msgspec.Meta(max_length=1024)]  # a SIP URI


class Dtmf(msgspec.Struct, frozen=True):
    """Let the caller hear digits."""

    digits: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    duration_ms: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] = 100  # of each


class Answer(msgspec.Struct, frozen=True):
    """Answer the call (ANSWER=early)."""


class StreamAudio(msgspec.Struct, frozen=True):
    """Play a clip."""

    clip: Clip
    body: str  # JSON: all that was said of it, without the audio


BotMessage = RawAudio | Mark | Clear | Pause | Resume | Hangup | Transfer | Dtmf | Answer | StreamAudio

_KINDS: dict[str, type[Any]] = {
    "rawAudio": RawAudio,
    "mark": Mark,
    "hangup": Hangup,
    "transfer": Transfer,
    "dtmf": Dtmf,
}
# These need no data, and are obeyed whatever there is of it.
_BARE: dict[str, BotMessage] = {
    "clear": Clear(),
    "killAudio": Clear(),
    "pause": Pause(),
    "resume": Resume(),
    "answer": Answer(),
}

_MISSING = re.compile(r"Object missing required field `(\w+)`")
_AT_FIELD = re.compile(r"(.+) - at `\$\.(\w+).*`")


class BotMessageError(Exception):
    """A message of a known type is malformed; the reason names the field."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason


class _Envelope(msgspec.Struct):
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


def message_to_bot(kind: str, data: dict[str, Any]) -> str:
    """Return a text message as the native dialect has it."""
    return msgspec.json.encode({"type": kind, "data": data}).decode()


def parse_bot_message(text: str) -> tuple[BotMessage | BotMessageError | None, str]:
    """Return what a text means, and the text without the audio in it.

    None: it is of no type that we know, or no JSON; any text is legal, for whoever listens to the events.
    """
    try:
        envelope = msgspec.json.decode(text, type=_Envelope)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None, text
    if envelope.type in _BARE:
        return _BARE[envelope.type], text
    data = bytes(envelope.data)
    try:
        if envelope.type == "streamAudio":
            return _stream_audio(msgspec.json.decode(data))
        if envelope.type not in _KINDS:
            return None, text
        return _checked(msgspec.json.decode(b"{}" if data == b"null" else data, type=_KINDS[envelope.type])), text
    except (msgspec.MsgspecError, RecursionError) as error:
        return BotMessageError(envelope.type, _reason(str(error))), text
    except ValueError as error:
        return BotMessageError(envelope.type, str(error)), text


def _checked(message: BotMessage) -> BotMessage:
    """Return it; raise ValueError, naming the field, for what its types do not say."""
    if isinstance(message, RawAudio) and not option_values.is_rate(message.rate):
        raise ValueError("sampleRate: not a multiple of 8000 from 8000 to 48000")
    if isinstance(message, Hangup) and message.after not in ("drain", "now"):
        raise ValueError("after: not drain or now")
    return message


def _reason(error: str) -> str:
    """Name the field first, or `data` where that is wrong as a whole."""
    if missing := _MISSING.match(error):
        return f"{missing[1]}: missing"
    at = _AT_FIELD.fullmatch(error)
    field, why = (at[2], at[1]) if at else ("data", error)
    return f"{field}: {why[0].lower()}{why[1:]}".replace("`", "")


def _stream_audio(data: Any) -> tuple[StreamAudio | BotMessageError, str]:
    body = without_audio(data if isinstance(data, dict) else {})
    text = f'{{"type":"streamAudio","data":{body}}}'
    try:
        return StreamAudio(parse_stream_audio(data), body), text
    except ClipError as error:
        return BotMessageError("streamAudio", str(error)), text
