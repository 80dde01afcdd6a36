"""RTCP packets, byte for byte, and against another implementation."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    RtpError,
    SenderReport,
    SourceDescription,
    compound,
    is_rtcp,
    parse_compound,
)

WORDS = st.integers(0, (1 << 32) - 1)
BLOCKS = st.builds(
    ReportBlock, WORDS, st.integers(0, 255), st.integers(-(1 << 23), (1 << 23) - 1), WORDS, WORDS, WORDS, WORDS
)
REPORTS = st.lists(BLOCKS, max_size=31).map(tuple)
SENDERS = st.builds(SenderReport, WORDS, st.integers(0, (1 << 64) - 1), WORDS, WORDS, WORDS, REPORTS)
RECEIVERS = st.builds(ReceiverReport, WORDS, REPORTS)
ITEMS = st.tuples(st.integers(1, 255), st.text(max_size=40))
DESCRIPTIONS = st.builds(SourceDescription, WORDS, st.lists(ITEMS, max_size=4).map(tuple))
GOODBYES = st.builds(Goodbye, st.lists(WORDS, max_size=31).map(tuple), st.text(max_size=60))
EMPTY = ReceiverReport(7)


@given(st.one_of(SENDERS, RECEIVERS), st.lists(st.one_of(SENDERS, RECEIVERS, DESCRIPTIONS, GOODBYES), max_size=4))
def test_what_is_written_is_read(first: RtcpPacket, others: list[RtcpPacket]) -> None:
    data = compound([first, *others])
    assert len(data) % 4 == 0
    assert is_rtcp(data)
    assert parse_compound(data) == [first, *others]


@given(st.binary(max_size=200))
def test_parse_raises_nothing_but_rtp_error(data: bytes) -> None:
    with contextlib.suppress(RtpError):
        parse_compound(data)
    with contextlib.suppress(RtpError):
        parse_compound(b"\x80\xc9\x00\x01AAAA" + data)


@given(st.one_of(SENDERS, RECEIVERS), st.one_of(DESCRIPTIONS, GOODBYES), st.data())
def test_a_bit_that_flips_raises_nothing_but_rtp_error(
    first: RtcpPacket, other: RtcpPacket, data: st.DataObject
) -> None:
    damaged = bytearray(compound([first, other]))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(RtpError):
        parse_compound(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


def test_aiortc_reads_the_same() -> None:
    from aiortc.rtp import RtcpByePacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket
    from aiortc.rtp import RtcpPacket as Theirs

    block = ReportBlock(2, 64, -5, 0x10003, 42, 0x12345678, 65536)
    data = compound(
        [SenderReport(1, 1 << 63, 800, 5, 800, (block,)), EMPTY, SourceDescription(1, ((1, "a@b"),)), Goodbye((1,))]
    )
    sender, receiver, description, goodbye = Theirs.parse(data)
    assert isinstance(sender, RtcpSrPacket)
    assert (sender.ssrc, sender.sender_info.ntp_timestamp, sender.sender_info.rtp_timestamp) == (1, 1 << 63, 800)
    assert (sender.sender_info.packet_count, sender.sender_info.octet_count) == (5, 800)
    (report,) = sender.reports
    assert (report.ssrc, report.fraction_lost, report.packets_lost) == (2, 64, -5)
    assert (report.highest_sequence, report.jitter, report.lsr, report.dlsr) == (0x10003, 42, 0x12345678, 65536)
    assert isinstance(receiver, RtcpRrPacket)
    assert isinstance(description, RtcpSdesPacket)
    assert description.chunks[0].items == [(1, b"a@b")]
    assert isinstance(goodbye, RtcpByePacket)
    assert goodbye.sources == [1]
    assert b"".join(bytes(each) for each in (sender, receiver, description, goodbye)) == data


def test_a_cumulative_loss_stays_within_24_bits() -> None:
    for lost, written in ((1 << 30, (1 << 23) - 1), (-(1 << 30), -(1 << 23))):
        (report,) = parse_compound(bytes(ReceiverReport(1, (ReportBlock(2, 0, lost, 0, 0),))))
        assert isinstance(report, ReceiverReport)
        assert report.reports[0].cumulative_lost == written


def test_several_sources_in_one_description() -> None:
    """Each chunk ends with zeros up to a word, at least one of them."""
    chunks = b"\0\0\0\1\1\2ab\0\0\0\0\0\0\0\2\1\1c\0"
    data = bytes(EMPTY) + struct.pack("!BBH", 0x82, 202, len(chunks) // 4) + chunks
    assert parse_compound(data)[1:] == [SourceDescription(1, ((1, "ab"),)), SourceDescription(2, ((1, "c"),))]


def test_packets_of_other_types_are_left_out() -> None:
    assert parse_compound(bytes(EMPTY) + bytes.fromhex("81cc0002 00000001 41414141")) == [EMPTY]


def test_extensions_of_a_report_are_ignored() -> None:
    assert parse_compound(bytes.fromhex("80c90002 00000007 deadbeef")) == [EMPTY]


def test_padding_is_taken_off_the_last_packet() -> None:
    padded = bytes.fromhex("a0c90002 00000007 00000004")
    assert parse_compound(padded) == [EMPTY]
    assert parse_compound(bytes(EMPTY) + padded) == [EMPTY, EMPTY]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "does not begin with a report"),
        ("80ca0001 00000007", "does not begin with a report"),
        ("80c90001 00000007 80", "header is truncated"),
        ("40c90001 00000007", "version is not 2"),
        ("80c90002 00000007", "RTCP packet is truncated"),
        ("80c90000 80c90000", "receiver report is truncated"),
        ("81c90001 00000007", "report blocks are truncated"),
        ("80c80001 00000007", "sender report is truncated"),
        ("80c90001 00000007 81ca0000", "source description is truncated"),
        ("80c90001 00000007 81ca0002 00000007 01ff4141", "source description is truncated"),
        ("80c90001 00000007 81ca0002 00000007 01014101", "source description is truncated"),
        ("80c90001 00000007 82cb0001 00000007", "goodbye is truncated"),
        ("a0c90002 00000007 00000004 80c90001 00000007", "padding of RTCP is wrong"),
        ("a0c90002 00000007 00000000", "padding of RTCP is wrong"),
        ("a0c90002 00000007 00000009", "padding of RTCP is wrong"),
        ("80c90001 00000007 a0cc0000", "padding of RTCP is wrong"),
    ],
)
def test_what_does_not_add_up_is_refused(data: str, why: str) -> None:
    with pytest.raises(RtpError, match=why):
        parse_compound(bytes.fromhex(data))


def test_rtp_and_rtcp_on_one_port_are_told_apart() -> None:
    """RFC 5761, section 4: RTP with marker and payload types 64 to 95 would look like RTCP; nobody uses them."""
    assert is_rtcp(bytes.fromhex("80c80006"))
    assert is_rtcp(bytes.fromhex("81cc0002"))
    for payload_type in (0, 8, 9, 13, 96, 101, 127):
        assert not is_rtcp(bytes([0x80, payload_type]))
        assert not is_rtcp(bytes([0x80, 0x80 | payload_type]))
    assert not is_rtcp(b"\x80")
