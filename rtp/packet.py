"""The RTP data packet, one object each: the slow path and the tests use it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rtp.errors import RtpError

_HEADER = struct.Struct("!BBHII")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """An RTP data packet. See RFC 3550, section 5.1."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Parse one UDP payload; raise `RtpError` if it is not RTP version 2."""
        if len(data) < _HEADER.size:
            raise RtpError("shorter than the fixed header")
        first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != 2:
            raise RtpError("version is not 2")
        start = _HEADER.size + 4 * (first & 0x0F)
        if first & 0x10:
            if len(data) < start + 4:
                raise RtpError("header extension is truncated")
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
        padding = data[-1] if first & 0x20 else 0
        if first & 0x20 and padding == 0:
            raise RtpError("padding of zero bytes")
        end = len(data) - padding
        if start > end:
            raise RtpError("CSRC list, extension or padding overruns the packet")
        marker, payload_type = bool(second & 0x80), second & 0x7F
        return cls(payload_type, sequence_number, timestamp, ssrc, data[start:end], marker)

    def __bytes__(self) -> bytes:
        second = self.marker << 7 | self.payload_type
        return _HEADER.pack(0x80, second, self.sequence_number, self.timestamp, self.ssrc) + self.payload
