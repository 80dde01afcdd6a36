"""RTCP of one call in virtual time: when it reports, and what."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import (
    Goodbye,
    Impairment,
    PeerLeft,
    ReceiverReport,
    Reception,
    ReportBlock,
    RtcpSession,
    SenderReport,
    SourceDescription,
    compound,
    ntp_time,
    parse_compound,
)

WALL_CLOCK = 1_700_000_000.0
HERE, THERE, THEIR_RTP = 1, 2, 3


def session(*, seed: int = 1, start: bool = True) -> RtcpSession:
    made = RtcpSession(HERE, "call@sidecar", Random(seed))
    if start:
        made.start(now=0.0)
    return made


def run(made: RtcpSession, *, until: float) -> list[tuple[float, bytes]]:
    """Call it whenever it asks for it; return what it sends, and when."""
    sent = []
    while (at := made.next_timeout()) is not None and at <= until:
        made.handle_timeout(now=at, wall_clock=WALL_CLOCK + at)
        sent += [(at, data) for data in made.datagrams_to_send()]
    return sent


def first_report(made: RtcpSession) -> tuple[float, SenderReport | ReceiverReport]:
    """Let time pass until it reports, and no further."""
    sent: list[tuple[float, bytes]] = []
    while not sent:
        at = made.next_timeout()
        assert at is not None
        sent = run(made, until=at)
    report = parse_compound(sent[0][1])[0]
    assert isinstance(report, SenderReport | ReceiverReport)
    return sent[0][0], report


def test_ntp_counts_from_1900() -> None:
    assert ntp_time(0.0) == 2_208_988_800 << 32
    assert ntp_time(0.5) == (2_208_988_800 << 32) + (1 << 31)


@given(st.integers())
def test_intervals_are_those_of_the_rfc(seed: int) -> None:
    """Half of 5 s before the first report, then 5 s, each times 0.5 to 1.5 and divided by e - 1.5."""
    times = [at for at, _ in run(session(seed=seed), until=120.0)]
    assert 1.25 / 1.2183 <= times[0] <= 3.75 / 1.2182
    for before, after in itertools.pairwise(times):
        assert 2.5 / 1.2183 <= after - before <= 7.5 / 1.2182 + 1e-9


def test_the_mean_interval_is_five_seconds_less_the_compensation() -> None:
    """RFC 3550, section 6.3.1: reconsideration brings the mean of 4.1 s back to about 5."""
    reports = sum(len(run(session(seed=seed), until=500.0)) for seed in range(20))
    assert 20 * 500 / reports == pytest.approx(5.0, abs=0.3)


def test_every_datagram_begins_with_a_report_and_names_us() -> None:
    for _, data in run(session(), until=60.0):
        report, description = parse_compound(data)
        assert report == ReceiverReport(HERE)
        assert description == SourceDescription(HERE, ((1, "call@sidecar"),))


def test_one_that_sends_says_how_much_and_at_what_time() -> None:
    made = session()
    made.note_sent(packets=50, octets=8000, timestamp=(1 << 32) - 800, now=0.0)
    at, report = first_report(made)
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packets, report.octets) == (HERE, 50, 8000)
    assert report.ntp == ntp_time(WALL_CLOCK + at)
    assert report.timestamp == int(at * 8000) - 800


def test_one_that_no_longer_sends_is_a_receiver_after_two_intervals() -> None:
    made = session()
    made.note_sent(packets=50, octets=8000, timestamp=0, now=0.0)
    kinds = [type(parse_compound(data)[0]) for _, data in run(made, until=60.0)]
    assert kinds[:2] == [SenderReport, SenderReport]
    assert set(kinds[2:]) == {ReceiverReport}


def test_loss_is_reported_since_the_report_before_and_in_all() -> None:
    made = session()
    made.note_received(THEIR_RTP, Reception(65536 + 99, 100, 90, 42))
    _, report = first_report(made)
    assert report.reports == (ReportBlock(THEIR_RTP, 25, 10, 65536 + 99, 42),)
    assert made.quality().inbound_loss == pytest.approx(0.1)
    made.note_received(THEIR_RTP, Reception(65536 + 199, 200, 190, 40))
    _, report = first_report(made)
    assert report.reports == (ReportBlock(THEIR_RTP, 0, 10, 65536 + 199, 40),)
    assert made.quality().inbound_loss == 0.0
    _, report = first_report(made)
    assert report.reports == ()  # nothing came since


def test_duplicates_are_no_negative_loss_of_an_interval() -> None:
    made = session()
    made.note_received(THEIR_RTP, Reception(9, 10, 15, 0))
    _, report = first_report(made)
    assert (report.reports[0].fraction_lost, report.reports[0].cumulative_lost) == (0, -5)


def test_another_source_is_counted_from_its_own_beginning() -> None:
    made = session()
    made.note_received(THEIR_RTP, Reception(999, 1000, 1000, 0))
    first_report(made)
    made.note_received(9, Reception(9, 10, 5, 0))
    _, report = first_report(made)
    assert (report.reports[0].ssrc, report.reports[0].fraction_lost) == (9, 128)


def test_a_source_that_restarts_below_where_it_was_breaks_nothing() -> None:
    made = session()
    made.note_received(THEIR_RTP, Reception(999, 1000, 1000, 0))
    first_report(made)
    made.note_received(THEIR_RTP, Reception(5, 1, 1, 0))
    _, report = first_report(made)
    assert report.reports[0].fraction_lost == 0


def test_the_last_sender_report_of_the_other_side_is_echoed_with_its_age() -> None:
    made = session()
    made.receive_datagram(bytes(SenderReport(THERE, 0x1234_5678_9ABC_DEF0, 0, 1, 160)), now=0.5)
    made.note_received(THEIR_RTP, Reception(9, 10, 10, 0))
    at, report = first_report(made)
    assert report.reports[0].last_sr == 0x5678_9ABC
    assert report.reports[0].delay_since_last_sr == int((at - 0.5) * 65536)


def test_the_round_trip_is_what_the_other_side_did_not_hold() -> None:
    """RFC 3550, section 6.4.1: arrival - LSR - DLSR; here 80 ms of way and 250 ms of waiting there."""
    made = session()
    made.note_sent(packets=50, octets=8000, timestamp=0, now=0.0)
    at, report = first_report(made)
    assert isinstance(report, SenderReport)
    echo = ReportBlock(HERE, 64, 10, 99, 80, report.ntp >> 16 & 0xFFFFFFFF, 65536 // 4)
    stranger = ReportBlock(77, 255, 0, 0, 0)
    made.receive_datagram(bytes(ReceiverReport(THERE, (stranger, echo))), now=at + 0.330)
    quality = made.quality()
    assert quality.round_trip == pytest.approx(0.080, abs=0.001)
    assert quality.outbound_loss == 0.25
    assert quality.outbound_jitter == 0.01
    assert quality.outbound_mos == pytest.approx(2.3, abs=0.05)
    assert quality.inbound_mos == pytest.approx(4.38, abs=0.02)
    unknown = ReportBlock(HERE, 0, 0, 0, 0, 0xDEAD, 0)
    made.receive_datagram(bytes(ReceiverReport(THERE, (unknown,))), now=at + 9.0)
    assert made.quality().round_trip == quality.round_trip  # of which report it speaks, we do not know


def test_quality_before_anything_is_known() -> None:
    quality = session().quality()
    assert quality.round_trip is None
    assert (quality.inbound_loss, quality.inbound_jitter, quality.outbound_loss, quality.outbound_jitter) == (
        0,
        0,
        0,
        0,
    )
    assert quality.inbound_mos == pytest.approx(4.41, abs=0.01)


def test_buffers_and_codecs_count_in_the_score() -> None:
    made = session()
    made.note_received(THEIR_RTP, Reception(9, 10, 10, 80))
    assert made.quality().inbound_jitter == 0.01
    assert made.quality(buffered=0.4).inbound_mos < made.quality().inbound_mos - 0.5
    assert made.quality(impairment=Impairment(20.0)).inbound_mos < made.quality().inbound_mos - 0.5


def test_a_goodbye_of_the_other_side_is_told_and_brings_the_next_report_nearer() -> None:
    made = session()
    made.receive_datagram(bytes(ReceiverReport(THERE)), now=0.2)
    due = made.next_timeout()
    assert due is not None
    made.receive_datagram(compound([ReceiverReport(THERE), Goodbye((THERE,), "enough")]), now=0.4)
    assert made.next_event() == PeerLeft("enough")
    assert made.next_event() is None
    sooner = made.next_timeout()
    assert sooner is not None
    assert sooner == pytest.approx(0.4 + (due - 0.4) / 2)


def test_a_goodbye_of_somebody_else_is_not() -> None:
    made = session()
    made.receive_datagram(compound([ReceiverReport(THERE), Goodbye((5,))]), now=0.4)
    assert made.next_event() is None


def test_what_is_malformed_is_counted() -> None:
    made = session()
    made.receive_datagram(b"\x80\xc9", now=0.0)
    made.receive_datagram(compound([ReceiverReport(THERE), SourceDescription(THERE, ((1, "them"),))]), now=0.0)
    assert (made.counters.received, made.counters.malformed) == (2, 1)


def test_it_ends_with_a_goodbye() -> None:
    made = session()
    made.note_sent(packets=50, octets=8000, timestamp=0, now=0.0)
    made.close(now=1.0, wall_clock=WALL_CLOCK)
    (data,) = made.datagrams_to_send()
    assert [type(packet) for packet in parse_compound(data)] == [SenderReport, SourceDescription, Goodbye]
    assert made.next_timeout() is None
    made.handle_timeout(now=99.0, wall_clock=WALL_CLOCK)
    made.close(now=99.0, wall_clock=WALL_CLOCK)
    made.receive_datagram(compound([ReceiverReport(THERE), Goodbye((THERE,))]), now=99.0)
    assert made.datagrams_to_send() == []


def test_one_that_never_said_anything_leaves_without_a_word() -> None:
    made = session()
    made.close(now=1.0, wall_clock=WALL_CLOCK)
    assert made.datagrams_to_send() == []
    unstarted = session(start=False)
    unstarted.close(now=1.0, wall_clock=WALL_CLOCK)
    assert unstarted.datagrams_to_send() == []


def test_large_reports_of_the_other_side_slow_ours_down() -> None:
    """What both send stays within the bandwidth: section 6.2."""
    big = bytes(ReceiverReport(THERE, tuple(ReportBlock(number, 0, 0, 0, 0) for number in range(31))))
    for seed in range(50):
        made = session(seed=seed)
        for _ in range(100):
            made.receive_datagram(big + big, now=0.1)
        at, _ = first_report(made)
        assert at >= 2 * (2 * len(big) + 28) / 500 / 2 / 1.2183  # 1.03 s would do otherwise


def test_two_sessions_learn_of_each_other() -> None:
    """Over a network with 30 ms each way, and 1 of 20 packets lost."""
    one, other = session(seed=1), RtcpSession(THERE, "other", Random(2))
    other.start(now=0.0)
    delayed: list[tuple[float, RtcpSession, bytes]] = []
    for tick in range(3000):
        now = tick * 0.01
        for me, peer, source in ((one, other, THERE), (other, one, HERE)):
            me.note_sent(packets=tick, octets=tick * 160, timestamp=tick * 160, now=now)
            me.note_received(source, Reception(tick, tick + 1, tick + 1 - tick // 20, 8))
            me.handle_timeout(now=now, wall_clock=WALL_CLOCK + now)
            delayed += [(now + 0.03, peer, data) for data in me.datagrams_to_send()]
        for at, peer, data in [each for each in delayed if each[0] <= now]:
            peer.receive_datagram(data, now=at)
        delayed = [each for each in delayed if each[0] > now]
    for each in (one, other):
        quality = each.quality()
        assert quality.round_trip == pytest.approx(0.060, abs=0.002)
        assert quality.outbound_loss == pytest.approx(0.05, abs=0.01)
        assert quality.inbound_loss == pytest.approx(0.05, abs=0.01)
        assert 3.5 < quality.inbound_mos < 4.0
        assert each.counters.malformed == 0
