"""The RTP header, and all that may stand between it and the payload."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import RtpError, RtpPacket

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=400),
    marker=st.booleans(),
)


def with_extras(packet: RtpPacket, *, csrc: int = 0, extension: bytes | None = None, padding: int = 0) -> bytes:
    """Serialize a packet with CSRCs, a header extension (of a multiple of four bytes) and padding."""
    data = bytes(packet)
    first = 0x80 | csrc | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    middle = bytes(range(4 * csrc))
    if extension is not None:
        middle += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    tail = bytes(padding - 1) + bytes([padding]) if padding else b""
    return bytes([first]) + data[1:12] + middle + data[12:] + tail


@given(st.binary(max_size=2048))
def test_parse_raises_nothing_but_rtp_error(data: bytes) -> None:
    with contextlib.suppress(RtpError):
        RtpPacket.parse(data)


@given(st.integers(0, 0x3F), st.binary(min_size=11, max_size=64))
def test_parse_raises_nothing_but_rtp_error_for_version_2(bits: int, data: bytes) -> None:
    with contextlib.suppress(RtpError):
        assert len(RtpPacket.parse(bytes([0x80 | bits]) + data).payload) <= len(data) - 11


@given(packets)
def test_a_packet_survives_the_wire(packet: RtpPacket) -> None:
    assert RtpPacket.parse(bytes(packet)) == packet


@given(
    packets,
    st.integers(0, 15),
    st.none() | st.integers(0, 8).map(lambda words: bytes(range(4 * words))),
    st.integers(0, 255),
)
def test_csrcs_extension_and_padding_are_not_payload(
    packet: RtpPacket, csrc: int, extension: bytes | None, padding: int
) -> None:
    assert RtpPacket.parse(with_extras(packet, csrc=csrc, extension=extension, padding=padding)) == packet


@given(
    packets,
    st.integers(0, 15),
    st.none() | st.integers(0, 8).map(lambda words: bytes(4 * words)),
    st.integers(0, 255),
)
def test_aiortc_reads_the_same(packet: RtpPacket, csrc: int, extension: bytes | None, padding: int) -> None:
    from aiortc.rtp import RtpPacket as TheirPacket

    theirs = TheirPacket.parse(with_extras(packet, csrc=csrc, extension=extension, padding=padding))
    assert packet == RtpPacket(
        payload_type=theirs.payload_type,
        sequence_number=theirs.sequence_number,
        timestamp=theirs.timestamp,
        ssrc=theirs.ssrc,
        payload=theirs.payload,
        marker=bool(theirs.marker),
    )


@given(packets)
def test_aiortc_writes_the_same(packet: RtpPacket) -> None:
    from aiortc.rtp import RtpPacket as TheirPacket

    theirs = TheirPacket(
        payload_type=packet.payload_type,
        marker=int(packet.marker),
        sequence_number=packet.sequence_number,
        timestamp=packet.timestamp,
        ssrc=packet.ssrc,
        payload=packet.payload,
    )
    assert theirs.serialize() == bytes(packet)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter than the fixed header"),
        (b"\x80" + bytes(10), "shorter than the fixed header"),
        (b"\x40" + bytes(11), "version is not 2"),
        (b"\xc0" + bytes(11), "version is not 2"),
        (b"\x90" + bytes(11), "header extension is truncated"),
        (b"\x90" + bytes(14), "header extension is truncated"),
        (b"\x90" + bytes(11) + b"\0\0\0\1", "overruns"),
        (b"\x81" + bytes(11) + b"\0\0\0", "overruns"),
        (b"\xa0" + bytes(11) + b"\0\0", "padding of zero bytes"),
        (b"\xa0" + bytes(11) + b"\0\0\4", "overruns"),
    ],
)
def test_what_is_not_rtp_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(RtpError, match=why):
        RtpPacket.parse(data)


def test_a_packet_may_consist_of_padding_alone() -> None:
    assert RtpPacket.parse(b"\xa0" + bytes(11) + b"\0\0\3").payload == b""
