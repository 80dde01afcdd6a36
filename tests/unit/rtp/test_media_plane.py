"""Calls as rows: they come and go, hear nobody else, and send what RFC 3550 says."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import PACKET_BYTES, Codec, Frames, Leg, MediaPlane, Pcm, ReceiveCounters, RtpPacket, address_key
from rtp.g711 import decode_one, encode_one
from rtp.gate import STILL_HEARD
from rtp.packetizer import packet_ms
from rtp.receive_limits import PAUSE_AFTER
from tests.support.rtp_sender import PLAIN, RtpSender, batch_of

HERE, THERE, ELSEWHERE = (address_key("192.0.2.1", port) for port in (4000, 4002, 4004))


def new_plane(capacity: int = 4, *, seed: int = 1) -> MediaPlane:
    return MediaPlane(capacity, Random(seed))


def opened(
    plane: MediaPlane,
    destination: int = HERE,
    *,
    codec: Codec = Codec.PCMU,
    payload_type: int = 0,
    sources: Iterable[int] = (),
) -> int:
    """Open a call that there must be room for."""
    row = plane.open(
        Leg(
            codec=codec,
            payload_type=payload_type,
            send_payload_type=payload_type,
            destination=destination,
            sources=list(sources),
        )
    )
    assert row is not None
    return row


def heard(frames: Iterable[Frames], row: int) -> Pcm:
    """Return what `row` is given."""
    parts = [pcm[rows == row].reshape(-1) for rows, pcm in frames]
    return np.concatenate([np.empty(0, np.int16), *parts])


def receive(plane: MediaPlane, *datagrams: tuple[bytes, int], now: float = 0.0, width: int = 2048) -> list[Frames]:
    return list(plane.receive(*batch_of(datagrams, width=width), now=now))


def sent(plane: MediaPlane, rows: Iterable[int], pcm: Pcm | None = None) -> list[tuple[RtpPacket, int]]:
    """Send a frame to each of `rows`; return the packets and where they go."""
    chosen = np.array(list(rows), np.int64)
    pcm = np.zeros((len(chosen), 160), np.int16) if pcm is None else pcm
    packets, destinations = np.full((9, PACKET_BYTES), 0xA5, np.uint8), np.zeros(9, np.uint64)
    lengths = np.zeros(9, np.uint64)
    count = plane.send(Frames(chosen, pcm), packets, lengths, destinations)
    assert (packets[count:] == 0xA5).all()
    assert all((packet[length:] == 0xA5).all() for packet, length in zip(packets, lengths.tolist(), strict=True))
    return [(RtpPacket.parse(packets[at, : lengths[at]].tobytes()), int(destinations[at])) for at in range(count)]


def test_a_packet_is_heard_in_the_row_of_its_sender() -> None:
    plane = new_plane()
    first, second = opened(plane), opened(plane, THERE, codec=Codec.PCMA, payload_type=8)
    assert plane.calls == 2
    ours, theirs = RtpSender(Random(1), payload_type=0), RtpSender(Random(2), payload_type=8)
    for _ in range(3):
        one, two = ours.act(PLAIN)[0], theirs.act(PLAIN)[0]
        frames = receive(plane, (two, THERE), (one, HERE))
        assert heard(frames, first).tobytes() == decode_one(one[12:], Codec.PCMU).tobytes()
        assert heard(frames, second).tobytes() == decode_one(two[12:], Codec.PCMA).tobytes()
    assert plane.receive_counters(first) == plane.receive_counters(second) == ReceiveCounters(received=3)


def test_an_empty_batch_gives_nothing() -> None:
    plane = new_plane()
    opened(plane)
    assert receive(plane) == []
    assert list(plane.handle_timeout(now=9.0)) == []
    assert plane.next_timeout() is None


def test_many_packets_of_one_call_in_one_batch_are_heard_in_order() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    datagrams = [sender.act(PLAIN)[0] for _ in range(50)]
    frames = receive(plane, *((datagram, HERE) for datagram in datagrams))
    assert heard(frames, row).tobytes() == decode_one(b"".join(each[12:] for each in datagrams), Codec.PCMU).tobytes()


def test_who_is_unknown_is_counted_and_not_heard() -> None:
    plane = new_plane()
    datagram = RtpSender(Random(1), payload_type=0).act(PLAIN)[0]
    assert receive(plane, (datagram, HERE)) == []
    row = opened(plane)
    assert receive(plane, (datagram, THERE), (b"", ELSEWHERE)) == []
    assert plane.gate.counters.unknown_source == 3
    assert plane.receive_counters(row) == ReceiveCounters()
    assert len(heard(receive(plane, (datagram, THERE), (datagram, HERE)), row)) == 160


def test_a_call_is_heard_from_all_of_its_sources() -> None:
    plane = new_plane()
    row, sender = opened(plane, HERE, sources=[THERE, HERE]), RtpSender(Random(1), payload_type=0)
    for source in (HERE, THERE, HERE):
        assert len(heard(receive(plane, (sender.act(PLAIN)[0], source)), row)) == 160


def test_what_fills_its_whole_row_did_not_fit() -> None:
    plane = new_plane()
    row = opened(plane)
    oversized = bytes(RtpPacket(0, 1, 0, 5, bytes(500)))
    fitting = bytes(RtpPacket(0, 1, 0, 5, bytes(480)))
    assert receive(plane, (oversized, HERE), (oversized[:500], HERE), width=500) == []
    assert plane.gate.counters.oversized == 2
    assert plane.gate.counters.unknown_source == 0
    assert len(heard(receive(plane, (fitting, HERE), width=500), row)) == 480
    assert plane.receive_counters(row).received == 1


def test_what_is_not_rtp_is_counted_and_changes_nothing_else() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    receive(plane, (sender.act(PLAIN)[0], HERE))
    for bad in (b"", b"\x80", b"\x40" + bytes(171), b"\xbf" + bytes(171)):
        assert receive(plane, (bad, HERE)) == []
    assert plane.gate.counters.malformed == 4
    assert plane.receive_counters(row) == ReceiveCounters(received=1)
    assert len(heard(receive(plane, (sender.act(PLAIN)[0], HERE)), row)) == 160


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_garbage_never_raises(datagrams: list[bytes]) -> None:
    plane = new_plane()
    opened(plane)
    receive(plane, *((datagram, HERE) for datagram in datagrams), now=1.0)
    receive(plane, *((b"\x80" + datagram, HERE) for datagram in datagrams), now=1.0)
    list(plane.handle_timeout(now=2.0))


def test_a_gap_is_concealed_when_its_time_is_over() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    receive(plane, (sender.act(PLAIN)[0], HERE))
    sender.act("lose")
    assert receive(plane, (sender.act(PLAIN)[0], HERE), now=1.0) == []
    assert plane.next_timeout() == 1.0 + 0.060
    assert list(plane.handle_timeout(now=1.059)) == []
    assert len(heard(plane.handle_timeout(now=1.060), row)) == 320
    assert plane.next_timeout() == 1.0 + PAUSE_AFTER
    assert plane.close(row) == ReceiveCounters(received=2, lost=1, concealed=1)


# --- rows


def test_there_are_as_many_rows_as_there_is_capacity() -> None:
    plane = new_plane(2)
    first, second = opened(plane, HERE), opened(plane, THERE)
    assert {first, second} == {0, 1}
    assert plane.open(Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=ELSEWHERE)) is None
    plane.close(first)
    assert plane.calls == 1
    assert opened(plane, ELSEWHERE) == first


def test_no_address_can_be_taken_twice() -> None:
    """Whoever could take it would hear another's bot."""
    plane = new_plane()
    row = opened(plane, HERE, sources=[THERE])
    for taken in (HERE, THERE):
        assert plane.open(Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=taken)) is None
    assert plane.calls == 1
    other = opened(plane, ELSEWHERE, sources=[HERE, THERE])  # sources are a wish, and not granted here
    datagram = RtpSender(Random(1), payload_type=0).act(PLAIN)[0]
    frames = receive(plane, (datagram, HERE))
    assert (len(heard(frames, row)), len(heard(frames, other))) == (160, 0)
    plane.close(row)
    assert opened(plane, HERE) == row


