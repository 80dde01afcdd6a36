"""Counts and jitter, against the formulas of the RFC written plainly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtp import ReceptionStatistics
from rtp.sequence import sequence_delta, timestamp_delta

ROW = np.array([0])


def receive(statistics: ReceptionStatistics, sequence: int, timestamp: int, *, now: float) -> None:
    statistics.receive(
        ROW, np.array([sequence % 65536], np.uint16), np.array([timestamp % (1 << 32)], np.uint32), now=now
    )


@dataclass
class Plain:
    """RFC 3550, appendices A.1, A.3 and A.8, for one source."""

    clock_rate: int
    first: int | None = None
    highest: int = 0
    received: int = 0
    jitter: float = 0.0
    transit: int = 0

    def receive(self, sequence: int, timestamp: int, *, now: float) -> None:
        transit = (int(now * self.clock_rate % (1 << 32)) - timestamp) % (1 << 32)
        if self.first is None:
            self.first = self.highest = sequence
            self.transit = transit
        self.highest += max(0, sequence_delta(sequence, self.highest % 65536))
        self.received += 1
        change = abs(timestamp_delta(transit, self.transit))
        self.transit = transit
        self.jitter += (change - self.jitter) / 16


def test_nothing_is_known_before_the_first_packet() -> None:
    assert ReceptionStatistics(1).of(0) is None


def test_loss_and_wraps_are_counted() -> None:
    statistics = ReceptionStatistics(1)
    statistics.begin(0, clock_rate=8000)
    for number in range(100):
        if number % 10 != 5:
            receive(statistics, 65500 + number, 160 * number, now=0.02 * number)
    reception = statistics.of(0)
    assert reception is not None
    assert reception.highest_sequence == 65599
    assert (reception.expected, reception.received, reception.jitter) == (100, 90, 0)


def test_jitter_settles_at_the_mean_change_of_the_transit_time() -> None:
    statistics = ReceptionStatistics(1)
    statistics.begin(0, clock_rate=8000)
    for number in range(200):
        receive(statistics, number, 160 * number, now=0.02 * number + 0.01 * (number % 2))
    reception = statistics.of(0)
    assert reception is not None
    assert reception.jitter == 79  # 10 ms are 80 units, approached from below


def test_another_call_begins_anew() -> None:
    statistics = ReceptionStatistics(1)
    statistics.begin(0, clock_rate=8000)
    receive(statistics, 5, 0, now=0.0)
    receive(statistics, 9, 0, now=0.5)
    statistics.begin(0, clock_rate=16000)
    assert statistics.of(0) is None
    receive(statistics, 100, 0, now=1.0)
    reception = statistics.of(0)
    assert reception is not None
    assert (reception.highest_sequence, reception.expected, reception.received, reception.jitter) == (100, 1, 1, 0)


@given(
    st.integers(0, 65535),
    st.lists(st.tuples(st.floats(0, 0.1), st.sampled_from([0, 0, 0, 1, 30])), min_size=1, max_size=30),
    st.sampled_from([8000, 16000]),
)
def test_what_came_in_order_counts_the_same_when_it_is_counted_later(
    first: int, packets: list[tuple[float, int]], clock_rate: int
) -> None:
    at_once, later = ReceptionStatistics(1), ReceptionStatistics(1)
    for statistics in (at_once, later):
        statistics.begin(0, clock_rate=clock_rate)
        receive(statistics, first - 1, -160, now=0.0)
    now, sequence = 0.0, first
    for wait, lost in packets:
        now, sequence = now + wait, sequence + lost + 1
        receive(at_once, sequence - 1, 160 * sequence, now=now)
        timestamp = np.array([160 * sequence % (1 << 32)], np.uint32)
        later.go_on(ROW, timestamp, clock_rate=clock_rate, now=now)
    later.count(0, packets=len(packets), lost=sum(lost for _, lost in packets), sequence=sequence)
    assert at_once.of(0) == later.of(0)


def test_a_wrap_is_seen_however_much_is_counted_at_once() -> None:
    statistics = ReceptionStatistics(1)
    statistics.begin(0, clock_rate=8000)
    receive(statistics, 10, 0, now=0.0)
    statistics.count(0, packets=65000, lost=0, sequence=65011)
    statistics.count(0, packets=900, lost=100, sequence=66011 % 65536)
    reception = statistics.of(0)
    assert reception is not None
    assert (reception.highest_sequence, reception.expected, reception.received) == (66010, 66001, 65901)


PACKETS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 65535), st.integers(0, (1 << 32) - 1), st.floats(0, 1)), max_size=40
)


@given(PACKETS)
def test_many_rows_give_what_each_gives_alone(packets: list[tuple[int, int, int, float]]) -> None:
    statistics = ReceptionStatistics(3)
    rates = (8000, 16000, 48000)
    plain = [Plain(rate) for rate in rates]
    for row, rate in enumerate(rates):
        statistics.begin(row, clock_rate=rate)
    now = 0.0
    for at in range(0, len(packets), 2):
        batch = {row: (sequence, timestamp) for row, sequence, timestamp, _ in packets[at : at + 2]}
        now += packets[at][3]
        statistics.receive(
            np.array(list(batch), np.int64),
            np.array([sequence for sequence, _ in batch.values()], np.uint16),
            np.array([timestamp for _, timestamp in batch.values()], np.uint32),
            now=now,
        )
        for row, (sequence, timestamp) in batch.items():
            plain[row].receive(sequence, timestamp, now=now)
    for row, one in enumerate(plain):
        reception = statistics.of(row)
        if one.first is None:
            assert reception is None
        else:
            assert reception is not None
            assert reception.highest_sequence == one.highest
            assert (reception.expected, reception.received) == (one.highest - one.first + 1, one.received)
            assert reception.jitter == int(one.jitter)
