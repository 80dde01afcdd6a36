"""RTCP of one call: who reports what, and when."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from random import Random

from rtp.errors import RtpError
from rtp.quality import Impairment, mean_opinion_score, rating
from rtp.reception import Reception
from rtp.rtcp_packet import (
    CNAME,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    compound,
    parse_compound,
)

SHORTEST_INTERVAL = 5.0
"""Seconds between reports on average, at least; half of it before the first. See RFC 3550, section 6.2."""

BANDWIDTH = 500.0
"""Bytes a second that RTCP may take: 5 % of G.711 with its headers."""

_IP_AND_UDP = 28  # bytes of headers, which count as well
_COMPENSATION = math.e - 1.5  # of what reconsideration makes slower: RFC 3550, section 6.3.1
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_REMEMBERED_REPORTS = 4  # of ours, whose echo tells the round trip
_SILENT_INTERVALS = 5  # after so many without a word the other side counts as gone: section 6.3.5
_MOST_EVENTS = 8


def ntp_time(wall_clock: float) -> int:
    """Return the 64-bit NTP time of a time in seconds since 1970."""
    return int((wall_clock + _NTP_EPOCH) * (1 << 32)) % (1 << 64)


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The other side said BYE to a source."""

    reason: str


@dataclass(frozen=True, slots=True)
class Quality:
    """How a leg is doing, at this side and, as it reports, at the other."""

    round_trip: float | None  # seconds; None before it is known
    inbound_loss: float  # 0..1, between our last two reports
    inbound_jitter: float  # seconds
    outbound_loss: float  # 0..1, as the other side reported last
    outbound_jitter: float  # seconds
    inbound_mos: float
    outbound_mos: float


@dataclass(slots=True)
class RtcpCounters:
    """The RTCP datagrams of one call."""

    received: int = 0
    malformed: int = 0
    sent: int = 0