def test_a_refused_call_takes_no_row() -> None:
    plane = new_plane(2)
    opened(plane, HERE)
    for _ in range(5):
        assert plane.open(Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=HERE)) is None
    opened(plane, THERE)


def moved(plane: MediaPlane, row: int, destination: int, *, now: float = 0.0, codec: Codec = Codec.PCMA) -> bool:
    return plane.change(
        row,
        Leg(codec=codec, payload_type=int(codec) * 8, send_payload_type=int(codec) * 8, destination=destination),
        now=now,
    )


def test_a_call_that_moves_is_sent_to_its_new_address_by_the_same_source() -> None:
    plane = new_plane()
    row = opened(plane)
    ((first, _), (second, _)) = (*sent(plane, [row]), *sent(plane, [row]))
    assert moved(plane, row, THERE)
    ((packet, destination),) = sent(plane, [row])
    assert destination == THERE
    assert (packet.payload_type, packet.marker, second.marker) == (8, True, False)
    assert (packet.ssrc, packet.sequence_number) == (first.ssrc, (second.sequence_number + 1) % (1 << 16))
    assert packet.timestamp == (second.timestamp + 160) % (1 << 32)
    assert packet.payload == encode_one(np.zeros(160, np.int16), Codec.PCMA)


def test_a_call_that_moves_is_heard_from_where_it_was_until_it_is_heard_from_where_it_is() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    receive(plane, (sender.act(PLAIN)[0], HERE))
    assert moved(plane, row, THERE, now=10.0)
    assert len(heard(receive(plane, (sender.act(PLAIN)[0], HERE), now=10.0), row)) == 160  # still in the old codec
    last = sender.act(PLAIN)[0]
    sender.change(8)
    first = sender.act(PLAIN)[0]
    frames = receive(plane, (last, HERE), (first, THERE), now=10.02)
    both = [*decode_one(last[12:], Codec.PCMU).tolist(), *decode_one(first[12:], Codec.PCMA).tolist()]
    assert heard(frames, row).tolist() == both
    assert plane.receive_counters(row) == ReceiveCounters(received=4)
    assert receive(plane, (sender.act(PLAIN)[0], HERE)) == []
    assert opened(plane, HERE) != row  # it may be another's now


