from __future__ import annotations

from dataclasses import dataclass

from .description import Description, Line
from .error import SdpError
from .media_description import MediaDescription

_MAX_MEDIA = 64


@dataclass(frozen=True, slots=True)
class SessionDescription(Description):
    """An SDP body: the lines before the first `m=`, and the media. See RFC 8866.

    Lines and attributes that nobody here knows stay where they are.
    """

    lines: tuple[Line, ...]
    media: tuple[MediaDescription, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> SessionDescription:
        """Parse a body; bare line feeds, trailing white space and empty lines are forgiven."""
        session: list[Line] = []
        media: list[tuple[str, list[Line]]] = []
        lines = session
        for text in data.decode("utf-8", "surrogateescape").split("\n"):
            text = text.rstrip(" \t\r\x00")
            if not text:
                continue
            if len(text) < 2 or text[1] != "=" or "\r" in text or "\x00" in text:
                raise SdpError("line is not type=value")
            kind, value = text[0], text[2:]
            if kind == "m":
                lines = []
                media.append((value, lines))
            else:
                lines.append((kind, value))
        if not session or session[0] != ("v", "0"):
            raise SdpError("does not begin with v=0")
        if len(media) > _MAX_MEDIA:
            raise SdpError("too many m= lines")
        return cls(tuple(session), tuple(MediaDescription.parse(value, tuple(lines)) for value, lines in media))

    def __bytes__(self) -> bytes:
        lines = "".join(f"{kind}={value}\r\n" for kind, value in self.lines)
        return (lines + "".join(map(str, self.media))).encode("utf-8", "surrogateescape")
