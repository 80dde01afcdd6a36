"""The bridge's own rules: when packets are sent, and what is told."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from rtp import PACKET_BYTES, Codec, Leg, MediaPlane, RtpPacket, address_key
from sidecar.core.bridge import CATCH_UP_FRAMES, JITTER_FRAMES, PHASES, Bridge, Messages
from sidecar.core.digit_rows import ToneRows
from sidecar.core.options import MixMode, StreamOptions, Track
from tests.support.rtp_sender import PLAIN, RtpSender, batch_of
from tests.support.websocket_messages import messages_by_row

TICK = 0.005


class Rig:
    """A bridge with some calls; keeps what is sent."""

    def __init__(self, calls: int = 1, *, capacity: int = 8, **options: object) -> None:
        self.plane = MediaPlane(capacity, Random(1))
        self.bridge = Bridge(self.plane, random_bytes=Random(2).randbytes)
        self.sent: dict[int, list[tuple[float, RtpPacket]]] = {}
        self.rows = [self.open(**options) for _ in range(calls)]
        self._packets = np.zeros((capacity, PACKET_BYTES), np.uint8)
        self._lengths = np.zeros(capacity, np.uint64)
        self._destinations = np.zeros(capacity, np.uint64)

    def open(self, **options: object) -> int:
        address = address_key("192.0.2.1", 5000 + 2 * len(self.sent))
        row = self.plane.open(Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=address))
        assert row is not None
        self.bridge.open(row, StreamOptions(url="ws://bot.example", **options), playout_seconds=1.0)  # type: ignore[arg-type]
        self.sent[address] = []
        return row

    def run(self, *, until: float) -> None:
        """Let a driver wake up when it is told to, the first time at 0."""
        while (at := self.bridge.next_tick() or 0.0) < until - TICK / 2:
            self.wake_up(at)

    def tick(self) -> list[Messages]:
        """Let the next turn of the grid come; return what bots get."""
        now = self.bridge.next_tick() or 0.0
        assert self.bridge.ticks_due(now=now) == 1
        return self.bridge.tick(self._packets, self._lengths, self._destinations, now=now)[1]

    def wake_up(self, now: float) -> int:
        due = self.bridge.ticks_due(now=now)
        for _ in range(due):
            count, _ = self.bridge.tick(self._packets, self._lengths, self._destinations, now=now)
            for packet, length, destination in zip(
                self._packets[:count], self._lengths.tolist(), self._destinations.tolist(), strict=False
            ):
                self.sent[destination].append((now, RtpPacket.parse(packet[:length].tobytes())))
        return due


def test_nothing_is_sent_before_the_call_is_to_be_sent_to() -> None:
    rig = Rig(2)
    rig.bridge.start(rig.rows[1])
    rig.run(until=1.0)
    assert [len(sent) for sent in rig.sent.values()] == [0, 50]


def test_a_leg_that_has_left_is_sent_nothing_even_if_no_other_has_come() -> None:
    rig = Rig(id="pair")
    rig.bridge.start(rig.rows[0])
    rig.run(until=0.5)
    rig.bridge.leave(rig.rows[0])
    rig.run(until=1.0)
    assert [len(sent) for sent in rig.sent.values()] == [25]
    rig.bridge.close(rig.rows[0])


def test_a_packet_is_sent_every_20_ms_also_when_there_is_nothing_to_say() -> None:
    rig = Rig()
    assert rig.bridge.next_tick() is None
    rig.bridge.start(rig.rows[0])
    rig.bridge.start(rig.rows[0])
    rig.run(until=2.0)
    [sent] = rig.sent.values()
    assert np.diff([at for at, _ in sent]) == pytest.approx(0.020)
    assert {packet.payload for _, packet in sent} == {b"\xff" * 160}
    assert len(sent) == 100
    assert rig.bridge.next_tick() == pytest.approx(2.0)


def test_rows_take_turns_within_the_20_ms() -> None:
    rig = Rig(8)
    for row in rig.rows:
        rig.bridge.start(row)
    rig.run(until=0.020)
    times = [sent[0][0] for sent in rig.sent.values()]
    assert sorted(times) == pytest.approx(sorted([TICK * phase for phase in range(PHASES)] * 2))
    assert all(len(sent) == 1 for sent in rig.sent.values())


def test_after_a_stall_the_newest_frames_are_sent_late_and_time_is_let_pass_for_the_others() -> None:
    rig = Rig(4)
    for row in rig.rows:
        rig.bridge.start(row)
    rig.run(until=0.100)
    assert rig.wake_up(0.503) == CATCH_UP_FRAMES * PHASES
    rig.run(until=1.0)
    for sent in rig.sent.values():
        packets = [packet for _, packet in sent]
        first = packets[0]
        elapsed = [(packet.timestamp - first.timestamp) % (1 << 32) // 160 for packet in packets]
        numbers = [(packet.sequence_number - first.sequence_number) % (1 << 16) for packet in packets]
        assert numbers == list(range(len(packets)))
        assert elapsed[:5] == [0, 1, 2, 3, 4]
        assert np.flatnonzero(np.diff(elapsed) != 1).tolist() == [4]
        assert [at for at, packet in enumerate(packets) if packet.marker] == [0, 5]
        assert elapsed[-1] == 49  # timestamps have followed the time
        assert sum(at == 0.503 for at, _ in sent) == CATCH_UP_FRAMES


@pytest.mark.parametrize("missed", range(1, 2 * PHASES + 2))
def test_each_row_is_let_pass_as_much_time_as_it_has_missed(missed: int) -> None:
    """However many ticks are skipped, few or many, each row's timestamps stay on the grid."""
    rig = Rig(4)
    for row in rig.rows:
        rig.bridge.start(row)
    rig.run(until=0.020)
    rig.wake_up(0.020 + (CATCH_UP_FRAMES * PHASES + missed - 1) * TICK + 0.001)
    for phase, sent in enumerate(rig.sent.values()):
        first, second = sent[0][1], sent[1][1]
        skipped = len(range(phase, missed, PHASES))
        assert (second.timestamp - first.timestamp) % (1 << 32) == 160 * (1 + skipped)
        assert second.marker == (skipped > 0)
    assert rig.bridge.ticks_skipped == missed