def test_a_call_that_never_arrives_is_not_heard_from_where_it_was_for_ever() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    assert moved(plane, row, THERE, now=10.0)
    list(plane.handle_timeout(now=10.0 + STILL_HEARD - 0.001))
    assert len(receive(plane, (sender.act(PLAIN)[0], HERE))) == 1
    list(plane.handle_timeout(now=10.0 + STILL_HEARD))
    assert receive(plane, (sender.act(PLAIN)[0], HERE)) == []


def test_a_call_that_moves_twice_at_once_is_not_heard_from_where_it_was_first() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    assert moved(plane, row, THERE)
    assert moved(plane, row, ELSEWHERE)
    assert receive(plane, (sender.act(PLAIN)[0], HERE)) == []
    assert len(receive(plane, (sender.act(PLAIN)[0], THERE))) == 1


def test_no_call_can_move_to_the_address_of_another() -> None:
    plane = new_plane()
    row, other = opened(plane), opened(plane, THERE)
    assert not moved(plane, row, THERE)
    ((packet, destination),) = sent(plane, [row])
    assert (packet.payload_type, destination) == (0, HERE)
    datagram = RtpSender(Random(1), payload_type=0).act(PLAIN)[0]
    assert len(heard(receive(plane, (datagram, THERE)), other)) == 160
    plane.close(other)
    assert moved(plane, row, THERE)
    plane.close(row)
    list(plane.handle_timeout(now=9.0))
    assert opened(plane, HERE) == row


