from __future__ import annotations

import re
from dataclasses import dataclass

from .error import SdpError

_RTPMAP = re.compile(r"([^\s/]+)/([0-9]{1,9})(?:/([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Codec:
    """An RTP payload format: the value of `a=rtpmap`, and ours of `a=fmtp`. See RFC 8866, section 6.6."""

    encoding: str
    clock_rate: int  # of the RTP timestamp: 8000 for G722, though its samples are 16000 a second
    channels: int = 1
    fmtp: str | None = None

    @classmethod
    def parse(cls, text: str) -> Codec:
        """Parse `encoding/clock rate[/channels]`."""
        match = _RTPMAP.fullmatch(text.strip())
        if match is None or not int(match[2]):
            raise SdpError("rtpmap is malformed")
        return cls(match[1], int(match[2]), int(match[3] or 1))

    def matches(self, other: Codec) -> bool:
        """Tell whether both name the same format; the case of names does not count."""
        return (
            self.encoding.lower() == other.encoding.lower()
            and self.clock_rate == other.clock_rate
            and self.channels == other.channels
        )

    def __str__(self) -> str:
        channels = "" if self.channels == 1 else f"/{self.channels}"
        return f"{self.encoding}/{self.clock_rate}{channels}"


PCMU = Codec("PCMU", 8000)
PCMA = Codec("PCMA", 8000)
G722 = Codec("G722", 8000)
COMFORT_NOISE = Codec("CN", 8000)

STATIC_PAYLOAD_TYPES = {0: PCMU, 8: PCMA, 9: G722, 13: COMFORT_NOISE}  # RFC 3551, section 6