def test_what_is_left_at_the_end_of_a_call_is_a_shorter_message() -> None:
    rig, sender = Rig(buffer_size=100), RtpSender(Random(1), payload_type=0)
    [address], [row] = rig.sent, rig.rows
    for _ in range(3):
        datagram = sender.act(PLAIN)[0]
        assert not list(rig.bridge.receive(*batch_of([(datagram, address)]), now=0.0))
    last = rig.bridge.close(row)
    assert last is not None
    assert [len(message) for message in messages_by_row([last])[row]] == [3 * 320]


def test_a_call_with_nothing_left_ends_without_a_message() -> None:
    rig = Rig(buffer_size=100)
    assert rig.bridge.close(rig.rows[0]) is None


def test_a_call_that_is_closed_is_sent_nothing_any_more() -> None:
    rig = Rig(2)
    for row in rig.rows:
        rig.bridge.start(row)
    rig.run(until=0.1)
    rig.bridge.close(rig.rows[0])
    rig.plane.close(rig.rows[0])
    rig.run(until=0.2)
    assert [len(sent) for sent in rig.sent.values()] == [5, 10]


def test_a_row_used_again_is_not_sent_to_before_it_is_asked_for() -> None:
    rig = Rig(capacity=1)
    rig.bridge.start(rig.rows[0])
    rig.bridge.drain(rig.rows[0], now=0.0)
    rig.bridge.close(rig.rows[0])
    rig.plane.close(rig.rows[0])
    assert rig.open() == rig.rows[0]
    rig.run(until=0.1)
    assert [len(sent) for sent in rig.sent.values()] == [0, 0]
    rig.bridge.start(rig.rows[0])
    rig.run(until=0.2)
    assert rig.bridge.take_drained() == []


