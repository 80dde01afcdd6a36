"""Encrypted calls beside others: each is heard as if nobody was encrypted, and nothing unopened is heard at all."""

from __future__ import annotations

from functools import cache
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rtp import Codec, Leg, MediaPlane, RtpPacket, Srtp, address_key
from tests.support.rtp_sender import PLAIN, RtpSender, batch_of

HERE, THERE = address_key("192.0.2.1", 5000), address_key("192.0.2.2", 5000)
SUITE = "AES_CM_128_HMAC_SHA1_80"
KINDS = (PLAIN, "lose", "hold back", "release", "repeat", "marked", "short", "long")


def srtp(key: bytes = b"A" * 30) -> Srtp:
    return Srtp(send_suite=SUITE, send_key=key, receive_suite=SUITE, receive_key=key)


def leg(destination: int, keys: Srtp | None) -> Leg:
    return Leg(Codec.PCMU, 0, 0, destination, srtp=keys)


def plane_of(*legs: Leg) -> MediaPlane:
    plane = MediaPlane(3, Random(1))
    assert [plane.open(each) for each in legs] == list(range(len(legs)))
    return plane


def heard(plane: MediaPlane, datagrams: list[tuple[bytes, int]], *, now: float) -> dict[int, bytes]:
    """Return what each row is given; a batch, and what has been missing for too long."""
    audio = dict.fromkeys((0, 1), b"")
    for source in (plane.receive(*batch_of(datagrams), now=now), plane.handle_timeout(now=now)):
        for rows, pcm in source:
            for row, samples in zip(rows.tolist(), pcm, strict=True):
                audio[row] += samples.tobytes()
    return audio


def packet(number: int) -> bytes:
    return bytes(RtpPacket(0, number, 160 * number, 7, bytes([number]) * 160))


def test_the_very_packet_that_is_expected_is_not_heard_if_it_is_not_encrypted() -> None:
    plane, theirs = plane_of(leg(HERE, srtp()), leg(THERE, None)), srtp()
    for number in range(3):
        datagrams = [(theirs.protect(packet(number)), HERE), (packet(number), THERE)]
        assert all(heard(plane, datagrams, now=number / 50).values())
    forged = heard(plane, [(packet(3), HERE), (packet(3), THERE)], now=0.06)
    assert (forged[0], bool(forged[1])) == (b"", True)
    assert plane.gate.counters.unauthentic == 1
    genuine = heard(plane, [(theirs.protect(packet(3)), HERE), (packet(4), THERE)], now=0.08)
    assert genuine[0] == forged[1]


def test_a_row_is_no_longer_encrypted_when_its_next_call_is_not() -> None:
    plane = plane_of(leg(HERE, srtp()), leg(THERE, srtp()))
    plane.close(0)
    assert plane.open(leg(HERE, None)) == 0
    for number in range(3):
        assert heard(plane, [(packet(number), HERE)], now=number / 50)[0]


@given(st.lists(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(KINDS)), max_size=5), max_size=20))
def test_both_hear_what_they_would_hear_if_neither_was_encrypted(batches: list[list[tuple[int, str]]]) -> None:
    random, protect = Random(1), cache(srtp().protect)  # what is repeated is not encrypted anew
    senders = [RtpSender(random, payload_type=0) for _ in range(2)]
    clear, mixed = plane_of(leg(HERE, None), leg(THERE, None)), plane_of(leg(HERE, srtp()), leg(THERE, None))
    for turn, actions in enumerate(batches):
        datagrams = [(data, (HERE, THERE)[call]) for call, kind in actions for data in senders[call].act(kind)]
        protected = [(protect(data) if source == HERE else data, source) for data, source in datagrams]
        now = turn / 50
        assert heard(mixed, protected, now=now) == heard(clear, datagrams, now=now)
