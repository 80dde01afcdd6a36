"""What goes out in place of audio, or encrypted."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from rtp import PACKET_BYTES, Codec, EventPayload, Frames, Leg, MediaPlane, RtpPacket, Srtp, address_key

HERE = address_key("192.0.2.1", 5000)
KEY = b"A" * 30
SUITE = "AES_CM_128_HMAC_SHA1_80"


def leg(codec: Codec = Codec.PCMU, *, ptime_ms: int = 20, events: int | None = 101, srtp: Srtp | None = None) -> Leg:
    return Leg(codec, 0, 0, HERE, ptime_ms=ptime_ms, send_telephone_event_payload_type=events, srtp=srtp)


def opened(first: Leg) -> MediaPlane:
    plane = MediaPlane(1, Random(1))
    assert plane.open(first) == 0
    return plane


def sent(plane: MediaPlane) -> list[bytes]:
    packets, lengths = np.zeros((4, PACKET_BYTES), np.uint8), np.zeros(4, np.uint64)
    frame = np.zeros((1, plane.codec(0).frame_samples), np.int16)
    count = plane.send(Frames(np.array([0]), frame), packets, lengths, np.zeros(4, np.uint64))
    return [packets[at, : int(lengths[at])].tobytes() for at in range(count)]


def parsed(plane: MediaPlane, frames: int) -> list[RtpPacket]:
    return [RtpPacket.parse(data) for _ in range(frames) for data in sent(plane)]


@pytest.mark.parametrize(("codec", "ptime_ms"), [(Codec.PCMU, 20), (Codec.PCMU, 60), (Codec.L16_16K, 20)])
def test_a_digit_takes_the_place_of_audio_and_time_goes_on(codec: Codec, ptime_ms: int) -> None:
    plane = opened(leg(codec, ptime_ms=ptime_ms))
    parsed(plane, 4)
    before = plane.sending.sent(0)
    waiting = 4 * 20 % ptime_ms * codec.clock_rate // 1000  # not sent when the digit began
    assert plane.sending.dial(0, "5", duration_ms=40)
    packets = parsed(plane, 12)
    events = [packet for packet in packets if packet.payload_type == 101]
    assert [EventPayload.parse(each.payload).end for each in events] == [False, True, True, True]
    assert {each.timestamp for each in events} == {(before.timestamp + waiting) % (1 << 32)}
    assert [each.marker for each in events] == [True, False, False, False]
    assert [each.sequence_number for each in packets] == [
        (packets[0].sequence_number + number) % (1 << 16) for number in range(len(packets))
    ]
    audio = packets[4]
    assert audio.timestamp == (before.timestamp + waiting + 4 * codec.frame_ticks) % (1 << 32)
    assert plane.sending.sent(0).octets == before.octets + sum(len(each.payload) for each in packets)


def test_digits_that_cannot_be_sent_are_refused() -> None:
    plane = opened(leg(events=None))
    assert not plane.sending.dial(0, "5", duration_ms=40)
    plane.change(0, leg(), now=0.0)
    assert not plane.sending.dial(0, "5" * 101, duration_ms=40)
    assert plane.sending.dial(0, "", duration_ms=40)
    assert {each.payload_type for each in parsed(plane, 4)} == {0}


def test_digits_go_on_across_a_move_but_not_where_nobody_takes_them() -> None:
    plane = opened(leg())
    plane.sending.dial(0, "55", duration_ms=40)
    parsed(plane, 1)
    plane.change(0, leg(Codec.PCMA), now=0.0)
    assert {each.payload_type for each in parsed(plane, 3)} == {101}
    plane.change(0, leg(Codec.L16_16K), now=0.0)  # which counts time otherwise
    assert {each.payload_type for each in parsed(plane, 20)} == {0}
    plane.sending.dial(0, "5", duration_ms=40)
    plane.change(0, leg(Codec.L16_16K, events=None), now=0.0)
    assert {each.payload_type for each in parsed(plane, 20)} == {0}


def test_encrypted_packets_are_what_plain_ones_would_be() -> None:
    def srtp() -> Srtp:
        return Srtp(send_suite=SUITE, send_key=KEY, receive_suite=SUITE, receive_key=KEY)

    theirs, secure, plain = srtp(), opened(leg(srtp=srtp())), opened(leg())
    for plane in (secure, plain):
        plane.sending.dial(0, "1", duration_ms=60)
    for _ in range(20):
        assert [theirs.unprotect(data) for data in sent(secure)] == sent(plain)