def test_it_is_told_once_when_all_has_been_played() -> None:
    rig = Rig(3)
    for row in rig.rows:
        rig.bridge.start(row)
    first, second, _ = rig.rows
    rig.bridge.playback.buffer(first).write(bytes(1600), now=0.0)  # 100 ms
    rig.bridge.drain(first, now=0.0)
    rig.bridge.drain(second, now=0.0)
    rig.run(until=0.040)
    assert rig.bridge.take_drained() == [second]
    rig.run(until=0.100)
    assert rig.bridge.take_drained() == []
    rig.run(until=0.200)
    assert rig.bridge.take_drained() == [first]
    rig.run(until=0.300)
    assert rig.bridge.take_drained() == []


def test_audio_that_still_gathers_is_not_played_yet() -> None:
    rig = Rig(preroll=200)
    rig.bridge.start(rig.rows[0])
    rig.bridge.playback.buffer(rig.rows[0]).write(bytes(320), now=0.0)
    rig.bridge.drain(rig.rows[0], now=0.0)
    rig.run(until=0.195)
    assert rig.bridge.take_drained() == []
    rig.run(until=0.300)
    assert rig.bridge.take_drained() == rig.rows


@pytest.mark.parametrize("mix", MixMode)
def test_only_where_voices_are_paired_does_the_caller_wait_in_a_jitter_buffer(mix: MixMode) -> None:
    rig, sender = Rig(mix=mix), RtpSender(Random(1), payload_type=0)
    [address], [row] = rig.sent, rig.rows
    for _ in range(JITTER_FRAMES + 3):
        list(rig.bridge.receive(*batch_of([(each, address) for each in sender.act(PLAIN)]), now=0.0))
    assert rig.bridge.dropped_frames(row) == (3 if mix in (MixMode.MIXED, MixMode.STEREO) else 0)


def test_a_row_that_has_not_begun_is_heard_out_if_there_is_something_to_hear() -> None:
    rig = Rig(3)
    speaking, silent, closed = rig.rows
    rig.bridge.playback.buffer(speaking).write(bytes(1600), now=0.0)
    for row in rig.rows:
        rig.bridge.drain(row, now=0.0)
    rig.bridge.close(closed)
    assert rig.bridge.take_drained() == [silent]
    rig.bridge.start(speaking)
    rig.run(until=0.060)
    assert rig.bridge.take_drained() == []
    rig.run(until=0.200)
    assert rig.bridge.take_drained() == [speaking]


def test_a_caller_that_does_not_listen_is_sent_nothing_and_its_bot_is_heard_out() -> None:
    rig = Rig(2)
    deaf, listener = rig.rows
    rig.bridge.start(deaf, sends=False)
    rig.bridge.start(listener)
    rig.bridge.playback.buffer(deaf).write(bytes(1600), now=0.0)
    rig.bridge.drain(deaf, now=0.0)
    rig.run(until=0.200)
    assert [len(sent) for sent in rig.sent.values()] == [0, 10]
    assert rig.bridge.take_drained() == [deaf]


def test_after_a_rest_the_grid_begins_anew() -> None:
    rig = Rig()
    rig.bridge.start(rig.rows[0])
    rig.run(until=0.1)
    rig.bridge.start_clock()
    assert rig.bridge.next_tick() is None
    assert rig.wake_up(1000.0) == 1


def test_a_format_that_no_call_has_any_more_is_forgotten() -> None:
    rig = Rig(2, buffer_size=1000)
    rig.open(buffer_size=500)
    for row in rig.rows:
        rig.bridge.close(row)
    assert len(rig.bridge._uplinks) == 1


def test_of_what_was_read_only_frames_of_rows_are_played() -> None:
    rig = Rig(2, preroll=0)
    first, second = rig.rows
    data = np.zeros((3, 400), np.uint8)
    data[:, :4] = (0x82, 0x7E, 0x01, 0x40)
    played = rig.bridge.playback.play_frames(np.array([first, -1, second]), data, np.array([324, 324, 323]), now=0.0)
    assert played.tolist() == [True, False, False]
    assert [rig.bridge.playback.buffer(row).queued_bytes for row in rig.rows] == [320, 0]
    nobody = rig.bridge.playback.play_frames(np.array([-1]), data[:1], np.array([324]), now=0.0)
    assert nobody.tolist() == [False]


