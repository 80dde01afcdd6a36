"""The bodies of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from enum import EnumType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from rtp import DIGITS, LONGEST_MS, SHORTEST_MS
from sidecar.core.cause import Cause
from sidecar.core.clip import ClipKind
from sidecar.core.options import MixMode, StreamOptions

MOST_TEXT = 1 << 20
_RATE = r"^(8k|16k|24k|32k|40k|48k)$"
_CAUSE = r"^([1-9][0-9]?|1[01][0-9]|12[0-7])$"
_WS_URL = r"^[wW][sS][sS]?://[^/?#\s]+[^\s#]*$"

if TYPE_CHECKING:
    Mix = str
    ClipName = str
    CauseName = str
else:
    Mix = Literal[tuple(each.value for each in MixMode)]
    ClipName = Literal[tuple(each.value for each in ClipKind)]
    CauseName = Literal[tuple(Cause.__members__)]
Rate = Annotated[str, Field(pattern=_RATE)] | Literal[8000, 16000, 24000, 32000, 40000, 48000]
CauseNumber = Annotated[int, Field(ge=1, le=127)] | Annotated[str, Field(pattern=_CAUSE)]
Url = Annotated[str, Field(pattern=_WS_URL, max_length=4096)]


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra={"examples": [fields]})


def _unicode(value: Any) -> Any:
    """Take what is text to the end: JSON may write half a character, which no other encoding has."""
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which is no character") from None
    except RecursionError:
        raise ValueError("is too deep") from None
    return value


class TextBody(BaseModel):
    """A message to the bot."""

    model_config = _example(text='{"type":"operator","say":"the caller is a VIP"}')

    text: str = Field(max_length=MOST_TEXT, description="sent as it is, as one text message")


class LastTextBody(BaseModel):
    """How to end a stream."""

    model_config = _example(text="goodbye")

    text: str | None = Field(None, max_length=MOST_TEXT, description="the last message to the bot, if it is there")


class PlayBody(BaseModel):
    """A clip: what a bot would say as the `data` of `streamAudio`. Further members go into the event `play`."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        strict=True,
        json_schema_extra={"examples": [{"audioDataType": "raw", "sampleRate": 8000, "audioData": "AAAAAAAAAAA="}]},
    )

    audioDataType: ClipName
    sampleRate: int | None = Field(None, ge=4000, le=192_000, validate_default=True, description="Hz; needed for `raw`")
    audioData: str = Field(min_length=1, description="base64")
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(_unicode)]]

    @field_validator("sampleRate")
    @classmethod
    def _raw_has_a_rate(cls, rate: int | None, info: ValidationInfo) -> int | None:
        if rate is None and info.data.get("audioDataType") == "raw":
            raise ValueError("needed for raw")
        return rate


class DigitsBody(BaseModel):
    """Digits for the caller to hear."""

    model_config = _example(digits="12#", duration_ms=100)

    digits: str = Field(min_length=1, max_length=64, pattern=f"^[{DIGITS}]+$")
    duration_ms: int = Field(100, ge=SHORTEST_MS, le=LONGEST_MS, description="of each")


class TransferBody(BaseModel):
    """Where the caller is to go."""

    model_config = _example(to="sip:1000@pbx.example.com")

    to: str = Field(max_length=512, description="a SIP URI")


class HangupBody(BaseModel):
    """Why the call ends."""

    model_config = _example(cause="NORMAL_CLEARING")

    cause: CauseNumber | CauseName | None = Field(None, description="of Q.850; without one, 16")


class ChangeBody(BaseModel):
    """What is to be different from now on; what is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"examples": [{"mix": "stereo", "rate": "16k"}], "minProperties": 1},
    )

    url: Url | None = Field(None, description="of the bot that takes over")
    mix: Mix | None = None
    rate: Rate | None = None
    buffer_size: int | None = Field(None, ge=20, le=1000, multiple_of=20, description="ms")

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.options():
            raise ValueError("nothing is to be changed")
        return self

    def options(self) -> dict[str, str]:
        """Return the options as text, by name."""
        return _as_text(self.model_dump(exclude_none=True))


class _Attach(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "call": "0b7a3e0e-6c3e-4b6e-9f0f-2f6f0c7d7f10",
                    "url": "wss://bot.example.com/ws",
                    "mix": "stereo",
                    "rate": "16k",
                }
            ]
        },
    )

    call: str = Field(min_length=1, max_length=128, pattern="^[!-~]+$", description="the UUID of the channel")
    freeswitch: str | None = Field(None, min_length=1, max_length=64, description="which server, by its name")
    profile: str | None = Field(None, min_length=1, max_length=64, description="the profile to begin with")

    def options(self) -> dict[str, str]:
        """Return the options of the stream as text, by name."""
        return _as_text(self.model_dump(exclude_none=True, exclude={"call", "freeswitch", "profile"}))


def _option_type(name: str, hint: Any) -> Any:
    """Return how JSON has an option of `StreamOptions`."""
    if name in ("rate", "sample_rate"):
        return Rate
    if name == "url":
        return Url
    kinds: list[Any] = [each for each in (hint, *get_args(hint)) if isinstance(each, EnumType)]
    if kinds:
        values: Any = Literal[tuple(each.value for each in kinds[0])]
        return list[values] | str if get_origin(hint) is frozenset else values
    if hint in (bool, int):
        return hint
    return dict[str, str] if name == "extra_headers" else str


def _attach_body() -> type[_Attach]:
    hints = get_type_hints(StreamOptions)
    names = [each.name for each in fields(StreamOptions) if each.name != "call"]
    options: dict[str, Any] = {name: (_option_type(name, hints[name]) | None, None) for name in names}
    doc = "A stream to a bot for a call that is up; the options are those of docs/options.md."
    return create_model("AttachBody", __base__=_Attach, __doc__=doc, **options)


if TYPE_CHECKING:
    AttachBody = _Attach
else:
    AttachBody = _attach_body()


def _as_text(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in options.items()}


def _text(value: Any) -> str:
    """Spell a value of JSON as the option's text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value) or "none"
    return json.dumps(value) if isinstance(value, dict) else str(value)
