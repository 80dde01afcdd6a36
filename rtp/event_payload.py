"""Digits as RTP carries them: the payload of a telephone-event packet."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rtp.errors import RtpError

DIGITS = "0123456789*#ABCD!"
"""The events we know, by their number; `!` is the flash of the hook. See RFC 4733, section 3.2."""

LONGEST_EVENT = 0xFFFF
"""Timestamp units that one event or segment can last."""

_PAYLOAD = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class EventPayload:
    """The payload of a telephone-event packet. See RFC 4733, section 2.3."""

    event: int
    duration: int  # timestamp units since the event or its segment began
    end: bool = False
    volume: int = 10  # dB below 0 dBm0

    @classmethod
    def parse(cls, payload: bytes) -> EventPayload:
        """Parse a payload; raise `RtpError` if it is too short. What follows the first event is ignored."""
        if len(payload) < _PAYLOAD.size:
            raise RtpError("telephone-event is shorter than 4 bytes")
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(event, duration, bool(flags & 0x80), flags & 0x3F)

    def __bytes__(self) -> bytes:
        return _PAYLOAD.pack(self.event, self.end << 7 | self.volume, self.duration)