def test_digits_are_looked_for_in_what_callers_say() -> None:
    plane, tones = MediaPlane(1, Random(1)), ToneRows(1)
    bridge = Bridge(plane, random_bytes=Random(2).randbytes, tones=tones)
    address = address_key("192.0.2.1", 5000)
    row = plane.open(Leg(Codec.L16_8K, 0, 0, address))
    assert row is not None
    bridge.open(row, StreamOptions(url="ws://bot.example"), playout_seconds=1.0)
    tones.watch(row, True)
    time = np.arange(1600) / 8000
    pcm = sum(8000 * np.sin(2 * np.pi * hertz * time) for hertz in (770, 1336)) * (time < 0.1)
    for number, frame in enumerate(pcm.astype(">i2").reshape(-1, 160)):
        packet = RtpPacket(0, number, 160 * number, 9, frame.tobytes())
        list(bridge.receive(*batch_of([(bytes(packet), address)]), now=0.02 * number))
    assert [(each, digit.digit) for each, digit in tones.take_digits()] == [(row, "5")]


def test_messages_are_counted_for_each_call_anew() -> None:
    rig, sender = Rig(), RtpSender(Random(1), payload_type=0)
    [address], [row] = rig.sent, rig.rows
    for _ in range(3):
        list(rig.bridge.receive(*batch_of([(each, address) for each in sender.act(PLAIN, 0)]), now=0.0))
    assert rig.bridge.messages_sent(row) == 3
    rig.bridge.close(row)
    rig.plane.close(row)
    assert rig.bridge.messages_sent(rig.open()) == 0


def test_messages_are_of_another_format_from_the_next_on() -> None:
    rig, sender = Rig(buffer_size=40), RtpSender(Random(1), payload_type=0)
    [address], [row] = rig.sent, rig.rows

    def said() -> list[int]:
        batch = batch_of([(sender.act(PLAIN)[0], address)])
        messages = messages_by_row(list(rig.bridge.receive(*batch, now=0.0)))
        return [len(message) for message in messages.get(row, [])]

    assert said() == []  # the first of a source waits for the second
    while (rest := rig.bridge.cut(row)) is None:
        assert said() == []
    assert [len(message) for message in messages_by_row([rest])[row]] == [320]
    assert rig.bridge.cut(row) is None
    rig.bridge.reform(row, StreamOptions("ws://bot", mix=MixMode.MONO, rate=16000, buffer_size=20))
    assert said() == [640]
    rig.bridge.reform(row, StreamOptions("ws://bot", mix=MixMode.STEREO, rate=8000, buffer_size=20))
    assert said() == []
    for _ in range(12):  # nothing is read of the jitter buffer: the grid has not begun
        assert said() == []
    assert rig.bridge.dropped_frames(row) == 3
    rig.bridge.reform(row, StreamOptions("ws://bot", mix=MixMode.MONO, rate=8000, buffer_size=20))
    assert said() == [320]
    assert rig.bridge.dropped_frames(row) == 3


def test_a_leg_of_a_live_call_is_heard_in_another_format() -> None:
    rig, sender = Rig(track=Track.CALLER), RtpSender(Random(1), payload_type=0)
    [address], [row] = rig.sent, rig.rows
    rig.bridge.start(row)

    def heard(mix: MixMode, rate: int) -> set[int]:
        """Return the sizes of the messages of half a second in a format."""
        rig.bridge.reform(row, StreamOptions("ws://bot", mix=mix, rate=rate, track=Track.CALLER))
        messages = list[Messages]()
        for _ in range(25):
            batch = batch_of([(sender.act(PLAIN)[0], address)])
            messages += rig.bridge.receive(*batch, now=rig.bridge.next_tick() or 0.0)
            for _ in range(PHASES):
                messages += rig.tick()
        return {len(message) for message in messages_by_row(messages)[row]}

    assert heard(MixMode.MONO, 8000) == {320}
    assert heard(MixMode.STEREO, 8000) == {640}
    assert heard(MixMode.STEREO, 16000) == {1280}
    assert heard(MixMode.MIXED, 16000) == {640}
    assert heard(MixMode.MONO, 8000) == {320}
