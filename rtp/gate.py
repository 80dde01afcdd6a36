"""Which datagrams are let in, and to which call; what is encrypted is opened here, and RTCP goes its own way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtp.leg import Leg
from rtp.payload_coding import Bytes
from rtp.pcm import Rows
from rtp.routes import NOBODY, AddressKeys, Routes
from rtp.srtp import Srtp
from rtp.srtp_rows import SrtpRows
from rtp.unknown_sources import UnknownSources

STILL_HEARD = 2.0
"""Seconds for which a call that moved is heard from where it was, until it is heard from where it is: the other side
moves once it has our answer."""

_FIRST_RTCP, _RTCP_TYPES = np.uint8(192), 32  # RFC 5761, section 4
_MOST_REPORTS = 1000  # RTCP datagrams that wait to be taken


@dataclass(slots=True)
class GateCounters:
    """Datagrams that reached no call."""

    unknown_source: int = 0
    malformed: int = 0
    oversized: int = 0
    unauthentic: int = 0  # for an encrypted call, and not encrypted with its keys, or seen before
    flooded: int = 0  # more of one call at a time than anybody can have said
    stale: int = 0  # waited for too long before they were read
    unread: int = 0  # dropped by the system, as too many waited


@dataclass(slots=True)
class Gate:
    """Finds the row of each datagram by the address that it comes from."""

    counters: GateCounters = field(default_factory=GateCounters)
    unknown_sources: UnknownSources = field(default_factory=UnknownSources)
    _routes: Routes = field(default_factory=Routes)
    _addresses: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _moved: dict[int, float] = field(default_factory=dict)  # until when these are heard from where they were
    _srtp: SrtpRows = field(default_factory=SrtpRows)
    _reports: deque[tuple[int, bytes]] = field(default_factory=deque)

    def open(self, row: int, leg: Leg) -> bool:
        """Let in what is for `row`; False if its destination is the address of another call."""
        if leg.destination is not None and not self._routes.add(leg.destination, row):
            return False
        self._srtp.open(row)
        self._set(row, leg)
        return True

    def change(self, row: int, leg: Leg, *, now: float) -> bool:
        """Let `row` move: False, and all is as before, if its destination is the address of another call."""
        assert leg.destination is not None, "who moves has somewhere to go"
        if not self._routes.add(leg.destination, row):
            return False
        self._routes.remove_row(row, but=(*self._addresses[row], leg.destination))  # moved twice: nothing adds up
        self._moved[row] = now + STILL_HEARD
        self._set(row, leg)
        return True

    def close(self, row: int) -> None:
        """Let nothing in for `row` any more."""
        self._moved.pop(row, None)
        self._routes.remove_row(row)
        self._srtp.set(row, None)
        self._reports = deque(report for report in self._reports if report[0] != row)

    def _set(self, row: int, leg: Leg) -> None:
        for source in leg.sources:
            self._routes.add(source, row)
        self._addresses[row] = (*leg.sources,) if leg.destination is None else (leg.destination, *leg.sources)
        self._srtp.set(row, leg.srtp)

    def srtp(self, row: int) -> Srtp | None:
        """Return what the call in `row` encrypts with."""
        return self._srtp.of(row)

    def refused(self, row: int) -> int:
        """Return how many packets of the call in `row` none of its keys opened, since `open`."""
        return self._srtp.refused(row)

    @property
    def decrypts(self) -> bool:
        """Whether any call is encrypted."""
        return bool(self._srtp)

    def find(self, sources: AddressKeys) -> Rows:
        """Return the row that each source address belongs to, or `NOBODY`."""
        rows = self._routes.find(sources)
        if self._moved:
            self._note_arrivals(sources)
        return rows

    def admit(
        self, data: Bytes, lengths: NDArray[np.uint32], sources: AddressKeys, rows: Rows, *, now: float
    ) -> tuple[Bytes, NDArray[np.uint32], Rows]:
        """Take datagrams uint8[n, m] of which `lengths` bytes each are filled; return the RTP of calls, and their rows.

        `rows` are those that were found. A datagram that fills its whole row did not fit, and is dropped.
        """
        known = rows != NOBODY
        fits = lengths < data.shape[1]
        if not (known & fits).all():
            self.counters.unknown_source += int(np.count_nonzero(~known))
            self.counters.oversized += int(np.count_nonzero(known & ~fits))
            self.unknown_sources.note(sources[~known], now=now)
            data, lengths, rows = _only(known & fits, data, lengths, rows)
        if self._srtp:
            genuine = self._srtp.unprotect(data, lengths, rows)
            self.counters.unauthentic += int(np.count_nonzero(~genuine))
            data, lengths, rows = _only(genuine, data, lengths, rows)
        reports = data[:, 1] - _FIRST_RTCP < _RTCP_TYPES
        if reports.any():
            self._keep_reports(*_only(reports, data, lengths, rows))
            data, lengths, rows = _only(~reports, data, lengths, rows)
        return data, lengths, rows

    def handle_timeout(self, *, now: float) -> None:
        """Who has moved is not heard for ever where it was."""
        self._leave([row for row, until in self._moved.items() if until <= now])

    def take_reports(self) -> list[tuple[int, bytes]]:
        """Return the RTCP datagrams that came among the RTP (RFC 5761), decrypted, and the rows that they are for."""
        reports = list(self._reports)
        self._reports.clear()
        return reports

    def _keep_reports(self, data: Bytes, lengths: NDArray[np.uint32], rows: Rows) -> None:
        for at, row in enumerate(rows.tolist()):
            if len(self._reports) == _MOST_REPORTS:
                self.counters.flooded += 1
            else:
                self._reports.append((row, data[at, : lengths[at]].tobytes()))

    def _note_arrivals(self, sources: AddressKeys) -> None:
        """Where a call is heard from its new place, it has left the old one; what came from there before counts."""
        self._leave([row for row in self._moved if np.isin(sources, self._addresses[row]).any()])

    def _leave(self, rows: Iterable[int]) -> None:
        for row in rows:
            del self._moved[row]
            self._routes.remove_row(row, but=self._addresses[row])


def _only(
    chosen: NDArray[np.bool_], data: Bytes, lengths: NDArray[np.uint32], rows: Rows
) -> tuple[Bytes, NDArray[np.uint32], Rows]:
    """Return the chosen datagrams."""
    return data[chosen], lengths[chosen], rows[chosen]
