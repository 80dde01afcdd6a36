"""The sockets of a media worker: here, one pair of ports for all its calls."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from rtp import Report, UnknownSources, address_key, address_of_key
from sidecar.core.media_leg import MediaLeg
from sidecar.io.datagrams import DatagramBatch, Datagrams, datagrams_on, sent_one
from sidecar.io.network import bound_socket
from sidecar.io.readiness import Readiness

_REPORTS_AT_ONCE = 64
_REPORT_BYTES = 2048
_TRIES = 100

OnDatagrams = Callable[[int], bool]
"""So many datagrams are in the arrays of `datagrams`; says whether they were heard, and none of them was forged."""

OnReport = Callable[[bytes, int], None]
"""An RTCP datagram has come, from the address of this key."""


class MediaSockets(Protocol):
    """What RTP and RTCP come and go by."""

    unknown_source: int  # datagrams that came from elsewhere than a leg is at, and went no further

    @property
    def datagrams(self) -> DatagramBatch:
        """RTP, in batches."""

    def watch(self, readiness: Readiness, on_datagrams: OnDatagrams, on_report: OnReport) -> None:
        """Read from now on."""

    def open_leg(self, port: int | None, leg: MediaLeg | None) -> UnknownSources | None:
        """Have the `port` of a leg, if it has one of its own; return who else sends to it. Raise OSError if taken."""

    def change_leg(self, port: int | None, leg: MediaLeg) -> None:
        """Let a leg be another."""

    def close_leg(self, port: int | None) -> None:
        """Give a port back."""

    def send_report(self, report: Report) -> None:
        """Send RTCP."""

    def close(self) -> None:
        """Give all ports back."""


class ReportSocket:
    """A UDP socket for RTCP: there is little of it, so one datagram at a time will do."""

    def __init__(self, sock: socket.socket, on_report: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._sock = sock
        self._on_report = on_report

    def fileno(self) -> int:
        """The file descriptor, to wait on."""
        return self._sock.fileno()

    def on_readable(self) -> int:
        """Read what has come; the rest waits for the next turn."""
        for count in range(_REPORTS_AT_ONCE):
            try:
                data, source = self._sock.recvfrom(_REPORT_BYTES)
            except (BlockingIOError, ConnectionError):
                return count
            self._on_report(data, source)
        return _REPORTS_AT_ONCE

    def on_writable(self) -> None:
        """Never asked for."""

    def send(self, data: bytes, destination: tuple[str, int]) -> None:
        """Send a datagram; if it cannot be sent now, the next report says it all again."""
        sent_one(self._sock, data, destination)

    def close(self) -> None:
        """Give the port back."""
        self._sock.close()


class OnePort:
    """One port for the RTP of all calls, the next one for their RTCP."""

    unknown_source = 0  # the plane knows who is known

    def __init__(self, datagrams: Datagrams, reports: socket.socket) -> None:
        self._datagrams = datagrams
        self._reports = ReportSocket(reports, self._report_came)

    @property
    def datagrams(self) -> Datagrams:
        return self._datagrams

    def watch(self, readiness: Readiness, on_datagrams: OnDatagrams, on_report: OnReport) -> None:
        self._on_datagrams, self._on_report = on_datagrams, on_report
        readiness.add(self)
        readiness.add(self._reports)

    def fileno(self) -> int:
        """The RTP socket, for the event loop to wait on."""
        return self._datagrams.fileno()

    def on_readable(self) -> int:
        """Read RTP."""
        count = self._datagrams.receive()
        self._on_datagrams(count)
        return count

    def on_writable(self) -> None:
        """Never asked for: RTP that cannot be sent now is too late anyway."""

    def open_leg(self, port: int | None, leg: MediaLeg | None) -> None:
        assert port is None, "all calls have the same"

    def change_leg(self, port: int | None, leg: MediaLeg) -> None:
        """All calls have the same: nothing changes."""

    def close_leg(self, port: int | None) -> None:
        """All calls have the same: it is kept."""

    def send_report(self, report: Report) -> None:
        destination = address_of_key(report.destination)
        if report.muxed:
            self._datagrams.send_one(report.data, destination)
        else:
            self._reports.send(report.data, destination)

    def close(self) -> None:
        self._datagrams.close()
        self._reports.close()

    def _report_came(self, data: bytes, source: tuple[str, int]) -> None:
        self._on_report(data, address_key(*source))


def open_one_port(sockets: tuple[socket.socket, socket.socket], *, portable: bool = False) -> OnePort:
    """Use a pair of sockets for all calls."""
    rtp, reports = sockets
    return OnePort(datagrams_on(rtp, portable=portable), reports)


def bound_ports(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Bind `port` and the next one, any even one if it is 0; raise OSError if one of them is taken."""
    for _ in range(_TRIES):
        rtp = bound_socket(host, port)
        found = rtp.getsockname()[1]
        try:
            if port or found % 2 == 0:
                return rtp, bound_socket(host, found + 1)
        except OSError:
            if port:
                rtp.close()
                raise
        rtp.close()
    raise OSError(f"no pair of ports is free on {host}")
