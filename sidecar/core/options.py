"""The options of a stream: one table, from which every spelling is derived (docs/options.md).

A field of `StreamOptions` is an option. Its name in capitals behind `X-STREAM_` is the SIP header, behind
`SIDECAR_STREAM__` the environment variable; as it stands it is the key of a profile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, TypeVar

import msgspec

from rtp import FRAME_MS
from sidecar.core.bot_uri import parse_bot_uri

_E = TypeVar("_E", bound=Enum)
_HEADER_PREFIX = "x_stream_"
_LATER = frozenset(
    "dialect message_deflate heart_beat suppress_log auth tls_ca_file tls_cert_file tls_key_file "
    "tls_disable_hostname_validation no_reconnect reconnect_max replay on_bot_lost on_bot_close playback barge_in "
    "inject playback_max events call id track".split()
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HANDSHAKE_HEADERS = re.compile(r"host|upgrade|connection|content-length|transfer-encoding|sec-websocket-.*", re.I)


class MixMode(Enum):
    """Whose voice the bot hears."""

    MONO = "mono"  # the caller
    CALLEE = "callee"
    MIXED = "mixed"  # both, summed
    STEREO = "stereo"  # left the caller, right the callee


class AnswerMode(Enum):
    """When the INVITE is answered."""

    CONNECTED = "connected"  # once the bot is connected
    IMMEDIATE = "immediate"
    EARLY = "early"  # 183 at once, 200 when the bot says so


class OptionError(Exception):
    """An option cannot be taken as it was given."""

    def __init__(self, name: str, reason: str, *, sip_status: int = 400) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
        self.sip_status = sip_status


def _url(text: str) -> str:
    if not re.match(r"wss?://[^/?#\s]", text, re.I):
        raise ValueError("not a ws:// or wss:// URL")
    if re.search(r"[\x00-\x20\x7f]", text) or "#" in text:
        raise ValueError("a URL has no spaces, control characters or fragment")
    parse_bot_uri(text)
    return text


def _rate(text: str) -> int:
    match = re.fullmatch(r"(\d{1,5})(k?)", text.strip(), re.I)
    rate = int(match[1]) * (1000 if match[2] else 1) if match else 0
    if rate not in range(8000, 48001, 8000):
        raise ValueError("not a multiple of 8000 Hz up to 48000, such as 16k or 16000")
    return rate


def _buffer_size(text: str) -> int:
    size = _whole_number(text)
    if not FRAME_MS <= size <= 1000:
        raise ValueError(f"not {FRAME_MS} to 1000 ms")
    return size if size % FRAME_MS == 0 else FRAME_MS


def _preroll(text: str) -> int:
    size = _whole_number(text)
    if size > 1000:
        raise ValueError("more than 1000 ms")
    return size


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise ValueError("not a whole number")
    return int(text)


def _metadata(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not UTF-8 text") from None
    return text


def _extra_headers(text: str) -> dict[str, str]:
    try:
        headers = msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise ValueError("not a JSON object of strings") from None
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise ValueError(f"{name!r} is no valid HTTP header")
        if _HANDSHAKE_HEADERS.fullmatch(name):
            raise ValueError(f"{name!r} belongs to the handshake itself")
    return headers


def _one_of(kind: type[_E]) -> Callable[[str], _E]:
    def parse(text: str) -> _E:
        try:
            return kind(text.strip().lower())
        except ValueError:
            raise ValueError(f"not one of {', '.join(member.value for member in kind)}") from None

    return parse


_mix = _one_of(MixMode)
_answer = _one_of(AnswerMode)


def _option(parse: Callable[[str], Any], **default: Any) -> Any:
    return field(metadata={"parse": parse}, **default)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How one call is streamed."""

    url: str = _option(_url)
    mix: MixMode = _option(_mix, default=MixMode.MONO)
    rate: int = _option(_rate, default=8000)  # Hz
    sample_rate: int | None = _option(_rate, default=None)  # Hz, of the bot's audio; None: as `rate`
    metadata: str | None = _option(_metadata, default=None)
    buffer_size: int = _option(_buffer_size, default=FRAME_MS)  # ms
    extra_headers: dict[str, str] = _option(_extra_headers, default_factory=dict)
    answer: AnswerMode = _option(_answer, default=AnswerMode.CONNECTED)
    preroll: int = _option(_preroll, default=60)  # ms

    @property
    def playback_rate(self) -> int:
        """The rate of the bot's audio, in Hz."""
        return self.sample_rate or self.rate


_PARSERS: Mapping[str, Callable[[str], Any]] = {each.name: each.metadata["parse"] for each in fields(StreamOptions)}


@dataclass(frozen=True, slots=True)
class Profile:
    """Options by name, as text, and those of them that a call may not set."""

    options: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()


def options_from_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Pick the options out of a request's headers: `X-STREAM_NAME`, in any case, `-` and `_` the same."""
    found = {}
    for header, value in headers:
        name = header.lower().replace("-", "_")
        if name.startswith(_HEADER_PREFIX) and value:  # FreeSWITCH sends empty headers for variables that are empty
            found[name.removeprefix(_HEADER_PREFIX)] = value
    return found


def resolve_options(given: Mapping[str, str], profiles: Sequence[Profile]) -> tuple[StreamOptions, list[str]]:
    """Return the options of a call and warnings: what the call gave goes first, then the profiles in their order.

    Raise `OptionError` for a value that is not valid, for one that is locked (403), and for a missing URL.
    """
    for name in given:
        if any(name in profile.locked for profile in profiles):
            raise OptionError(name, "locked by the profile", sip_status=403)
    merged: dict[str, str] = {}
    for layer in (*(profile.options for profile in reversed(profiles)), given):
        merged.update(layer)
    values, warnings = {}, []
    for name, text in merged.items():
        parse = _PARSERS.get(name)
        if parse is None:
            warnings.append(f"{name}: {'not supported yet' if name in _LATER else 'no such option'}, ignored")
            continue
        try:
            values[name] = parse(text)
        except ValueError as error:
            raise OptionError(name, str(error)) from None
    if "url" not in values:
        raise OptionError("url", "missing")
    if int(merged.get("buffer_size", FRAME_MS)) % FRAME_MS:
        warnings.append(f"buffer_size: not a multiple of {FRAME_MS} ms, {FRAME_MS} is used")
    return StreamOptions(**values), warnings
