"""A telephone's audio in virtual time: what it says and when, and what it keeps of what it hears."""

from __future__ import annotations

from random import Random

import numpy as np

from rtp import Codec, RtpPacket
from rtp.g711 import decode_one, encode_one
from sidecar.core.talker import Line, Talker
from tests.support.tones import Pcm, find_tone, make_tone

REMOTE = ("127.0.0.1", 40000)
LINE = Line(REMOTE, Codec.PCMU, payload_type=0, receive_payload_type=0)
FRAME = 160


def tone(frames: int) -> Pcm:
    return make_tone(437.0, level_dbfs=-12.0, seconds=frames / 50, rate=8000)


def run(talker: Talker, *, until: float) -> list[tuple[float, RtpPacket]]:
    """Call the talker exactly when it asks to be called; return what it sent, and when."""
    sent = []
    while (at := talker.next_timeout()) is not None and at <= until:
        talker.handle_timeout(now=at)
        for data, addr in talker.datagrams_to_send():
            assert addr == REMOTE
            sent.append((at, RtpPacket.parse(data)))
    return sent


def echo(talker: Talker, packet: RtpPacket, *, at: float) -> None:
    talker.receive_datagram(bytes(packet), REMOTE, now=at)


def test_it_says_a_frame_every_20_ms_and_ends_20_ms_after_the_last() -> None:
    talker = Talker(tone(5), frames=8, random=Random(1))
    talker.handle_timeout(now=9.0)
    assert talker.next_timeout() is None, "it waits for the line"
    talker.start(LINE, now=10.0)
    sent = run(talker, until=10.145)
    np.testing.assert_allclose([at for at, _ in sent], 10.0 + 0.02 * np.arange(8))
    assert talker.next_event() is None
    assert run(talker, until=11.0) == []
    assert talker.next_event() is not None
    assert talker.next_event() is None
    assert talker.next_timeout() is None
    talker.handle_timeout(now=12.0)
    assert talker.datagrams_to_send() == []


def test_its_packets_are_one_stream_with_the_signal_and_then_silence() -> None:
    talker = Talker(tone(5), frames=8, random=Random(1))
    talker.start(LINE, now=0.0)
    packets = [packet for _, packet in run(talker, until=1.0)]
    first = packets[0]
    assert [packet.marker for packet in packets] == [True] + 7 * [False]
    assert {packet.ssrc for packet in packets} == {first.ssrc}
    for index, packet in enumerate(packets):
        assert packet.sequence_number == (first.sequence_number + index) % (1 << 16)
        assert packet.timestamp == (first.timestamp + index * FRAME) % (1 << 32)
    said = np.concatenate([decode_one(packet.payload, Codec.PCMU) for packet in packets])
    assert abs(find_tone(said[: 5 * FRAME], 8000).frequency_hz - 437.0) < 1.0
    assert not said[5 * FRAME :].any()


def test_after_a_stall_it_catches_up_a_little_and_skips_the_rest_of_the_time() -> None:
    talker = Talker(tone(50), frames=50, random=Random(1))
    talker.start(LINE, now=0.0)
    before = run(talker, until=0.0)
    talker.handle_timeout(now=0.4)  # 20 frames are due
    late = [RtpPacket.parse(data) for data, _ in talker.datagrams_to_send()]
    assert len(late) == 5
    assert (late[-1].timestamp - before[0][1].timestamp) % (1 << 32) == 20 * FRAME
    assert (late[-1].sequence_number - before[0][1].sequence_number) % (1 << 16) == 5
    recording = talker.recording()
    assert recording.frames_skipped == 15
    assert talker.frames_sent == 6
    np.testing.assert_array_equal(recording.sent[FRAME : 2 * FRAME], tone(50)[16 * FRAME : 17 * FRAME])


def test_what_comes_back_is_kept_in_order_with_the_time_of_its_arrival() -> None:
    talker = Talker(tone(4), frames=4, random=Random(2))
    talker.start(LINE, now=0.0)
    sent = run(talker, until=1.0)
    for place, at in ((0, 0.10), (2, 0.12), (1, 0.13), (3, 0.16)):
        echo(talker, sent[place][1], at=at)
    recording = talker.recording()
    np.testing.assert_allclose(recording.heard_at, [0.10, 0.13, 0.13, 0.16])
    expected = decode_one(encode_one(tone(4), Codec.PCMU), Codec.PCMU)
    np.testing.assert_array_equal(recording.heard, expected)
    assert talker.frames_heard == 4


def test_a_lost_packet_is_concealed_after_a_while_and_counted() -> None:
    talker = Talker(tone(3), frames=3, random=Random(2))
    talker.start(LINE, now=0.0)
    sent = run(talker, until=1.0)
    echo(talker, sent[0][1], at=1.0)
    echo(talker, sent[2][1], at=1.04)
    assert talker.frames_heard == 1
    run(talker, until=2.0)
    assert talker.frames_heard == 3
    assert talker.recording().packets_lost == 1


def test_what_is_no_audio_of_this_call_is_counted_and_dropped() -> None:
    talker = Talker(tone(1), frames=1, random=Random(3))
    packet = RtpPacket(0, 7, 160, 1, bytes(160))
    echo(talker, packet, at=0.0)  # before the call is answered
    assert talker.recording().packets_ignored == 1
    talker.start(LINE, now=1.0)
    talker.receive_datagram(bytes(packet), ("127.0.0.1", 40002), now=1.0)
    talker.receive_datagram(b"no RTP", REMOTE, now=1.0)
    echo(talker, RtpPacket(102, 7, 160, 1, bytes(1)), at=1.0)  # of a format that nobody has agreed on
    assert talker.recording().packets_ignored == 4
    assert talker.frames_heard == 0


def test_a_flood_does_not_fill_the_memory() -> None:
    talker = Talker(tone(1), frames=1, random=Random(3))
    talker.start(LINE, now=0.0)
    for number in range(1000):
        echo(talker, RtpPacket(0, number, number * FRAME, 1, bytes(FRAME)), at=0.0)
    assert talker.frames_heard == 501
