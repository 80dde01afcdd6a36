"""The frames of the event socket: lines `Name: value`, an empty line, and a body as long as Content-Length says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from sidecar.core.freeswitch.errors import EventSocketError

MOST_HEAD = 64 << 10
MOST_BODY = 4 << 20
"""Bytes of a frame; a FreeSWITCH that sends more is not listened to any longer."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. Header names are in lower case."""

    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """What the frame is, such as `command/reply`."""
        return self.headers.get("content-type", "")


class Framer:
    """Cuts what was received into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._headers: dict[str, str] | None = None  # of the frame whose body is awaited
        self._missing = 0
        self._searched = 0

    def receive_data(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole; raise `EventSocketError` for what is none."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if self._headers is None and not self._read_head():
            return None
        assert self._headers is not None
        if len(self._buffer) < self._missing:
            return None
        frame = Frame(self._headers, bytes(self._buffer[: self._missing]))
        del self._buffer[: self._missing]
        self._headers = None
        return frame

    def _read_head(self) -> bool:
        while self._buffer.startswith(b"\n"):  # what may be left of the frame before
            del self._buffer[:1]
        end = self._buffer.find(b"\n\n", self._searched)
        if (len(self._buffer) if end < 0 else end) > MOST_HEAD:
            raise EventSocketError(f"a head of more than {MOST_HEAD} bytes")
        if end < 0:
            self._searched = max(0, len(self._buffer) - 1)
            return False
        self._headers = read_headers(self._buffer[:end])
        self._searched = 0
        del self._buffer[: end + 2]
        self._missing = _length(self._headers)
        return True


def read_headers(data: bytes | bytearray) -> dict[str, str]:
    """Read lines `Name: value`; of two of the same name the first counts, as for FreeSWITCH."""
    headers: dict[str, str] = {}
    for line in data.decode(errors="replace").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers


@dataclass(frozen=True, slots=True)
class EslEvent:
    """An event of FreeSWITCH. Header names are in lower case."""

    headers: Mapping[str, str]
    body: str = ""

    @property
    def name(self) -> str:
        """The name, such as BACKGROUND_JOB."""
        return self.headers.get("event-name", "")

    @classmethod
    def parse(cls, frame: Frame) -> EslEvent:
        """Read an event in `plain` or `json`; raise `EventSocketError` if it is none."""
        if frame.content_type == "text/event-json":
            return cls._from_json(frame.body)
        head, _, body = frame.body.partition(b"\n\n")
        headers = {name: unquote(value) for name, value in read_headers(head).items()}
        return cls(headers, body[: _length(headers)].decode(errors="replace"))

    @classmethod
    def _from_json(cls, text: bytes) -> EslEvent:
        try:
            members = msgspec.json.decode(text, type=dict[str, str | list[str]])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise EventSocketError("an event that is no JSON object") from None
        headers = {
            name.lower(): value if isinstance(value, str) else value[0] for name, value in members.items() if value
        }
        return cls(headers, headers.pop("_body", ""))


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= MOST_BODY):
        raise EventSocketError(f"a body of {text[:20]!r} bytes")
    return int(text)
