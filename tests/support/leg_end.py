"""One end of a call, as a media worker has it, in virtual time; two of them, with a network between, are a call."""

from __future__ import annotations

from random import Random

import msgspec
import numpy as np

from rtp import FRAME_MS, PACKET_BYTES, Frames, MediaPlane, Pcm, Report, address_key
from sidecar.core.digit_rows import ToneRows
from sidecar.core.legs import Legs, port_key
from sidecar.core.link import FromWorker
from sidecar.core.media_leg import MediaLeg, SrtpKeys
from sidecar.core.silence_watch import MediaTimeouts
from tests.support.rtp_sender import batch_of
from tests.support.simulation import Link, Simulation

HOSTS = ("192.0.2.1", "192.0.2.2")
RTP_PORT, RTCP_PORT = 4000, 4001
EVENTS = 101
WALL_CLOCK = 1_700_000_000.0
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS = (b"A" * 30, b"B" * 30)


def leg_to(number: int, *, codec: str = "PCMU", ptime_ms: int = 20, **fields: object) -> MediaLeg:
    """Return the leg of one end to end `number`."""
    leg = MediaLeg(codec, 0, 0, HOSTS[number], RTP_PORT, [], ptime_ms, EVENTS, EVENTS, RTCP_PORT)
    return msgspec.structs.replace(leg, **fields)


def secure_leg_to(
    number: int, keys: tuple[bytes, bytes] = KEYS, *, codec: str = "PCMU", ptime_ms: int = 20
) -> MediaLeg:
    """Return the same, encrypted: each end sends with the key of its own number."""
    srtp = SrtpKeys(SUITE, keys[1 - number], SUITE, keys[number])
    return leg_to(number, codec=codec, ptime_ms=ptime_ms, srtp=srtp)


class LegEnd:
    """End `number` of a call: sends a frame every 20 ms, and hears what comes."""

    def __init__(
        self,
        simulation: Simulation,
        number: int,
        leg: MediaLeg | None,
        *,
        timeouts: MediaTimeouts | None = None,
        tones: bool = False,
        port: int | None = None,
    ) -> None:
        self.simulation = simulation
        self.number = number
        self.plane = MediaPlane(2, Random(simulation.random.getrandbits(32)))
        self.tones = ToneRows(2) if tones else None
        self.legs = Legs(self.plane, random=simulation.random, timeouts=timeouts or MediaTimeouts(), tones=self.tones)
        row = self.legs.open("stream", leg, port=port)
        assert row is not None
        self.row = row
        self.said: list[FromWorker] = []
        self.heard: list[Pcm] = []
        self.reports: list[Report] = []
        self.sends = True
        self.source = port_key(port) if port is not None else address_key(HOSTS[1 - number], RTP_PORT)
        self._to_rtp: Link | None = None
        self._to_rtcp: Link | None = None

    def connect(self, other: LegEnd, *, loss: float = 0.0, jitter: float = 0.0, duplication: float = 0.0) -> None:
        """Send to the other end from now on."""
        network = {"jitter": jitter, "loss": loss, "duplication": duplication}
        self._to_rtp = Link(self.simulation, other.receive, **network)
        self._to_rtcp = Link(self.simulation, other.receive_report, **network)
        self.legs.start(self.row, receives=True, now=self.simulation.now)
        self._tick()

    def receive(self, data: bytes, source: int | None = None) -> None:
        """Take an RTP datagram."""
        batch = batch_of([(data, self.source if source is None else source)])
        self._hear(list(self.plane.receive(*batch, now=self.simulation.now)))

    def receive_report(self, data: bytes, source: int | None = None) -> None:
        """Take an RTCP datagram."""
        key = address_key(HOSTS[1 - self.number], RTCP_PORT)
        self.legs.receive_report(data, key if source is None else source, now=self.simulation.now)

    def let_time_pass(self) -> None:
        """Do what time brings."""
        now = self.simulation.now
        self._hear(list(self.plane.handle_timeout(now=now)))
        self.legs.handle_timeout(now=now, wall_clock=WALL_CLOCK + now)
        while (event := self.legs.next_event()) is not None:
            self.said.append(event)
        self.send_reports()

    def send_reports(self) -> None:
        """Send what RTCP there is."""
        for report in self.legs.reports_to_send():
            self.reports.append(report)
            link = self._to_rtp if report.muxed else self._to_rtcp
            if link is not None:
                link.send(report.data)

    def _hear(self, frames: list[Frames]) -> None:
        for each in frames:
            self.heard.extend(each.pcm)
            if self.tones is not None:
                self.tones.process(each)

    def _tick(self) -> None:
        if self.sends and self._to_rtp is not None:
            for packet in self.send():
                self._to_rtp.send(packet)
        self.let_time_pass()
        self.simulation.call_at(self.simulation.now + FRAME_MS / 1000, self._tick)

    def send(self, pcm: Pcm | None = None) -> list[bytes]:
        """Return the packets of a frame."""
        samples = self.plane.codec(self.row).frame_samples
        frame = np.full(samples, 1000, np.int16) if pcm is None else pcm
        packets, lengths = np.zeros((8, PACKET_BYTES), np.uint8), np.zeros(8, np.uint64)
        count = self.plane.send(Frames(np.array([self.row]), frame[None, :]), packets, lengths, np.zeros(8, np.uint64))
        return [packets[at, : int(lengths[at])].tobytes() for at in range(count)]


def call(
    simulation: Simulation,
    *,
    one: MediaLeg | None = None,
    other: MediaLeg | None = None,
    loss: float = 0.0,
    jitter: float = 0.0,
    duplication: float = 0.0,
) -> tuple[LegEnd, LegEnd]:
    """Return both ends of a call that is up."""
    ends = LegEnd(simulation, 0, one or leg_to(1)), LegEnd(simulation, 1, other or leg_to(0))
    for end, peer in (ends, ends[::-1]):
        end.connect(peer, loss=loss, jitter=jitter, duplication=duplication)
    return ends
