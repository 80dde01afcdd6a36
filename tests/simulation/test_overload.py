"""A media plane that has more to do than time, in virtual time: what it works off is fresh, and it recovers."""

from __future__ import annotations

from collections import deque
from random import Random

import numpy as np

from rtp import Codec, Leg, MediaPlane, RtpPacket, address_key
from sidecar.core.backlog import STALE_AFTER, Backlog
from tests.support.rtp_sender import batch_of

CALLS = 20
READ = 64
"""Datagrams at the most in one read."""

ROOM = 400
"""Datagrams that the socket holds; more are dropped by the system."""

SOURCES = [address_key("192.0.2.1", 4000 + 2 * call) for call in range(CALLS)]


class Worker:
    """Reads a socket, and needs so long for each packet."""

    def __init__(self) -> None:
        self.now = 10.0
        self.plane = MediaPlane(CALLS, Random(1))
        self.backlog = Backlog(most=READ)
        self.backlog.begin(now=self.now)
        self.ages: list[tuple[float, float]] = []  # when, and how old: of what was worked off
        self.stale = self.unread = 0
        self._waiting: deque[tuple[float, bytes, int]] = deque()
        self._sent = 0
        for source in SOURCES:
            assert self.plane.open(Leg(Codec.PCMU, 0, 0, source)) is not None

    def run(self, *, until: float, seconds_a_packet: float) -> None:
        """Go round and round."""
        while self.now < until:
            self._arrive()
            self.backlog.turn(now=self.now)
            list(self.plane.handle_timeout(now=self.now))
            self._read(seconds_a_packet)
            self.now += 0.002

    def _arrive(self) -> None:
        while (at := 10.0 + 0.02 * self._sent) <= self.now:
            for source in SOURCES:
                packet = RtpPacket(0, self._sent % (1 << 16), 160 * self._sent, source % (1 << 32), bytes(160))
                if len(self._waiting) < ROOM:
                    self._waiting.append((at, bytes(packet), source))
                else:
                    self.unread += 1
            self._sent += 1

    def _read(self, seconds_a_packet: float) -> None:
        read = [self._waiting.popleft() for _ in range(min(READ, len(self._waiting)))]
        if not read:
            return
        if self.backlog.is_stale(len(read), calls=CALLS, now=self.now):
            self.stale += len(read)
            self.plane.lose(now=self.now)
            return
        if len(read) == READ:  # as the worker asks the system
            self.plane.lose(now=self.now)
        self.ages += [(self.now, self.now - at) for at, _, _ in read]
        list(self.plane.receive(*batch_of([(data, source) for _, data, source in read]), now=self.now))
        self.now += seconds_a_packet * len(read)

    @property
    def plain_rows(self) -> int:
        return sum(row in self.plane._plain for row in range(CALLS))


def test_twice_as_much_as_can_be_done_for_ten_seconds() -> None:
    worker = Worker()
    worker.run(until=12.0, seconds_a_packet=0.0005)
    assert (worker.stale, worker.unread, worker.plain_rows) == (0, 0, CALLS)
    worker.run(until=22.0, seconds_a_packet=0.002)
    assert worker.stale > 0
    assert max(age for _, age in worker.ages) < STALE_AFTER + 0.2  # that of the read which found it out
    dropped = worker.stale + worker.unread
    worker.run(until=25.0, seconds_a_packet=0.0005)
    assert worker.plain_rows == CALLS
    assert max(age for at, age in worker.ages if at > 23.0) < 0.03
    counters = [worker.plane.receive_counters(row) for row in range(CALLS)]
    assert sum(each.lost for each in counters) == worker.stale + worker.unread >= dropped
    assert sum(each.concealed for each in counters) == 0
    assert np.ptp([each.received for each in counters]) < 100, "nobody was dropped more than others"


def test_a_stall_of_a_second_is_over_at_once() -> None:
    worker = Worker()
    worker.run(until=11.0, seconds_a_packet=0.0005)
    worker.now += 1.0
    resumed = worker.now
    worker.run(until=14.0, seconds_a_packet=0.0005)
    assert worker.stale + worker.unread >= CALLS * 50 * 0.9
    assert max(age for at, age in worker.ages if at > resumed) < 0.03
    assert worker.plain_rows == CALLS
