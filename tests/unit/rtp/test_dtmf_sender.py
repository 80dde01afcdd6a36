"""Digits as telephone-event packets, frame by frame."""

from __future__ import annotations

import pytest

from rtp import DtmfSender, EventPacket, EventPayload

WRAP = 1 << 32


def send(sender: DtmfSender, *, frames: int, start: int = 0) -> list[list[EventPacket]]:
    return [sender.packets((start + 160 * frame) % WRAP) for frame in range(frames)]


def test_a_digit_of_100_ms_packet_by_packet() -> None:
    """RFC 4733, section 2.5.1: start with marker, updates that grow, three ends, one timestamp."""
    sender = DtmfSender()
    assert sender.dial("5")
    frames = send(sender, frames=10, start=WRAP - 320)
    packets = [packet for frame in frames for packet in frame]
    assert [len(frame) for frame in frames] == [1] * 7 + [0] * 3
    assert {packet.timestamp for packet in packets} == {WRAP - 320}
    assert [packet.marker for packet in packets] == [True] + [False] * 6
    assert [EventPayload.parse(packet.payload) for packet in packets] == [
        EventPayload(5, 160),
        EventPayload(5, 320),
        EventPayload(5, 480),
        EventPayload(5, 640),
        *[EventPayload(5, 800, end=True)] * 3,
    ]
    assert not sender.busy


def test_between_digits_is_a_pause() -> None:
    sender = DtmfSender()
    sender.dial("12")
    assert sender.busy
    packets = [packet for frame in send(sender, frames=20) for packet in frame]
    starts = {EventPayload.parse(packet.payload).event: packet.timestamp for packet in packets}
    assert starts == {1: 0, 2: 800 + 480}


def test_a_digit_dialled_later_still_keeps_the_pause() -> None:
    sender = DtmfSender()
    sender.dial("1")
    send(sender, frames=7)
    sender.dial("2")
    frames = send(sender, frames=10, start=7 * 160)
    assert frames[0] == []  # 60 ms have not passed before 1280
    assert frames[1][0].timestamp == 1280


def test_a_digit_long_after_another_begins_at_once() -> None:
    sender = DtmfSender()
    sender.dial("1")
    send(sender, frames=7)
    sender.dial("2")
    assert send(sender, frames=1, start=160_000)[0][0].timestamp == 160_000


def test_twenty_digits_a_second() -> None:
    """25 ms each, 25 ms apart: starts fall between the frames, and the ends have to share them."""
    sender = DtmfSender()
    assert sender.dial("0123456789" * 2, duration_ms=25)
    packets = [packet for frame in send(sender, frames=51) for packet in frame]
    assert not sender.busy
    events = [(packet.timestamp, EventPayload.parse(packet.payload)) for packet in packets]
    ends = [(timestamp, event) for timestamp, event in events if event.end]
    assert ends == [(400 * turn, EventPayload(turn % 10, 200, end=True)) for turn in range(20) for _ in range(3)]
    assert sum(packet.marker for packet in packets) == 20
    assert events == sorted(events, key=lambda each: (each[0], each[1].duration))


def test_frames_that_are_skipped_count_as_time() -> None:
    sender = DtmfSender()
    sender.dial("1")
    sender.packets(0)
    assert EventPayload.parse(sender.packets(1600)[0].payload) == EventPayload(1, 800, end=True)


def test_durations_stay_within_what_one_event_can_say() -> None:
    for asked, sent in ((0, 200), (25, 200), (8000, 64_000), (100_000, 64_000)):
        sender = DtmfSender()
        sender.dial("1", duration_ms=asked)
        packets = [packet for frame in send(sender, frames=500) for packet in frame]
        assert EventPayload.parse(packets[-1].payload).duration == sent


def test_what_has_not_begun_can_be_cleared() -> None:
    sender = DtmfSender()
    sender.dial("123")
    sender.packets(0)
    sender.clear()
    packets = [packet for frame in send(sender, frames=50, start=160) for packet in frame]
    assert {EventPayload.parse(packet.payload).event for packet in packets} == {1}
    sender.clear()
    assert not sender.busy


def test_too_many_digits_are_refused_as_a_whole() -> None:
    sender = DtmfSender()
    assert sender.dial("1" * 99)
    assert not sender.dial("22")
    assert sender.dial("3")
    assert not sender.dial("4")


def test_what_is_no_digit_is_named() -> None:
    sender = DtmfSender()
    with pytest.raises(ValueError, match="'x' is not a digit"):
        sender.dial("12x")
    assert not sender.busy


def test_other_clock_rates_have_other_units() -> None:
    sender = DtmfSender(clock_rate=48000, frame=960)
    sender.dial("1")
    packets = [packet for frame in range(10) for packet in sender.packets(960 * frame)]
    assert EventPayload.parse(packets[-1].payload) == EventPayload(1, 4800, end=True)
