"""A pair of ports for each leg: the sockets of a media worker whose peers are behind network address translators.

To the plane, a leg is a key made of its port. Where its packets come from, and go to, is known here alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rtp import LearnedAddress, Report, UnknownSources, address_key
from sidecar.core.legs import port_key
from sidecar.core.media_leg import MediaLeg
from sidecar.io.datagrams import BATCH, PlainBatch, sent_one
from sidecar.io.media_sockets import OnDatagrams, OnReport, ReportSocket
from sidecar.io.network import bound_socket
from sidecar.io.readiness import Readiness

_READS = 32  # of one leg, before others have their turn
_COMFORT_NOISE = 13  # RFC 3551, section 6


@dataclass(slots=True)
class _Remote:
    """The other side of a leg: where it says that it is, and where it is found to be."""

    said: tuple[str, int]
    reports_said: int
    learned: LearnedAddress
    reports: tuple[str, int] | None = None  # where its RTCP was found to come from

    @classmethod
    def of(cls, leg: MediaLeg) -> _Remote:
        known = (leg.payload_type, leg.telephone_event_payload_type, _COMFORT_NOISE)
        learned = LearnedAddress([number for number in known if number is not None], needs_proof=leg.srtp is not None)
        return cls((leg.host, leg.port), leg.rtcp_port, learned)

    @property
    def address(self) -> tuple[str, int]:
        return self.learned.address or self.said

    @property
    def report_address(self) -> tuple[str, int]:
        return self.reports or (self.address[0], self.reports_said)


class _LegSocket:
    """The RTP socket of one leg."""

    def __init__(self, port: int, sock: socket.socket, read: Callable[[_LegSocket], int]) -> None:
        self.key = port_key(port)
        self.sock = sock
        self.remote: _Remote | None = None  # None: not known yet, so nobody is heard
        self.unknown = UnknownSources()
        self.reports: ReportSocket
        self._read = read

    def fileno(self) -> int:
        return self.sock.fileno()

    def on_readable(self) -> int:
        return self._read(self)

    def on_writable(self) -> None:
        """Never asked for."""


class PortPairs(PlainBatch):
    """The sockets of all legs: read into one batch, and written out of one, as if they were one."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self._legs: dict[int, _LegSocket] = {}  # by their keys
        self._count = 0  # datagrams in the batch
        self._flush: asyncio.Handle | None = None
        self.unknown_source = 0  # datagrams that came from elsewhere than a leg is at

    @property
    def datagrams(self) -> PortPairs:
        """Itself."""
        return self

    @property
    def port(self) -> int:
        """None in particular."""
        return 0

    def watch(self, readiness: Readiness, on_datagrams: OnDatagrams, on_report: OnReport) -> None:
        self._loop = asyncio.get_running_loop()
        self._readiness, self._on_datagrams, self._on_report = readiness, on_datagrams, on_report

    def open_leg(self, port: int | None, leg: MediaLeg | None) -> UnknownSources:
        assert port is not None, "every leg has its own"
        sock = bound_socket(self._host, port)
        opened = _LegSocket(port, sock, self._read)
        try:
            reports = bound_socket(self._host, port + 1)
        except OSError:
            sock.close()
            raise
        opened.reports = ReportSocket(reports, partial(self._report_came, opened))
        if leg is not None:
            opened.remote = _Remote.of(leg)
        self._legs[opened.key] = opened
        self._readiness.add(opened)
        self._readiness.add(opened.reports)
        return opened.unknown

    def change_leg(self, port: int | None, leg: MediaLeg) -> None:
        """Believe what the other side says, until it is found elsewhere."""
        assert port is not None, "every leg has its own"
        self._legs[port_key(port)].remote = _Remote.of(leg)

    def close_leg(self, port: int | None) -> None:
        assert port is not None, "every leg has its own"
        leg = self._legs.pop(port_key(port))
        self._readiness.remove(leg)
        self._readiness.remove(leg.reports)
        leg.sock.close()
        leg.reports.close()

    def send(self, count: int) -> None:
        lengths, keys = self.packet_lengths[:count].tolist(), self.destinations[:count].tolist()
        for packet, length, key in zip(self.packets[:count], lengths, keys, strict=True):
            leg = self._legs[key]
            if leg.remote is not None:
                self.send_errors += not sent_one(leg.sock, memoryview(packet[:length]), leg.remote.address)

    def send_report(self, report: Report) -> None:
        leg = self._legs.get(report.destination)
        if leg is None or leg.remote is None:
            return  # the last report of a call is sent before its ports are given back
        if report.muxed:
            sent_one(leg.sock, report.data, leg.remote.address)
        else:
            leg.reports.send(report.data, leg.remote.report_address)

    def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        for leg in self._legs.values():
            leg.sock.close()
            leg.reports.close()

    def _read(self, leg: _LegSocket) -> int:
        """Put what has come to a leg into the batch, which is handled when all legs have been read; return how much."""
        for count in range(_READS):
            row = self.data[self._count]
            try:
                length, source = leg.sock.recvfrom_into(memoryview(row))
            except (BlockingIOError, ConnectionError):
                return count
            if leg.remote is None or not leg.remote.learned.accepts(memoryview(row[:length]), source):
                self._drop(leg, source)
            elif leg.remote.learned.address is not None:
                self._take(leg, length)
            elif self._is_genuine(leg, row[:length].copy()):
                leg.remote.learned.learn(source)
            else:
                self._drop(leg, source)
        return _READS

    def _drop(self, leg: _LegSocket, source: tuple[str, int]) -> None:
        self.unknown_source += 1
        leg.unknown.note(np.array([address_key(*source)], np.uint64), now=self._loop.time())

    def _take(self, leg: _LegSocket, length: int) -> None:
        """Count what was read as one more of the batch."""
        self.lengths[self._count], self.sources[self._count] = length, leg.key
        self._count += 1
        if self._count == BATCH:
            self._handle_batch()
        elif self._flush is None:
            self._flush = self._loop.call_soon(self._handle_batch)

    def _is_genuine(self, leg: _LegSocket, packet: NDArray[np.uint8]) -> bool:
        """Make a batch of one packet, whose source is not known yet; return whether it is of those who have the key."""
        if self._count:
            self._handle_batch()
        self.data[0, : len(packet)] = packet
        self._take(leg, len(packet))
        return self._handle_batch()

    def _handle_batch(self) -> bool:
        if self._flush is not None:
            self._flush.cancel()
        count, self._count, self._flush = self._count, 0, None
        return self._on_datagrams(count)

    def _report_came(self, leg: _LegSocket, data: bytes, source: tuple[str, int]) -> None:
        """Take RTCP from the host of the leg; its port may be another than was said, behind a translator."""
        if leg.remote is None or source[0] != leg.remote.address[0]:
            self.unknown_source += 1
            return
        leg.remote.reports = source
        self._on_report(data, leg.key)
