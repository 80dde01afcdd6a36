"""How the text of an option becomes its value; a parser raises ValueError that says what is wrong with the text."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import msgspec

from rtp import FRAME_MS
from sidecar.core.authorization import check_auth
from sidecar.core.bot_uri import parse_bot_uri

_E = TypeVar("_E", bound=Enum)

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HANDSHAKE_HEADERS = re.compile(r"host|upgrade|connection|content-length|transfer-encoding|sec-websocket-.*", re.I)
_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_LONGEST_NAME = 128


def url(text: str) -> str:
    """Take the URL of a bot as it is."""
    if not re.match(r"wss?://[^/?#\s]", text, re.I):
        raise ValueError("not a ws:// or wss:// URL")
    if re.search(r"[\x00-\x20\x7f]", text) or "#" in text:
        raise ValueError("a URL has no spaces, control characters or fragment")
    parse_bot_uri(text)
    return text


def rate(text: str) -> int:
    """Read a sample rate; return Hz."""
    match = re.fullmatch(r"(\d{1,5})(k?)", text.strip(), re.I)
    hz = int(match[1]) * (1000 if match[2] else 1) if match else 0
    if not is_rate(hz):
        raise ValueError("not a multiple of 8000 Hz up to 48000, such as 16k or 16000")
    return hz


def is_rate(hz: float) -> bool:
    """Return whether bots may have audio at this rate."""
    return hz in range(8000, 48001, 8000)


def buffer_size(text: str) -> int:
    """Read milliseconds; what is no multiple of a frame becomes one frame."""
    size = whole_number(text)
    if not FRAME_MS <= size <= 1000:
        raise ValueError(f"not {FRAME_MS} to 1000 ms")
    return size if size % FRAME_MS == 0 else FRAME_MS


def number(least: int, most: int, unit: str) -> Callable[[str], int]:
    """Make a parser of whole numbers within bounds."""

    def parse(text: str) -> int:
        value = whole_number(text)
        if not least <= value <= most:
            raise ValueError(f"not {least} to {most} {unit}")
        return value

    return parse


def whole_number(text: str) -> int:
    """Read a whole number of up to nine digits."""
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise ValueError("not a whole number")
    return int(text)


def switch(text: str) -> bool:
    """Read true or false, as FreeSWITCH spells them too."""
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError:
        raise ValueError("not true or false") from None


def utf_8(text: str) -> str:
    """Take text that can be sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not UTF-8 text") from None
    return text


def name(text: str) -> str:
    """Take a name that can stand in logs and headers."""
    if not re.fullmatch(r"[!-~]+", text.strip()) or len(text.strip()) > _LONGEST_NAME:
        raise ValueError(f"not 1 to {_LONGEST_NAME} printable ASCII characters")
    return text.strip()


def stream_id(text: str) -> str:
    """Take a name that can stand in a path of HTTP as well."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*", text.strip()) or len(text.strip()) > _LONGEST_NAME:
        raise ValueError(f"not 1 to {_LONGEST_NAME} letters, digits and .-_:@+, a letter or digit first")
    return text.strip()


def extra_headers(text: str) -> dict[str, str]:
    """Read a JSON object of header names and values."""
    try:
        headers = msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise ValueError("not a JSON object of strings") from None
    for header, value in headers.items():
        if not _HEADER_NAME.fullmatch(header) or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise ValueError(f"{header!r} is no valid HTTP header")
        if _HANDSHAKE_HEADERS.fullmatch(header):
            raise ValueError(f"{header!r} belongs to the handshake itself")
    return headers


def auth(text: str) -> str:
    """Take what becomes the Authorization header, as it is (`sidecar.core.authorization`)."""
    check_auth(text)
    return text


def path(text: str) -> str:
    """Take the absolute path of a file."""
    if not text.startswith("/") or "\0" in text:
        raise ValueError("not an absolute path")
    return utf_8(text)


def ca_file(text: str) -> str:
    """Take SYSTEM, NONE or a path."""
    word = text.strip().upper()
    if word in ("SYSTEM", "NONE"):
        return word
    if not text.startswith("/"):
        raise ValueError("not SYSTEM, NONE or an absolute path")
    return path(text)


def one_of(kind: type[_E]) -> Callable[[str], _E]:
    """Make a parser of the values of an enum, in any case."""

    def parse(text: str) -> _E:
        try:
            return kind(text.strip().lower())
        except ValueError:
            raise ValueError(f"not one of {', '.join(member.value for member in kind)}") from None

    return parse


def some_of(kind: type[_E]) -> Callable[[str], frozenset[_E]]:
    """Make a parser of comma lists of the values of an enum; `all` and `none` are lists too."""
    one = one_of(kind)

    def parse(text: str) -> frozenset[_E]:
        word = text.strip().lower()
        if word in ("all", "none"):
            return frozenset(kind if word == "all" else ())
        try:
            return frozenset(one(each) for each in text.split(","))
        except ValueError:
            names = ", ".join(member.value for member in kind)
            raise ValueError(f"not a comma list of {names}, nor all or none") from None

    return parse