def test_a_call_may_have_no_address_yet() -> None:
    plane = new_plane()
    row, other = (
        plane.open(Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=None)) for _ in range(2)
    )
    assert row is not None
    assert other is not None
    datagram = RtpSender(Random(1), payload_type=0).act(PLAIN)[0]
    assert receive(plane, (datagram, HERE)) == []
    assert moved(plane, row, HERE, codec=Codec.PCMU)
    assert len(heard(receive(plane, (datagram, HERE)), row)) == 160
    ((packet, destination),) = sent(plane, [row])
    assert (packet.marker, destination) == (True, HERE)


@pytest.mark.parametrize("waiting", [False, True])
def test_a_row_used_again_knows_nothing_of_the_call_before(waiting: bool) -> None:
    """Neither its place in the sequence, nor its codec, its sound, its gaps, its counts or its addresses."""
    plane = new_plane(1)
    row, sender = opened(plane, sources=[ELSEWHERE]), RtpSender(Random(1), payload_type=0)
    for _ in range(5):
        receive(plane, (sender.act(PLAIN)[0], HERE))
    if waiting:
        sender.act("lose")
        receive(plane, (sender.act(PLAIN)[0], HERE))
    next_of_old = sender.act(PLAIN)[0]
    sent(plane, [row])
    plane.close(row)

    assert opened(plane, THERE, codec=Codec.PCMA, payload_type=8) == row
    assert plane.receive_counters(row) == ReceiveCounters()
    assert plane.sending.sent(row).packets == 0
    assert plane.next_timeout() is None
    assert list(plane.handle_timeout(now=99.0)) == []
    assert receive(plane, (next_of_old, HERE), (next_of_old, ELSEWHERE)) == []
    assert plane.gate.counters.unknown_source == 2
    assert receive(plane, (next_of_old, THERE)) == []  # of another payload type
    datagram = RtpSender(Random(2), payload_type=8).act(PLAIN)[0]
    assert heard(receive(plane, (datagram, THERE)), row).tobytes() == decode_one(datagram[12:], Codec.PCMA).tobytes()
    packet, destination = sent(plane, [row])[0]
    assert packet.payload_type == 8
    assert packet.marker
    assert destination == THERE


def test_a_row_used_again_does_not_continue_the_fast_path_of_the_old_call() -> None:
    plane = new_plane(1)
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    for _ in range(3):
        receive(plane, (sender.act(PLAIN)[0], HERE))
    plane.close(row)
    opened(plane)
    sender.act("lose")
    assert len(heard(receive(plane, (sender.act(PLAIN)[0], HERE)), row)) == 160
    assert plane.receive_counters(row) == ReceiveCounters(received=1)


def test_counters_may_be_read_at_any_time() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    for number in range(1, 9):
        receive(plane, (sender.act(PLAIN)[0], HERE))
        assert plane.receive_counters(row).received == number
    assert plane.close(row).received == 8


# --- sending


def test_packets_follow_each_other_as_rfc_3550_says() -> None:
    plane = new_plane()
    row = opened(plane, codec=Codec.PCMA, payload_type=8)
    pcm = np.random.default_rng(1).integers(-32768, 32768, (5, 1, 160)).astype(np.int16)
    packets = [sent(plane, [row], frame)[0] for frame in pcm]
    first = packets[0][0]
    for number, (packet, destination) in enumerate(packets):
        assert packet == RtpPacket(
            payload_type=8,
            sequence_number=(first.sequence_number + number) % (1 << 16),
            timestamp=(first.timestamp + 160 * number) % (1 << 32),
            ssrc=first.ssrc,
            payload=encode_one(pcm[number, 0], Codec.PCMA),
            marker=number == 0,
        )
        assert destination == HERE
    assert plane.sending.sent(row).packets == 5