@dataclass(slots=True)
class RtcpSession:
    """Reports to the other side of a call, and hears its reports. See RFC 3550, section 6, for two members.

    The owner says what was sent (`note_sent`) and received (`note_received`) before it calls `handle_timeout`.
    """

    ssrc: int
    cname: str
    random: Random
    clock_rate: int = 8000
    counters: RtcpCounters = field(default_factory=RtcpCounters)
    _next: float | None = None
    _previous: float = 0.0  # when the last report was sent
    _initial: bool = True
    _mean_size: float = 100.0 + _IP_AND_UDP
    _peer: int | None = None
    _peer_heard: float = -math.inf
    _sent: tuple[int, int, int, float] = (0, 0, 0, 0.0)  # packets, octets, timestamp, and when that was
    _reported: deque[int] = field(default_factory=lambda: deque([0, 0], maxlen=2))  # packets sent at the last reports
    _source: int | None = None  # whose packets we receive
    _reception: Reception | None = None
    _before: Reception | None = None  # at our last report
    _inbound_loss: float = 0.0
    _peer_report: tuple[int, float] | None = None  # the middle of its NTP time, and when it came
    _own_reports: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_REPORTS))
    _round_trip: float | None = None
    _outbound: tuple[float, float] = (0.0, 0.0)  # loss, jitter in seconds
    _outbox: list[bytes] = field(default_factory=list)
    _events: deque[PeerLeft] = field(default_factory=lambda: deque(maxlen=_MOST_EVENTS))

    def start(self, *, now: float) -> None:
        """Begin: the first report is due after half an interval."""
        self._previous = now
        self._next = now + self._interval(now)

    def note_sent(self, *, packets: int, octets: int, timestamp: int, now: float) -> None:
        """Say what was sent so far: packets, bytes of payload, and the RTP timestamp of now."""
        self._sent = packets, octets, timestamp, now

    def note_received(self, ssrc: int, reception: Reception) -> None:
        """Say what was received so far of the source `ssrc`."""
        if ssrc != self._source:
            self._source, self._before = ssrc, None
        self._reception = reception

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        """Take a compound packet of the other side."""
        self.counters.received += 1
        try:
            packets = parse_compound(data)
        except RtpError:
            self.counters.malformed += 1
            return
        self._weigh(len(data))
        self._peer_heard = now
        for packet in packets:
            self._receive(packet, now=now)

    def handle_timeout(self, *, now: float, wall_clock: float) -> None:
        """Report, if it is time, after thinking again whether it is (section 6.3.6); `wall_clock` since 1970."""
        if self._next is None or now < self._next:
            return
        due = self._previous + self._interval(now)
        if due > now:
            self._next = due
            return
        self._send([self._report(now, wall_clock), self._description()])
        self._previous = now
        self._initial = False
        self._next = now + self._interval(now)

    def close(self, *, now: float, wall_clock: float) -> None:
        """Say BYE and report no more. One that never sent anything leaves without a word (section 6.3.7)."""
        if self._next is None:
            return
        self._next = None
        if self._sent[0] or self.counters.sent:
            self._send([self._report(now, wall_clock), self._description(), Goodbye((self.ssrc,))])

    def next_timeout(self) -> float | None:
        """Return when the next report may be due."""
        return self._next

    def datagrams_to_send(self) -> list[bytes]:
        """Return the datagrams for the other side; each is given once."""
        datagrams, self._outbox = self._outbox, []
        return datagrams

    def next_event(self) -> PeerLeft | None:
        """Return what the owner should know."""
        return self._events.popleft() if self._events else None

    def quality(self, *, buffered: float = 0.0, impairment: Impairment = Impairment()) -> Quality:  # noqa: B008
        """Estimate how both sides sound; `buffered` is what this side delays audio, in seconds.

        The way there is taken as half the round trip; while that is not known, as nothing.
        """
        delay = (self._round_trip or 0.0) / 2 + buffered
        loss, jitter = self._outbound
        inbound_jitter = self._reception.jitter / self.clock_rate if self._reception else 0.0
        inbound, outbound = (
            mean_opinion_score(rating(delay=delay, loss=each, impairment=impairment))
            for each in (self._inbound_loss, loss)
        )
        return Quality(self._round_trip, self._inbound_loss, inbound_jitter, loss, jitter, inbound, outbound)

    # --- hearing

    def _receive(self, packet: RtcpPacket, *, now: float) -> None:
        if isinstance(packet, Goodbye):
            if self._peer in packet.sources:
                self._lose_peer(now)
                self._events.append(PeerLeft(packet.reason))
        elif isinstance(packet, SenderReport):
            self._peer_report = packet.ntp >> 16 & 0xFFFFFFFF, now
            self._hear_reports(packet.ssrc, packet.reports, now=now)
        elif isinstance(packet, ReceiverReport):
            self._hear_reports(packet.ssrc, packet.reports, now=now)

    def _hear_reports(self, ssrc: int, reports: tuple[ReportBlock, ...], *, now: float) -> None:
        self._peer = ssrc
        for report in reports:
            if report.ssrc != self.ssrc:
                continue
            self._outbound = report.fraction_lost / 256, report.jitter / self.clock_rate
            for middle, sent in self._own_reports:
                if middle == report.last_sr:
                    self._round_trip = max(0.0, now - sent - report.delay_since_last_sr / 65536)

    def _lose_peer(self, now: float) -> None:
        """Report sooner now that there are fewer to report (section 6.3.4)."""
        self._peer = None
        if self._next is not None:
            self._next = now + (self._next - now) / 2
            self._previous = now - (now - self._previous) / 2

    # --- telling

    def _report(self, now: float, wall_clock: float) -> SenderReport | ReceiverReport:
        reports = self._report_blocks(now)
        packets, octets, timestamp, at = self._sent
        sends = packets != self._reported[0]  # since the report before the last one: section 6.3.8
        self._reported.append(packets)
        if not sends:
            return ReceiverReport(self.ssrc, reports)
        ntp = ntp_time(wall_clock)
        self._own_reports.append((ntp >> 16 & 0xFFFFFFFF, now))
        timestamp = (timestamp + int((now - at) * self.clock_rate)) % (1 << 32)
        return SenderReport(self.ssrc, ntp, timestamp, packets % (1 << 32), octets % (1 << 32), reports)

    def _report_blocks(self, now: float) -> tuple[ReportBlock, ...]:
        reception, before = self._reception, self._before
        if reception is None or self._source is None or reception == before:
            self._inbound_loss = 0.0
            return ()
        expected = reception.expected - (before.expected if before else 0)
        received = reception.received - (before.received if before else 0)
        self._before = reception
        lost = max(0, expected - received)
        self._inbound_loss = lost / expected if expected > 0 else 0.0
        last_sr, delay = 0, 0
        if self._peer_report is not None:
            last_sr, delay = self._peer_report[0], int((now - self._peer_report[1]) * 65536)
        block = ReportBlock(
            self._source,
            min(255, int(self._inbound_loss * 256)),
            reception.expected - reception.received,
            reception.highest_sequence % (1 << 32),
            reception.jitter % (1 << 32),
            last_sr,
            min(delay, 0xFFFFFFFF),
        )
        return (block,)

    def _description(self) -> SourceDescription:
        return SourceDescription(self.ssrc, ((CNAME, self.cname),))

    def _send(self, packets: list[RtcpPacket]) -> None:
        datagram = compound(packets)
        self._weigh(len(datagram))
        self.counters.sent += 1
        self._outbox.append(datagram)

    # --- when

    def _weigh(self, size: int) -> None:
        self._mean_size += (size + _IP_AND_UDP - self._mean_size) / 16

    def _interval(self, now: float) -> float:
        """Draw the time to the next report (section 6.3.1). With two members nobody is one of many receivers."""
        shortest = SHORTEST_INTERVAL / 2 if self._initial else SHORTEST_INTERVAL
        is_here = self._peer is not None and now - self._peer_heard < _SILENT_INTERVALS * SHORTEST_INTERVAL
        mean = max(shortest, self._mean_size * (2 if is_here else 1) / BANDWIDTH)
        return mean * self.random.uniform(0.5, 1.5) / _COMPENSATION
