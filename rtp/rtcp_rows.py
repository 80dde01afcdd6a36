"""RTCP of many calls: whose report is due, and whose has come."""

from __future__ import annotations

import base64
import heapq
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from rtp.errors import RtpError
from rtp.media_plane import MediaPlane
from rtp.rtcp_session import Quality, RtcpSession


class Report(NamedTuple):
    """An RTCP datagram to be sent."""

    data: bytes
    destination: int  # a key
    muxed: bool  # among the RTP (RFC 5761)


class ReportAddress(NamedTuple):
    """Where the reports of a call go to, and come from."""

    destination: int  # a key
    sources: tuple[int, ...] = ()  # where they may come from too
    muxed: bool = False


@dataclass(slots=True)
class RtcpRowsCounters:
    """RTCP datagrams that reached no call, or were not for it."""

    unknown_source: int = 0
    unauthentic: int = 0
    malformed: int = 0  # of calls that are over


@dataclass(slots=True)
class _Member:
    session: RtcpSession
    address: ReportAddress | None
    started: bool = False


@dataclass(slots=True)
class RtcpRows:
    """Reports on the calls of a `MediaPlane`; each has the interval of its own session, so that they spread."""

    plane: MediaPlane
    random: Random
    counters: RtcpRowsCounters = field(default_factory=RtcpRowsCounters)
    _members: dict[int, _Member] = field(default_factory=dict)
    _rows: dict[int, int] = field(default_factory=dict)  # by the address that reports come from
    _due: list[tuple[float, int, int]] = field(default_factory=list)  # a heap: when, row, SSRC
    _outbox: list[Report] = field(default_factory=list)

    def open(self, row: int, address: ReportAddress | None) -> None:
        """Take up a call; None: where its reports go to is not known yet, or there is no such port."""
        cname = base64.b64encode(self.random.randbytes(12)).decode()  # tells nothing of us: RFC 7022
        self._members[row] = _Member(RtcpSession(self.plane.sending.sent(row).ssrc, cname, self.random), None)
        self.change(row, address)

    def change(self, row: int, address: ReportAddress | None) -> None:
        """Let the reports of a call go elsewhere, or its codec be another."""
        member = self._members[row]
        member.session.clock_rate = self.plane.codec(row).clock_rate
        self._forget_address(row)
        member.address = address
        if address is not None and not address.muxed:
            for source in (address.destination, *address.sources):
                self._rows.setdefault(source, row)  # nobody takes what is another's

    def start(self, row: int, *, now: float) -> None:
        """Begin to report, once there is media."""
        member = self._members[row]
        if not member.started:
            member.started = True
            member.session.start(now=now)
            self._schedule(row)

    def quality(self, row: int) -> Quality | None:
        """Return how the call sounds, as far as the other side has said anything of it."""
        session = self._members[row].session
        return session.quality() if session.counters.received else None

    def close(self, row: int, *, now: float, wall_clock: float) -> None:
        """Say goodbye."""
        member = self._members[row]
        self._note(row, member, now=now)
        member.session.close(now=now, wall_clock=wall_clock)
        self._collect(row, member)
        self._forget_address(row)
        self.counters.malformed += member.session.counters.malformed
        del self._members[row]

    def receive_datagram(self, data: bytes, source: int, *, now: float) -> None:
        """Take what came to the port for RTCP; `source` is a key."""
        row = self._rows.get(source)
        if row is None:
            self.counters.unknown_source += 1
            return
        srtp = self.plane.gate.srtp(row)
        if srtp is not None:
            try:
                data = srtp.unprotect_rtcp(data)
            except RtpError:
                self.counters.unauthentic += 1
                return
        self._members[row].session.receive_datagram(data, now=now)

    def handle_timeout(self, *, now: float, wall_clock: float) -> None:
        """Send the reports that are due; take those that came among the RTP. `wall_clock` is in seconds since 1970."""
        for row, data in self.plane.gate.take_reports():
            self._members[row].session.receive_datagram(data, now=now)
        while self._due and self._due[0][0] <= now:
            _, row, ssrc = heapq.heappop(self._due)
            member = self._members.get(row)
            if member is not None and member.session.ssrc == ssrc:
                self._note(row, member, now=now)
                member.session.handle_timeout(now=now, wall_clock=wall_clock)
                self._collect(row, member)
                self._schedule(row)

    def next_timeout(self) -> float | None:
        """Return when the next report may be due."""
        return self._due[0][0] if self._due else None

    def datagrams_to_send(self) -> list[Report]:
        """Return what is to be sent; each is given once."""
        reports, self._outbox = self._outbox, []
        return reports

    def _schedule(self, row: int) -> None:
        session = self._members[row].session
        at = session.next_timeout()
        assert at is not None, "who has started reports for ever"
        heapq.heappush(self._due, (at, row, session.ssrc))

    def _note(self, row: int, member: _Member, *, now: float) -> None:
        """Tell the session what was sent and received."""
        sent = self.plane.sending.sent(row)
        member.session.note_sent(packets=sent.packets, octets=sent.octets, timestamp=sent.timestamp, now=now)
        heard = self.plane.reception(row)
        if heard is not None:
            member.session.note_received(*heard)

    def _collect(self, row: int, member: _Member) -> None:
        srtp, address = self.plane.gate.srtp(row), member.address
        for data in member.session.datagrams_to_send():
            if address is not None:
                protected = data if srtp is None else srtp.protect_rtcp(data)
                self._outbox.append(Report(protected, address.destination, address.muxed))

    def _forget_address(self, row: int) -> None:
        address = self._members[row].address
        for source in () if address is None else (address.destination, *address.sources):
            if self._rows.get(source) == row:
                del self._rows[source]
