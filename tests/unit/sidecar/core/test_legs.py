"""What is in a leg beside its audio: reports, digits, silence, keys."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rtp import (
    Goodbye,
    MediaPlane,
    ReceiverReport,
    ReportBlock,
    RtpPacket,
    Srtp,
    UnknownSources,
    address_key,
    compound,
    parse_compound,
)
from sidecar.core.legs import ONE_PORT_REMEDY, PORTS_REMEDY, Legs, port_key
from sidecar.core.link import DigitHeard, MediaLost, NothingHeard
from sidecar.core.silence_watch import MediaTimeouts
from tests.support.leg_end import HOSTS, KEYS, RTP_PORT, SUITE, LegEnd, call, leg_to, secure_leg_to
from tests.support.simulation import Simulation

STRANGER = address_key("203.0.113.7", 9)
NOISE = bytes(RtpPacket(13, 0, 0, 9, b"\x40"))


def alone(*, timeouts: MediaTimeouts | None = None, tones: bool = False) -> LegEnd:
    """Return an end to which nobody sends."""
    end = LegEnd(Simulation(seed=1), 0, leg_to(1), timeouts=timeouts, tones=tones)
    end.legs.start(end.row, receives=True, now=0.0)
    return end


def wait(end: LegEnd, seconds: float) -> None:
    for _ in range(round(seconds / 0.1)):
        end.simulation.now += 0.1
        end.let_time_pass()


def packets(count: int, *, payload_type: int = 0) -> list[bytes]:
    return [bytes(RtpPacket(payload_type, number, 160 * number, 9, b"\xff" * 160)) for number in range(count)]


# --- rows


def test_legs_need_rows_and_addresses_of_their_own() -> None:
    simulation = Simulation(seed=1)
    end = LegEnd(simulation, 0, leg_to(1))
    assert end.legs.open("second", leg_to(1)) is None
    second = end.legs.open("second", None)
    assert second is not None
    assert not end.legs.change(second, leg_to(1), now=0.0)
    assert end.legs.change(second, leg_to(0), now=0.0)
    assert end.legs.open("third", None) is None
    end.legs.close(second, now=0.0, wall_clock=0.0)
    assert end.plane.calls == 1


def test_legs_with_ports_of_their_own_may_say_the_same_address() -> None:
    plane = MediaPlane(2, Simulation(seed=1).random)
    legs = Legs(plane, random=Simulation(seed=1).random, timeouts=MediaTimeouts())
    rows = [legs.open("stream", leg_to(1), port=port, unknown=UnknownSources()) for port in (20000, 20002)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert legs.change(rows[0], leg_to(0), now=0.0)


@pytest.mark.parametrize("tones", [False, True])
def test_a_leg_that_has_left_keeps_its_row_and_gives_up_its_address(tones: bool) -> None:
    end = alone(timeouts=MediaTimeouts(first=1.0, later=1.0), tones=tones)
    end.legs.leave(end.row, now=0.0)
    wait(end, 30.0)
    assert end.legs.next_event() is None, "its silence means nothing"
    assert end.legs.reports_to_send() == []
    another = end.legs.open("another", leg_to(1))
    assert another is not None
    assert another != end.row
    end.legs.close(end.row, now=30.0, wall_clock=30.0)
    assert end.plane.calls == 1


# --- reports


@pytest.mark.parametrize("muxed", [False, True])
def test_reports_go_where_they_are_wanted_and_end_with_a_goodbye(muxed: bool) -> None:
    simulation = Simulation(seed=2)
    port = RTP_PORT if muxed else RTP_PORT + 1
    one, other = call(simulation, one=leg_to(1, rtcp_port=port), other=leg_to(0, rtcp_port=port))
    simulation.run(until=20.0)
    one.legs.close(one.row, now=simulation.now, wall_clock=simulation.now)
    one.send_reports()
    assert len(one.reports) in range(4, 10)
    assert {report.destination for report in one.reports} == {address_key(HOSTS[1], port)}
    assert {report.muxed for report in one.reports} == {muxed}
    assert isinstance(parse_compound(one.reports[-1].data)[-1], Goodbye)
    stats = other.legs.close(other.row, now=simulation.now, wall_clock=simulation.now)
    assert stats.round_trip_ms is not None
    assert stats.remote_mos is not None


def test_without_a_port_for_them_there_are_no_reports() -> None:
    end = LegEnd(Simulation(seed=1), 0, leg_to(1, rtcp_port=0))
    end.legs.start(end.row, receives=True, now=0.0)
    wait(end, 20.0)
    assert end.reports == []
    stats = end.legs.close(end.row, now=20.0, wall_clock=20.0)
    assert (stats.round_trip_ms, stats.mos, stats.remote_mos) == (None, None, None)


def test_reports_of_strangers_are_not_heard() -> None:
    end = alone()
    ssrc = end.plane.sending.sent(end.row).ssrc
    lie = compound([ReceiverReport(9, (ReportBlock(ssrc, 255, 9, 0, 0),))])
    end.receive_report(lie, STRANGER)
    secure = LegEnd(Simulation(seed=1), 0, secure_leg_to(1))
    secure.receive_report(lie)  # not encrypted
    for each in (end, secure):
        assert each.legs.close(each.row, now=1.0, wall_clock=1.0).remote_mos is None
    assert end.legs.counts()["rtcp_dropped"]["unknown_source"] == 1
    assert secure.legs.counts()["rtcp_dropped"]["unauthentic"] == 1


def test_reports_go_along_when_a_call_moves_and_nobody_takes_those_of_another() -> None:
    end = alone()
    assert end.legs.change(end.row, leg_to(0), now=0.0)
    wait(end, 10.0)
    assert {report.destination for report in end.reports} == {address_key(HOSTS[0], RTP_PORT + 1)}
    second = end.legs.open("second", leg_to(0, port=RTP_PORT + 8))  # with the RTCP port of the first
    assert second is not None
    end.legs.close(second, now=end.simulation.now, wall_clock=0.0)
    end.receive_report(compound([ReceiverReport(9)]), address_key(HOSTS[0], RTP_PORT + 1))
    assert end.legs._rtcp.counters.unknown_source == 0


def test_a_row_that_is_another_call_now_gets_no_report_of_the_one_before() -> None:
    end = alone()
    end.legs.close(end.row, now=0.0, wall_clock=0.0)
    row = end.legs.open("second", leg_to(1))
    assert row == end.row
    wait(end, 10.0)
    assert end.reports == []
    assert end.legs._rtcp.next_timeout() is None


# --- digits


def press(end: LegEnd, *, first: int = 0) -> None:
    """Let one and the same key arrive in three packets, numbered from `first`."""
    for number, duration in enumerate((160, 320, 320)):
        payload = bytes([5, 0x80 if number > 1 else 0]) + duration.to_bytes(2)
        end.receive(bytes(RtpPacket(101, first + number, 800, 9, payload)))
    end.let_time_pass()


def test_a_digit_is_told_once() -> None:
    end = alone()
    press(end)
    press(end, first=3)
    assert end.said == [DigitHeard("stream", "5", 40, "rfc4733")]
    assert end.legs.counts()["dtmf_digits"] == {"": 1}


def test_a_digit_without_an_end_is_told_when_nothing_more_comes() -> None:
    end = alone()
    end.receive(bytes(RtpPacket(101, 0, 800, 9, bytes([7, 0, 0, 160]))))
    wait(end, 0.1)
    assert end.said == []
    wait(end, 0.3)
    assert end.said == [DigitHeard("stream", "7", 20, "rfc4733")]


def test_digits_are_understood_across_a_change_of_codec() -> None:
    end = alone()
    press(end)
    assert end.legs.change(end.row, leg_to(1, codec="PCMA"), now=0.0)
    assert end.legs.change(end.row, leg_to(1, codec="L16_16K"), now=0.0)
    end.receive(bytes(RtpPacket(101, 3, 9800, 9, bytes([6, 0x80]) + (1600).to_bytes(2))))
    end.let_time_pass()
    assert [said.digit for said in end.said if isinstance(said, DigitHeard)] == ["5", "6"]
    assert isinstance(end.said[-1], DigitHeard)
    assert end.said[-1].duration_ms == 100
    end.legs.close(end.row, now=1.0, wall_clock=1.0)


@pytest.mark.parametrize("codec", ["L16_8K", "L16_16K"])
def test_tones_are_digits_of_who_sends_no_events(codec: str) -> None:
    leg = leg_to(1, codec=codec, telephone_event_payload_type=None)
    end = LegEnd(Simulation(seed=1), 0, leg, tones=True)
    rate = end.plane.codec(end.row).sample_rate
    time = np.arange(rate // 5) / rate
    pcm = sum(8000 * np.sin(2 * np.pi * hz * time) for hz in (770, 1336)) * (time < 0.1)
    samples = rate // 50
    for at in range(0, len(pcm), samples):
        payload = pcm[at : at + samples].astype(">i2").tobytes()
        end.receive(bytes(RtpPacket(0, at // samples, at, 9, payload)))
    end.let_time_pass()
    (said,) = end.said
    assert isinstance(said, DigitHeard)
    assert (said.digit, said.source) == ("5", "inband")
    end.legs.close(end.row, now=1.0, wall_clock=1.0)


def test_tones_mean_nothing_where_events_are_agreed_on() -> None:
    end = alone(tones=True)
    for packet in packets(5):
        end.receive(packet)
    second = end.legs.open("second", leg_to(0, telephone_event_payload_type=None))
    assert second is not None
    for packet in packets(10)[5:]:  # of the first, while the second is watched
        end.receive(packet)
    end.let_time_pass()
    assert end.said == []


# --- silence


def test_who_is_heard_from_elsewhere_is_told_of_after_two_seconds_and_not_at_once_again() -> None:
    end = alone()
    for turn in range(60):
        for packet in packets(10):
            end.receive(packet, STRANGER)
        wait(end, 0.1)
        if turn < 19 or turn > 26:
            assert bool(end.said) == (turn > 26), turn
    assert end.said == [NothingHeard("stream", f"{HOSTS[1]}:{RTP_PORT}", "203.0.113.7:9", ONE_PORT_REMEDY)]


def test_a_port_of_its_own_has_its_own_strangers() -> None:
    plane, unknown = MediaPlane(1, Simulation(seed=1).random), UnknownSources()
    legs = Legs(plane, random=Simulation(seed=1).random, timeouts=MediaTimeouts())
    row = legs.open("stream", leg_to(1), port=20000, unknown=unknown)
    assert row is not None
    legs.start(row, receives=True, now=0.0)
    unknown.note(np.full(20, STRANGER, np.uint64), now=2.4)
    legs.handle_timeout(now=2.5, wall_clock=0.0)
    said = legs.next_event()
    assert isinstance(said, NothingHeard)
    assert said.why == PORTS_REMEDY
    assert port_key(20000) != STRANGER


@pytest.mark.parametrize(("talks", "seconds"), [(False, 3.0), (True, 5.0)])
def test_a_call_without_rtp_is_told_of_once(talks: bool, seconds: float) -> None:
    end = alone(timeouts=MediaTimeouts(first=3.0, later=5.0))
    if talks:
        end.receive(packets(1)[0])
    wait(end, seconds - 0.5)
    assert end.said == []
    wait(end, 5.0)
    (lost,) = end.said
    assert isinstance(lost, MediaLost)
    assert lost.ever == talks
    assert lost.seconds == pytest.approx(seconds, abs=0.6)


def test_hold_and_announced_silence_are_no_loss() -> None:
    end = alone(timeouts=MediaTimeouts(first=3.0, later=3.0))
    end.legs.start(end.row, receives=False, now=0.0)
    wait(end, 10.0)
    end.legs.start(end.row, receives=True, now=end.simulation.now)
    end.legs.start(end.row, receives=True, now=end.simulation.now)
    end.receive(packets(1)[0])
    end.receive(bytes(RtpPacket(13, 1, 160, 9, b"\x40")))
    wait(end, 10.0)
    assert end.said == []


# --- keys


def test_the_same_keys_go_on_counting_and_others_begin_anew() -> None:
    end = LegEnd(Simulation(seed=1), 0, secure_leg_to(1))
    before = end.plane.gate.srtp(end.row)
    assert end.legs.change(end.row, msgspec.structs.replace(secure_leg_to(1), port=RTP_PORT + 2), now=0.0)
    assert end.plane.gate.srtp(end.row) is before
    assert end.legs.change(end.row, secure_leg_to(1, KEYS[::-1]), now=0.0)
    assert end.plane.gate.srtp(end.row) is not before
    end.receive(packets(1)[0])
    assert end.plane.gate.counters.unauthentic == 1
    assert end.legs.change(end.row, secure_leg_to(1), now=0.0)
    end.receive(packets(1)[0])
    assert end.legs.stats(end.row).packets_unauthentic == 2
    end.legs.leave(end.row, now=0.0)
    stats = end.legs.close(end.row, now=0.0, wall_clock=0.0)
    assert stats.packets_unauthentic == 2


def test_what_comes_late_with_the_former_keys_is_not_refused_and_a_row_begins_anew() -> None:
    end = LegEnd(Simulation(seed=1), 0, secure_leg_to(1))
    peer = Srtp(send_suite=SUITE, send_key=KEYS[1], receive_suite=SUITE, receive_key=KEYS[0])
    first, late = map(peer.protect, packets(2))
    end.receive(first)
    assert end.legs.change(end.row, secure_leg_to(1, (b"z" * 30, b"Z" * 30)), now=0.0)
    end.receive(late)
    assert end.legs.stats(end.row).packets_unauthentic == 0
    end.receive(late)
    assert end.legs.close(end.row, now=0.0, wall_clock=0.0).packets_unauthentic == 1
    row = end.legs.open("another", secure_leg_to(1))
    assert row == end.row
    assert end.legs.stats(row).packets_unauthentic == 0


def test_keys_that_come_back_go_on_where_they_were() -> None:
    end = LegEnd(Simulation(seed=1), 0, secure_leg_to(1))
    first = end.plane.gate.srtp(end.row)
    for number in range(7):
        assert end.legs.change(end.row, secure_leg_to(1, (bytes([number]) * 30, b"B" * 30)), now=0.0)
    assert end.legs.change(end.row, secure_leg_to(1), now=0.0)
    assert end.plane.gate.srtp(end.row) is first
    assert end.legs.change(end.row, secure_leg_to(1, (b"z" * 30, b"B" * 30)), now=0.0)
    assert end.legs.change(end.row, secure_leg_to(1), now=0.0)  # the oldest are forgotten
    assert end.plane.gate.srtp(end.row) is not first


def test_digits_can_be_sent_while_there_is_room() -> None:
    end = alone()
    assert end.legs.dial(end.row, "1" * 100, duration_ms=100)
    assert not end.legs.dial(end.row, "1", duration_ms=100)
