"""The address of one behind a translator."""

from __future__ import annotations

import pytest

from rtp import LearnedAddress, RtpPacket

HERE, THERE = ("192.0.2.1", 5000), ("192.0.2.1", 5002)
PACKET = bytes(RtpPacket(0, 1, 160, 7, b"\xff" * 160))


def test_the_first_packet_is_believed_and_nobody_else_from_then_on() -> None:
    learned = LearnedAddress([0, 101])
    assert learned.address is None
    assert learned.accepts(PACKET, HERE)
    assert learned.address == HERE
    assert not learned.accepts(PACKET, THERE)
    assert learned.accepts(b"whatever", HERE)


@pytest.mark.parametrize(
    "data", [b"", PACKET[:11], b"\x40" + PACKET[1:], bytes(RtpPacket(8, 1, 160, 7, b"\xff" * 160))]
)
def test_what_was_not_agreed_on_teaches_nothing(data: bytes) -> None:
    learned = LearnedAddress([0])
    assert not learned.accepts(data, HERE)
    assert learned.address is None


def test_who_has_to_prove_it_is_heard_and_believed_later() -> None:
    learned = LearnedAddress([0], needs_proof=True)
    assert learned.accepts(PACKET, THERE)
    assert learned.accepts(PACKET, HERE)
    assert learned.address is None
    learned.learn(HERE)
    assert learned.accepts(PACKET, HERE)
    assert not learned.accepts(PACKET, THERE)
