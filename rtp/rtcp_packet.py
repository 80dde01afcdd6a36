"""The packets of RTCP, one class each, and the compound packets that carry them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from rtp.errors import RtpError

_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_CUMULATIVE_MAX = (1 << 23) - 1
CNAME = 1


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP where both come to one port (RFC 5761, section 4): by the second byte."""
    return len(data) > 1 and 192 <= data[1] <= 223


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source is received. See RFC 3550, section 6.4.1."""

    ssrc: int
    fraction_lost: int  # of 256, since the report before
    cumulative_lost: int  # negative when more came, by duplicates, than were sent
    highest_sequence: int  # with the count of wraps in the upper 16 bits
    jitter: int  # timestamp units
    last_sr: int = 0  # middle 32 bits of the NTP time in the last sender report; 0: none came
    delay_since_last_sr: int = 0  # 1/65536 s

    def __bytes__(self) -> bytes:
        lost = min(max(self.cumulative_lost, -_CUMULATIVE_MAX - 1), _CUMULATIVE_MAX) & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        )

    @classmethod
    def parse_all(cls, data: bytes, count: int) -> tuple[ReportBlock, ...]:
        """Parse `count` blocks; what follows them is a profile's own and is ignored."""
        if len(data) < count * _BLOCK.size:
            raise RtpError("report blocks are truncated")
        blocks = []
        for start in range(0, count * _BLOCK.size, _BLOCK.size):
            ssrc, lost, highest, jitter, last_sr, delay = _BLOCK.unpack_from(data, start)
            cumulative = (lost & 0xFFFFFF ^ 0x800000) - 0x800000
            blocks.append(cls(ssrc, lost >> 24, cumulative, highest, jitter, last_sr, delay))
        return tuple(blocks)


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a source has sent, and how it receives. See RFC 3550, section 6.4.1."""

    ssrc: int
    ntp: int  # 64 bits: seconds since 1900, and their fraction
    timestamp: int  # of RTP, at the same moment
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()

    def __bytes__(self) -> bytes:
        sender = _SENDER.pack(self.ssrc, self.ntp, self.timestamp, self.packets, self.octets)
        return _packet(200, len(self.reports), sender + b"".join(map(bytes, self.reports)))

    @classmethod
    def parse(cls, body: bytes, count: int) -> SenderReport:
        """Parse what follows the header."""
        if len(body) < _SENDER.size:
            raise RtpError("sender report is truncated")
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        return cls(ssrc, ntp, timestamp, packets, octets, ReportBlock.parse_all(body[_SENDER.size :], count))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """How one that sends nothing receives. See RFC 3550, section 6.4.2."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    def __bytes__(self) -> bytes:
        return _packet(201, len(self.reports), self.ssrc.to_bytes(4) + b"".join(map(bytes, self.reports)))

    @classmethod
    def parse(cls, body: bytes, count: int) -> ReceiverReport:
        """Parse what follows the header."""
        if len(body) < 4:
            raise RtpError("receiver report is truncated")
        return cls(int.from_bytes(body[:4]), ReportBlock.parse_all(body[4:], count))


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Who a source is: items of type and text, most of all its CNAME. See RFC 3550, section 6.5."""

    ssrc: int
    items: tuple[tuple[int, str], ...]

    def __bytes__(self) -> bytes:
        encoded = ((kind, text.encode()[:255]) for kind, text in self.items)
        chunk = self.ssrc.to_bytes(4) + b"".join(bytes([kind, len(text)]) + text for kind, text in encoded)
        return _packet(202, 1, chunk + bytes(4 - len(chunk) % 4))  # at least one zero ends the list

    @classmethod
    def parse_all(cls, body: bytes, count: int) -> list[SourceDescription]:
        """Parse the chunks of one packet."""
        found, at = [], 0
        for _ in range(count):
            if len(body) < at + 4:
                raise RtpError("source description is truncated")
            ssrc, items = int.from_bytes(body[at : at + 4]), []
            at += 4
            while at < len(body) and body[at]:
                if len(body) < at + 2 or len(body) < at + 2 + body[at + 1]:
                    raise RtpError("source description is truncated")
                items.append((body[at], body[at + 2 : at + 2 + body[at + 1]].decode("utf-8", "replace")))
                at += 2 + body[at + 1]
            at += 4 - at % 4
            found.append(cls(ssrc, tuple(items)))
        return found


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Sources leave. See RFC 3550, section 6.6."""

    sources: tuple[int, ...]
    reason: str = ""

    def __bytes__(self) -> bytes:
        body = b"".join(ssrc.to_bytes(4) for ssrc in self.sources)
        if self.reason:
            text = self.reason.encode()[:255]
            body += bytes([len(text)]) + text
        return _packet(203, len(self.sources), body + bytes(-len(body) % 4))

    @classmethod
    def parse(cls, body: bytes, count: int) -> Goodbye:
        """Parse what follows the header."""
        if len(body) < 4 * count:
            raise RtpError("goodbye is truncated")
        rest = body[4 * count :]
        reason = rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else ""
        return cls(tuple(int.from_bytes(body[at : at + 4]) for at in range(0, 4 * count, 4)), reason)


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def compound(packets: Iterable[RtcpPacket]) -> bytes:
    """Join packets, the first a report, into one datagram (RFC 3550, section 6.1)."""
    return b"".join(map(bytes, packets))


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """Parse a datagram; packets of types unknown to us are left out.

    Raise `RtpError` if it does not begin with a report, or its lengths do not add up (RFC 3550, appendix A.2).
    """
    if len(data) < 8 or data[1] not in (200, 201):
        raise RtpError("compound packet does not begin with a report")
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        if len(data) < at + 4:
            raise RtpError("RTCP header is truncated")
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2:
            raise RtpError("version is not 2")
        if end > len(data):
            raise RtpError("RTCP packet is truncated")
        body = data[at + 4 : end]
        if first & 0x20:
            if end != len(data) or not body or not 0 < body[-1] <= len(body):
                raise RtpError("padding of RTCP is wrong")
            body = body[: -body[-1]]
        packets += _parse_one(kind, first & 0x1F, body)
        at = end
    return packets


def _parse_one(kind: int, count: int, body: bytes) -> list[RtcpPacket]:
    if kind == 200:
        return [SenderReport.parse(body, count)]
    if kind == 201:
        return [ReceiverReport.parse(body, count)]
    if kind == 202:
        return list(SourceDescription.parse_all(body, count))
    if kind == 203:
        return [Goodbye.parse(body, count)]
    return []