def test_each_row_sends_its_own_stream() -> None:
    plane = new_plane()
    rows = [opened(plane, HERE), opened(plane, THERE, codec=Codec.PCMA, payload_type=8), opened(plane, ELSEWHERE)]
    pcm = np.random.default_rng(1).integers(-32768, 32768, (3, 160)).astype(np.int16)
    first = sent(plane, rows, pcm)
    assert [destination for _, destination in first] == [HERE, THERE, ELSEWHERE]
    assert [packet.payload_type for packet, _ in first] == [0, 8, 0]
    assert len({packet.ssrc for packet, _ in first}) == 3
    assert first[1][0].payload == encode_one(pcm[1], Codec.PCMA)
    again = sent(plane, [rows[2], rows[0]])
    assert [packet.ssrc for packet, _ in again] == [first[2][0].ssrc, first[0][0].ssrc]
    assert [plane.sending.sent(row).packets for row in rows] == [2, 1, 2]


def test_nothing_is_sent_to_nobody() -> None:
    assert sent(new_plane(), np.empty(0, np.int64), np.empty((0, 160), np.int16)) == []


class HighRandom(Random):
    """Starts every counter at its end."""

    def getrandbits(self, k: int, /) -> int:
        return (1 << k) - 1


def test_all_counters_wrap_around() -> None:
    plane = MediaPlane(1, HighRandom())
    row = opened(plane)
    packets = [sent(plane, [row])[0][0] for _ in range(3)]
    assert [packet.sequence_number for packet in packets] == [65535, 0, 1]
    assert [packet.timestamp for packet in packets] == [(1 << 32) - 1, 159, 319]
    assert {packet.ssrc for packet in packets} == {(1 << 32) - 1}


@pytest.mark.parametrize("frames", [1, 7, 26_843_546, 1 << 40])
def test_a_skip_lets_the_timestamp_follow_the_time_and_begins_a_talkspurt(frames: int) -> None:
    plane = new_plane()
    rows = [opened(plane, HERE), opened(plane, THERE)]
    before = sent(plane, rows)
    sent(plane, rows)
    plane.skip(np.array(rows[:1]), frames)
    skipped, other = sent(plane, rows)
    assert skipped[0].marker
    assert skipped[0].sequence_number == (before[0][0].sequence_number + 2) % (1 << 16)
    assert skipped[0].timestamp == (before[0][0].timestamp + 160 * (frames + 2)) % (1 << 32)
    assert not other[0].marker
    assert other[0].timestamp == (before[1][0].timestamp + 320) % (1 << 32)
    assert not sent(plane, rows[:1])[0][0].marker


def test_the_same_seed_sends_the_same_packets() -> None:
    first, second = new_plane(seed=5), new_plane(seed=5)
    assert sent(first, [opened(first)]) == sent(second, [opened(second)])


def test_what_one_call_sends_beyond_all_measure_keeps_nobody_waiting() -> None:
    plane = new_plane()
    row, sender = opened(plane), RtpSender(Random(1), payload_type=0)
    flood = [(sender.act(PLAIN)[0], HERE) for _ in range(130)]
    assert len(heard(receive(plane, *flood), row)) == 100 * 160
    assert plane.gate.counters.flooded == 30


# --- other codecs and packet times


def opened_with(plane: MediaPlane, codec: Codec, *, ptime_ms: int = 20) -> int:
    row = plane.open(Leg(codec=codec, payload_type=96, send_payload_type=96, destination=HERE, ptime_ms=ptime_ms))
    assert row is not None
    return row


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_packets_of_any_length_follow_each_other_in_time(codec: Codec, ptime_ms: int) -> None:
    plane = new_plane()
    row, ptime_ms = opened_with(plane, codec, ptime_ms=ptime_ms), packet_ms(codec, ptime_ms)
    assert plane.codec(row) is codec
    packets = []
    for _ in range(12):
        packets += [packet for packet, _ in sent(plane, [row], np.zeros((1, codec.frame_samples), np.int16))]
    ticks = codec.frame_ticks * ptime_ms // 20
    assert len(packets) == plane.sending.sent(row).packets == 240 // ptime_ms
    for number, packet in enumerate(packets):
        assert packet.timestamp == (packets[0].timestamp + ticks * number) % (1 << 32)
        assert packet.sequence_number == (packets[0].sequence_number + number) % (1 << 16)
        assert packet.marker == (number == 0)


