"""The payload of telephone-event packets, byte for byte."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import EventPayload, RtpError


def test_the_example_of_the_rfc() -> None:
    """RFC 4733, section 5: the end of digit 1, 7 dB below, 1760 units."""
    event = EventPayload(1, 1760, end=True, volume=7)
    assert bytes(event) == bytes.fromhex("018706e0")
    assert EventPayload.parse(bytes.fromhex("018706e0")) == event


def test_the_reserved_bit_and_further_events_are_ignored() -> None:
    assert EventPayload.parse(bytes.fromhex("0b4a0320 0c0a0320")) == EventPayload(11, 800, volume=10)


def test_three_bytes_are_no_event() -> None:
    with pytest.raises(RtpError, match="shorter than 4 bytes"):
        EventPayload.parse(b"\x01\x8a\x06")


@given(st.integers(0, 255), st.integers(0, 0xFFFF), st.booleans(), st.integers(0, 63))
def test_what_is_written_is_read(event: int, duration: int, end: bool, volume: int) -> None:
    payload = EventPayload(event, duration, end, volume)
    assert EventPayload.parse(bytes(payload)) == payload


@given(st.binary(max_size=8))
def test_parse_raises_nothing_but_rtp_error(data: bytes) -> None:
    with contextlib.suppress(RtpError):
        EventPayload.parse(data)
