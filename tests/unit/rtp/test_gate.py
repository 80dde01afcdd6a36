"""Who is let in: encrypted calls, RTCP among the RTP, strangers."""

from __future__ import annotations

import pytest

from rtp import Codec, Gate, Leg, ReceiverReport, RtpPacket, SenderReport, Srtp, address_key, compound
from tests.support.rtp_sender import batch_of

HERE, THERE = address_key("192.0.2.1", 5000), address_key("192.0.2.2", 5000)
SUITE = "AES_CM_128_HMAC_SHA1_80"
PACKET = bytes(RtpPacket(0, 1, 160, 7, b"\xff" * 160))
REPORT = compound([ReceiverReport(7)])


def srtp(key: bytes = b"A" * 30) -> Srtp:
    return Srtp(send_suite=SUITE, send_key=key, receive_suite=SUITE, receive_key=key)


def leg(destination: int | None = HERE, *, keys: Srtp | None = None) -> Leg:
    return Leg(Codec.PCMU, 0, 0, destination, srtp=keys)


def admitted(gate: Gate, *datagrams: bytes, source: int = HERE) -> list[bytes]:
    data, lengths, sources = batch_of([(each, source) for each in datagrams])
    data, lengths, _ = gate.admit(data, lengths, sources, gate.find(sources), now=0.0)
    return [row[:length].tobytes() for row, length in zip(data, lengths.tolist(), strict=True)]


def test_encrypted_calls_are_opened_and_others_pass() -> None:
    gate = Gate()
    assert gate.open(0, leg(keys=srtp()))
    assert gate.open(1, leg(THERE))
    assert admitted(gate, srtp().protect(PACKET)) == [PACKET]
    assert admitted(gate, PACKET, source=THERE) == [PACKET]
    assert gate.srtp(0) is not None
    assert gate.srtp(1) is None


def test_what_is_not_encrypted_with_the_key_is_dropped_and_counted() -> None:
    gate = Gate()
    gate.open(0, leg(keys=srtp()))
    genuine = srtp().protect(PACKET)
    assert admitted(gate, PACKET, srtp(b"B" * 30).protect(PACKET), genuine, genuine) == [PACKET]
    assert gate.counters.unauthentic == 3


def test_across_a_change_of_keys_the_former_are_understood_until_the_new_ones_are_used() -> None:
    gate = Gate()
    old, new, packets = srtp(), srtp(b"B" * 30), [bytes(RtpPacket(0, number, 0, 7, b"x")) for number in range(9)]
    gate.open(0, leg(keys=srtp()))
    gate.change(0, leg(keys=srtp(b"B" * 30)), now=0.0)
    assert admitted(gate, old.protect(packets[1])) == [packets[1]]
    assert admitted(gate, new.protect(packets[2])) == [packets[2]]
    assert admitted(gate, old.protect(packets[3])) == []


def test_the_same_keys_go_on_and_none_are_none() -> None:
    gate, keys = Gate(), srtp()
    gate.open(0, leg(keys=keys))
    gate.change(0, leg(keys=keys), now=0.0)
    assert gate.srtp(0) is keys
    gate.change(0, leg(), now=0.0)
    assert admitted(gate, PACKET) == [PACKET]


@pytest.mark.parametrize("secure", [False, True])
def test_rtcp_among_the_rtp_goes_its_own_way(secure: bool) -> None:
    gate, theirs = Gate(), srtp()
    gate.open(0, leg(keys=srtp() if secure else None))
    report = compound([SenderReport(7, 0, 0, 0, 0)])
    datagrams = [theirs.protect(PACKET), theirs.protect_rtcp(report)] if secure else [PACKET, report]
    assert admitted(gate, *datagrams) == [PACKET]
    assert gate.take_reports() == [(0, report)]
    assert gate.take_reports() == []


def test_reports_are_bounded_and_forgotten_with_their_call() -> None:
    gate = Gate()
    gate.open(0, leg())
    assert admitted(gate, *[REPORT] * 1001) == []
    assert gate.counters.flooded == 1
    gate.close(0)
    assert gate.take_reports() == []


def test_strangers_are_remembered() -> None:
    gate = Gate()
    assert admitted(gate, *[PACKET] * 20, source=THERE) == []
    assert gate.counters.unknown_source == 20
    assert gate.unknown_sources.likeliest("192.0.2.1", now=0.0) == ("192.0.2.2", 5000)