def test_a_skip_forgets_what_is_not_sent_and_time_goes_on() -> None:
    plane = new_plane()
    row, frame = opened_with(plane, Codec.PCMU, ptime_ms=60), np.zeros((1, 160), np.int16)
    first = [packet for _ in range(4) for packet, _ in sent(plane, [row], frame)]
    plane.skip(np.array([row]), 5)
    second = [packet for _ in range(3) for packet, _ in sent(plane, [row], frame)]
    assert [len(first), len(second)] == [1, 1]
    assert second[0].timestamp == (first[0].timestamp + 160 * (4 + 5)) % (1 << 32)
    assert second[0].marker


def test_rows_of_one_rate_may_have_any_codec_and_packet_time() -> None:
    plane = new_plane()
    legs = [(Codec.L16_8K, 20), (Codec.PCMU, 10), (Codec.PCMA, 20), (Codec.PCMU, 20)]
    rows = [
        plane.open(
            Leg(
                codec=codec,
                payload_type=0,
                send_payload_type=codec,
                destination=HERE + (number << 40),
                ptime_ms=ptime_ms,
            )
        )
        for number, (codec, ptime_ms) in enumerate(legs)
    ]
    pcm = np.random.default_rng(1).integers(-32768, 32768, (4, 160)).astype(np.int16)
    packets = sent(plane, [row for row in rows if row is not None], pcm)
    sizes = sorted((packet.payload_type, len(packet.payload)) for packet, _ in packets)
    assert sizes == [(0, 80), (0, 80), (0, 160), (1, 160), (2, 320)]


def test_what_was_dropped_here_is_neither_waited_for_nor_filled() -> None:
    plane, sender = new_plane(), RtpSender(Random(2), payload_type=0)
    row = opened(plane)
    receive(plane, *[(sender.act(PLAIN)[0], HERE) for _ in range(3)])
    dropped = [sender.act(PLAIN) for _ in range(30)]
    plane.lose(now=1.0)
    datagram = sender.act(PLAIN)[0]
    assert len(heard(receive(plane, (datagram, HERE), now=1.0), row)) == 160
    assert row in plane._plain
    counters = plane.receive_counters(row)
    assert (counters.received, counters.lost, counters.concealed) == (4, len(dropped), 0)
    reception = plane.reception(row)
    assert reception is not None
    assert (reception[1].expected, reception[1].received) == (34, 4)


def test_calls_of_different_rates_are_heard_in_one_batch() -> None:
    plane = new_plane()
    narrow = opened(plane, THERE)
    wide = opened_with(plane, Codec.L16_16K)
    ours = RtpSender(Random(1), payload_type=96, codec=Codec.L16_16K)
    theirs = RtpSender(Random(2), payload_type=0)
    for _ in range(4):
        frames = receive(plane, (ours.act(PLAIN)[0], HERE), (theirs.act(PLAIN)[0], THERE))
        assert (len(heard(frames, wide)), len(heard(frames, narrow))) == (320, 160)
    assert wide in plane._plain
    assert narrow in plane._plain


def test_what_is_quiet_is_filled_for_each_call_alone() -> None:
    plane = new_plane()
    quiet, talking = opened(plane, HERE), opened(plane, THERE)
    ours, theirs = RtpSender(Random(1), payload_type=0), RtpSender(Random(2), payload_type=0)
    given_out = {quiet: 0, talking: 0}
    for number in range(50):
        now = 0.020 * number
        arriving = [(theirs.act(PLAIN)[0], THERE)] + ([(ours.act(PLAIN)[0], HERE)] if number < 5 else [])
        for frames in (receive(plane, *arriving, now=now), list(plane.handle_timeout(now=now))):
            for row in given_out:
                given_out[row] += len(heard(frames, row)) // 160
    assert given_out[talking] == 50
    assert 38 <= given_out[quiet] <= 46
    assert plane.receive_counters(quiet).filled_ms == 20 * (given_out[quiet] - 5)
