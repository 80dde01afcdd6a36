"""Audio over networks that lose, repeat and reorder, and through drivers that wake up late; all in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from rtp import PACKET_BYTES, Codec, Leg, MediaPlane, Pcm, RtpPacket, address_key
from rtp.concealment import Concealment
from rtp.g711 import decode_one
from sidecar.core.bridge import CATCH_UP_FRAMES, PHASES, Bridge
from sidecar.core.options import StreamOptions
from sidecar.core.playout import PlayoutBuffer
from tests.support.rtp_sender import batch_of
from tests.support.simulation import Link, Simulation

PTIME = 0.020
TELEPHONE = address_key("192.0.2.1", 4000)
FIRST_SEQUENCE_NUMBER = 65_500


class Listener:
    """A telephone that talks over a bad network, and the row that hears it."""

    def __init__(self, simulation: Simulation, *, packets: int, loss: float) -> None:
        self._simulation = simulation
        self._plane = MediaPlane(1, simulation.random)
        row = self._plane.open(Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=TELEPHONE))
        assert row is not None
        self.row = row
        self.arrived: list[int] = []
        self._heard: list[Pcm] = []
        # At 20 ms a packet, 60 ms of jitter let one overtake up to three others.
        link = Link(simulation, self._receive, jitter=0.060, loss=loss, duplication=0.05)
        self.payloads = [simulation.random.randbytes(160) for _ in range(packets)]
        for number, payload in enumerate(self.payloads):
            packet = RtpPacket(0, (FIRST_SEQUENCE_NUMBER + number) % (1 << 16), 160 * number, 7, payload)
            simulation.call_at(PTIME * number, self._sending(link, bytes(packet)))

    @staticmethod
    def _sending(link: Link, data: bytes) -> Callable[[], None]:
        return lambda: link.send(data)

    def _receive(self, data: bytes) -> None:
        self.arrived.append((int.from_bytes(data[2:4]) - FIRST_SEQUENCE_NUMBER) % (1 << 16))
        frames = self._plane.receive(*batch_of([(data, TELEPHONE)], width=256), now=self._simulation.now)
        self._heard += [pcm for _, pcm in frames]
        self._wake_up_in_time()

    def _handle_timeout(self) -> None:
        self._heard += [pcm for _, pcm in self._plane.handle_timeout(now=self._simulation.now)]
        self._wake_up_in_time()

    def _wake_up_in_time(self) -> None:
        at = self._plane.next_timeout()
        if at is not None:
            self._simulation.call_at(max(at, self._simulation.now), self._handle_timeout)

    @property
    def heard(self) -> Pcm:
        return np.concatenate([np.empty((0, 160), np.int16), *self._heard])

    def expected(self) -> Pcm:
        """What is to be heard: all from the first packet that arrived to the last in the sequence that did.

        What was sent before the former is not waited for, and of a loss behind the latter nobody can know. In between,
        each packet that arrived is heard, and the others are concealed.
        """
        frames, concealment = [np.empty(0, np.int16)], None
        for number in range(self.arrived[0], max(self.arrived) + 1):
            if number in self.arrived:
                frame = decode_one(self.payloads[number], Codec.PCMU)
                if concealment is not None and concealment.is_audible:
                    frame = concealment.join(frame)
                frames.append(frame)
                concealment = None
            else:
                concealment = concealment or Concealment(np.concatenate(frames)[-480:], 8000)
                frames.append(concealment.take(160))
        return np.stack(frames[1:])


def test_as_much_is_heard_as_was_said_though_packets_are_lost_repeated_and_reordered() -> None:
    for seed in range(200):
        simulation = Simulation(seed=seed)
        listener = Listener(simulation, packets=80, loss=0.05)
        simulation.run(until=3.0)
        expected = listener.expected()
        assert np.array_equal(listener.heard[: len(expected)], expected), f"seed {seed}"
        counters = listener._plane.receive_counters(listener.row)
        heard_from, heard_to = listener.arrived[0], max(listener.arrived)
        missing = set(range(heard_from, heard_to + 1)) - set(listener.arrived)
        assert counters.lost == counters.concealed == len(missing), f"seed {seed}"
        assert counters.late == counters.ignored == counters.restarts == 0, f"seed {seed}"
        played = {number for number in listener.arrived if number >= heard_from}
        assert counters.received == len(listener.arrived), f"seed {seed}"
        assert counters.duplicate == len(listener.arrived) - len(played), f"seed {seed}"


def test_with_half_of_all_packets_lost_all_others_are_heard_in_their_place() -> None:
    """The clock may fill in a little more than was lost, where nothing comes for long."""
    for seed in range(20):
        simulation = Simulation(seed=seed)
        listener = Listener(simulation, packets=80, loss=0.5)
        simulation.run(until=3.0)
        for number in sorted(set(listener.arrived)):
            place = number - listener.arrived[0]
            if place >= 0:
                said = decode_one(listener.payloads[number], Codec.PCMU)[40:]  # the beginning is faded in
                around = listener.heard[place : place + 8, 40:]
                assert any(np.array_equal(frame, said) for frame in around), f"seed {seed}, packet {number}"


class Speaker:
    """A bridge with one call, and a driver that wakes up when it is told to, or later."""

    def __init__(self, simulation: Simulation, *, lateness: Callable[[], float] = lambda: 0.0) -> None:
        self._simulation = simulation
        self._lateness = lateness
        self._plane = MediaPlane(1, simulation.random)
        row = self._plane.open(Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=TELEPHONE))
        assert row is not None
        self._row = row
        self.bridge = Bridge(self._plane, random_bytes=simulation.random.randbytes)
        self.bridge.open(row, StreamOptions(url="ws://bot.example"), playout_seconds=600.0)
        self.bridge.start(row)
        self.sent: list[tuple[float, RtpPacket]] = []
        simulation.call_at(0.0, self._wake_up)

    def _wake_up(self) -> None:
        now = self._simulation.now
        packets, lengths = np.zeros((1, PACKET_BYTES), np.uint8), np.zeros(1, np.uint64)
        destinations = np.zeros(1, np.uint64)
        for _ in range(self.bridge.ticks_due(now=now)):
            count, _ = self.bridge.tick(packets, lengths, destinations, now=now)
            self.sent += [(now, RtpPacket.parse(packets[at, : lengths[at]].tobytes())) for at in range(count)]
        at = self.bridge.next_tick()
        assert at is not None
        self._simulation.call_at(max(at + self._lateness(), now), self._wake_up)

    def say_at(self, at: float, data: bytes) -> None:
        self._simulation.call_at(at, lambda: self.bridge.playback.play(self._row, data, now=self._simulation.now))

    @property
    def playout(self) -> PlayoutBuffer:
        return self.bridge.playback.buffer(self._row)

    def played(self) -> Pcm:
        """Return what the telephone hears, without the silence before and after."""
        pcm = decode_one(b"".join(packet.payload for _, packet in self.sent), Codec.PCMU)
        sounding = np.flatnonzero(pcm)
        return pcm[sounding[0] : sounding[-1] + 1]

    def frame_numbers(self) -> list[int]:
        """Return the place of each packet on the grid, by its timestamp; the sequence numbers have no gap."""
        first = self.sent[0][1]
        numbers = [(packet.sequence_number - first.sequence_number) % (1 << 16) for _, packet in self.sent]
        assert numbers == list(range(len(self.sent)))
        return [(packet.timestamp - first.timestamp) % (1 << 32) // 160 for _, packet in self.sent]


def speech(seconds: float) -> Pcm:
    """Return audio that G.711 does not change, and that is nowhere silent."""
    codes = Random(1).choices([code for code in range(256) if code & 0x7F != 0x7F], k=round(8000 * seconds))
    return decode_one(bytes(codes), Codec.PCMU)


def test_twenty_seconds_said_at_once_are_played_in_full_on_the_grid() -> None:
    simulation = Simulation(seed=1)
    speaker, audio = Speaker(simulation), speech(20.0)
    speaker.say_at(1.003, audio.tobytes())
    simulation.run(until=24.999)
    assert np.array_equal(speaker.played(), audio)
    assert len(speaker.sent) == 25 * 50
    assert [at for at, _ in speaker.sent] == pytest.approx([PTIME * number for number in range(len(speaker.sent))])
    assert speaker.frame_numbers() == list(range(len(speaker.sent)))
    assert [packet.marker for _, packet in speaker.sent] == [True] + [False] * (len(speaker.sent) - 1)
    silent = [set(packet.payload) == {0xFF} for _, packet in speaker.sent]
    assert silent == [True] * 51 + [False] * 1000 + [True] * (25 * 50 - 1051)
    assert speaker.playout.underruns == speaker.playout.refused_bytes == 0


def test_a_driver_that_is_always_late_neither_loses_nor_delays_anything() -> None:
    """Up to 95 ms late each time: what is due is caught up, so the last frame is as much on time as the first."""
    for seed in range(8):
        simulation = Simulation(seed=seed)
        random = Random(seed)
        speaker = Speaker(simulation, lateness=lambda random=random: random.uniform(0.0, 0.094))  # type: ignore[misc]
        audio = speech(20.0)
        speaker.say_at(1.0, audio.tobytes())
        simulation.run(until=23.0)
        assert np.array_equal(speaker.played(), audio), f"seed {seed}"
        assert speaker.frame_numbers() == list(range(len(speaker.sent))), f"seed {seed}"
        for number, (at, _) in enumerate(speaker.sent):
            assert PTIME * number - 1e-9 <= at <= PTIME * number + 0.100, f"seed {seed}, frame {number}"


def test_a_long_stall_is_caught_up_in_part_and_nothing_that_was_said_is_lost() -> None:
    simulation = Simulation(seed=1)
    stalls = {300: 1.0, 600: 0.1, 900: 5.0}
    woken = iter(range(1 << 30))
    speaker, audio = Speaker(simulation, lateness=lambda: stalls.get(next(woken), 0.0)), speech(20.0)
    speaker.say_at(1.0, audio.tobytes())
    simulation.run(until=29.999)
    assert np.array_equal(speaker.played(), audio)
    places = speaker.frame_numbers()
    assert places[-1] == 30 * 50 - 1  # in spite of all stalls
    gaps = np.flatnonzero(np.diff(places) != 1) + 1
    assert len(gaps) == 2
    assert [at for at, (_, packet) in enumerate(speaker.sent) if packet.marker] == [0, *gaps]
    times = np.array([at for at, _ in speaker.sent])
    bursts = np.unique(times, return_counts=True)[1]
    assert bursts.max() <= CATCH_UP_FRAMES
    assert len(speaker.sent) + round(speaker.bridge._pacer.skipped / PHASES) == pytest.approx(30 * 50, abs=2)


def test_a_bot_that_trickles_is_played_without_stutter_behind_the_preroll() -> None:
    """Pieces of any size, odd ones too, come up to 15 ms late; 60 ms of preroll hide it."""
    for seed in range(8):
        simulation, audio = Simulation(seed=seed), speech(10.0)
        data, at, arrival, speaker = audio.tobytes(), 0, 1.0, Speaker(simulation)
        while at < len(data):
            size = simulation.random.randint(1, 160)
            arrival = max(arrival, 1.0 + (at + size) / 16_000 + simulation.random.uniform(0.0, 0.015))
            speaker.say_at(arrival, data[at : at + size])
            at += size
        simulation.run(until=12.5)
        assert np.array_equal(speaker.played(), audio), f"seed {seed}"
        assert speaker.playout.underruns == 0, f"seed {seed}"
