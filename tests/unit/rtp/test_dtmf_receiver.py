"""Digits out of telephone-event packets: each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtp import Digit, DtmfReceiver, EventPayload
from rtp.dtmf_receiver import END_WAIT

WRAP = 1 << 32


def drain(receiver: DtmfReceiver) -> list[Digit]:
    digits = []
    while (digit := receiver.next_event()) is not None:
        digits.append(digit)
    return digits


def press(
    receiver: DtmfReceiver, event: int, timestamp: int, durations: list[int], *, ends: int = 3, now: float = 0.0
) -> None:
    """Give updates of each duration, then so many ends with the last one."""
    for duration in durations:
        receiver.receive(bytes(EventPayload(event, duration)), timestamp % WRAP, now=now)
    for _ in range(ends):
        receiver.receive(bytes(EventPayload(event, durations[-1], end=True)), timestamp % WRAP, now=now)


def test_a_digit_is_given_once_at_its_first_end() -> None:
    receiver = DtmfReceiver()
    press(receiver, 5, 1000, [160, 320, 800], ends=1)
    assert drain(receiver) == [Digit("5", 100)]
    press(receiver, 5, 1000, [800])
    assert drain(receiver) == []
    assert receiver.next_timeout() is None
    assert receiver.counters.digits == 1


def test_every_event_has_its_name() -> None:
    receiver = DtmfReceiver()
    for event in range(18):
        press(receiver, event, 2000 * event, [400])
    assert "".join(each.digit for each in drain(receiver)) == "0123456789*#ABCD!"
    assert receiver.counters.ignored == 4  # 17 is no key


def test_the_same_key_twice_is_two_digits_across_the_wrap_of_timestamps() -> None:
    receiver = DtmfReceiver()
    for turn in range(4):
        press(receiver, 7, WRAP - 1000 + 800 * turn, [400])
    assert drain(receiver) == [Digit("7", 50)] * 4


def test_one_end_alone_is_a_digit() -> None:
    receiver = DtmfReceiver()
    receiver.receive(bytes(EventPayload(3, 640, end=True)), 0, now=0.0)
    assert drain(receiver) == [Digit("3", 80)]


def test_an_end_that_is_lost_is_inferred_after_a_while() -> None:
    receiver = DtmfReceiver()
    press(receiver, 9, 0, [160, 560], ends=0, now=4.0)
    assert receiver.next_timeout() == 4.0 + END_WAIT
    receiver.handle_timeout(now=4.0 + END_WAIT - 0.001)
    assert drain(receiver) == []
    receiver.handle_timeout(now=4.0 + END_WAIT)
    assert drain(receiver) == [Digit("9", 70)]
    assert receiver.counters.ends_inferred == 1
    press(receiver, 9, 0, [800], now=5.0)  # it was over, whatever comes now
    receiver.handle_timeout(now=9.0)
    assert drain(receiver) == []


def test_the_next_digit_ends_the_one_before() -> None:
    receiver = DtmfReceiver()
    press(receiver, 1, 0, [160], ends=0)
    press(receiver, 1, 800, [160], ends=0)
    press(receiver, 2, 1600, [160])
    assert drain(receiver) == [Digit("1", 20), Digit("1", 20), Digit("2", 20)]
    assert receiver.counters.ends_inferred == 2


def test_a_digit_that_was_overtaken_by_the_next_is_not_lost() -> None:
    receiver = DtmfReceiver()
    press(receiver, 2, 1600, [160], ends=0)
    press(receiver, 1, 800, [400, 560])
    press(receiver, 0, 0, [400], ends=1)
    press(receiver, 2, 1600, [480])
    assert drain(receiver) == [Digit("1", 50), Digit("0", 50), Digit("2", 60)]
    assert receiver.counters.ends_inferred == 2


def test_a_count_of_time_that_begins_anew_is_no_packet_of_the_past() -> None:
    receiver = DtmfReceiver()
    press(receiver, 1, 500_000, [400])
    press(receiver, 2, 1000, [160, 800])
    assert drain(receiver) == [Digit("1", 50), Digit("2", 100)]
    assert receiver.counters.ends_inferred == 0


def test_a_long_press_comes_in_segments_and_is_one_digit() -> None:
    """RFC 4733, section 2.5.1.3: 20 s at 8 kHz."""
    receiver = DtmfReceiver()
    start = WRAP - 70_000
    press(receiver, 4, start, [0x8000, 0xFFFF], ends=0)
    press(receiver, 4, start + 0xFFFF, [0x8000, 0xFFF0], ends=0)  # the last update is lost
    press(receiver, 4, start, [0xFFFF], ends=0)  # and one of the first segment is late
    press(receiver, 4, start + 2 * 0xFFFF, [160, 160_000 - 2 * 0xFFFF])
    assert drain(receiver) == [Digit("4", 20_000)]


def test_what_is_no_event_is_ignored_and_counted() -> None:
    receiver = DtmfReceiver()
    receiver.receive(b"\x01", 0, now=0.0)
    receiver.receive(bytes(EventPayload(32, 800, end=True)), 0, now=0.0)
    assert drain(receiver) == []
    assert receiver.counters.ignored == 2


def test_digits_that_nobody_takes_are_bounded() -> None:
    receiver = DtmfReceiver()
    for turn in range(150):
        press(receiver, 1, 800 * turn, [400])
    assert len(drain(receiver)) == 100
    assert receiver.counters.dropped == 50
    assert receiver.counters.digits == 150


def test_other_clock_rates_have_other_units() -> None:
    receiver = DtmfReceiver(clock_rate=48000)
    press(receiver, 1, 0, [4800])
    assert drain(receiver) == [Digit("1", 100)]


@given(st.lists(st.tuples(st.binary(max_size=6), st.integers(0, WRAP - 1), st.floats(0, 1)), max_size=60))
def test_nothing_that_comes_breaks_it(packets: list[tuple[bytes, int, float]]) -> None:
    receiver, now = DtmfReceiver(), 0.0
    for payload, timestamp, later in packets:
        now += later
        receiver.handle_timeout(now=now)
        receiver.receive(payload, timestamp, now=now)
        at = receiver.next_timeout()
        assert at is None or at > now
    assert len(drain(receiver)) + receiver.counters.ignored <= len(packets)
