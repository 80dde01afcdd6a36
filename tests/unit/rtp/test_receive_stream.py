"""The received audio of one call: whatever the network does, it comes out in order, whole and on time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import Codec, Pcm, ReceiveCounters, ReceiveStream, RtpPacket
from rtp.concealment import Concealment
from rtp.g711 import decode_one
from rtp.opus import OpusEncoder
from rtp.receive_limits import (
    CONCEALMENT_LEAD,
    FARTHEST_AHEAD,
    FARTHEST_BEHIND,
    MOST_FRAMES,
    PAUSE_AFTER,
    PAUSE_LEAD,
    REORDER_WAIT,
)

PTIME = 0.020


def packet(
    number: int,
    *,
    first: int = 1000,
    ssrc: int = 7,
    samples: int = 160,
    payload_type: int = 0,
    payload: bytes | None = None,
) -> RtpPacket:
    """Return packet `number` of a talk; its payload is like no other's."""
    return RtpPacket(
        payload_type=payload_type,
        sequence_number=(first + number) % (1 << 16),
        timestamp=samples * number % (1 << 32),
        ssrc=ssrc,
        payload=Random(number).randbytes(samples) if payload is None else payload,
    )


def sound(numbers: Iterable[int], *, samples: int = 160) -> Pcm:
    """Return what the packets `numbers` hold."""
    payload = b"".join(packet(number, samples=samples).payload for number in numbers)
    return decode_one(payload, Codec.PCMU)


def concealed(before: Pcm, samples: int, after: Pcm | None = None) -> Pcm:
    """Return what is heard in a gap of so many samples, and `after` it."""
    concealment = Concealment(before[-480:], 8000)
    heard = concealment.take(samples)
    if after is None:
        return heard
    return np.concatenate([heard, concealment.join(after) if concealment.is_audible else after])


def taken(stream: ReceiveStream) -> Pcm:
    """Take all that is ready."""
    frames = stream.take_frames()
    assert all(frame.shape == (160,) for frame in frames)
    return np.concatenate([np.empty(0, np.int16), *frames])


def new_stream() -> ReceiveStream:
    return ReceiveStream(Codec.PCMU, payload_type=0)


def fed(stream: ReceiveStream, numbers: Sequence[int], *, first: int = 1000, samples: int = 160) -> Pcm:
    """Feed packets 20 ms apart; return what is ready at once."""
    for at, number in enumerate(numbers):
        stream.receive(packet(number, first=first, samples=samples), now=PTIME * at)
    return taken(stream)


def same(left: Pcm, right: Pcm) -> bool:
    return left.tobytes() == right.tobytes()


def test_packets_in_order_are_passed_on_at_once() -> None:
    stream = new_stream()
    for number in range(5):
        stream.receive(packet(number), now=PTIME * number)
        assert stream.has_frames
        assert same(taken(stream), sound([number]))
        assert stream.next_timeout() is None
        assert stream.settled
    assert not stream.has_frames
    assert stream.counters == ReceiveCounters(received=5)


def test_a_lost_packet_is_concealed_after_60_ms() -> None:
    stream = new_stream()
    assert same(fed(stream, [0, 1, 3]), sound([0, 1]))
    assert not stream.settled
    deadline = 2 * PTIME + REORDER_WAIT
    assert stream.next_timeout() == deadline
    stream.handle_timeout(now=deadline - 0.001)
    assert not stream.has_frames
    stream.handle_timeout(now=deadline)
    assert same(taken(stream), concealed(sound([0, 1]), 160, sound([3])))
    assert stream.next_timeout() is None
    assert stream.settled
    assert stream.counters == ReceiveCounters(received=3, lost=1, concealed=1)


def test_a_long_gap_fades_to_silence() -> None:
    stream = new_stream()
    fed(stream, [0, 6])
    stream.handle_timeout(now=1.0)
    heard = taken(stream)
    assert len(heard) == 6 * 160
    assert same(heard, concealed(sound([0]), 800, sound([6])))
    assert not heard[480:800].any()
    assert stream.counters.lost == stream.counters.concealed == 5


def test_a_fade_begins_anew_after_a_packet_was_played() -> None:
    stream = new_stream()
    fed(stream, [0, 2, 4])
    stream.handle_timeout(now=1.0)
    heard = taken(stream)
    first = concealed(sound([0]), 160, sound([2]))
    assert same(heard, np.concatenate([first, concealed(np.concatenate([sound([0]), first]), 160, sound([4]))]))


def test_two_gaps_wait_each_for_its_own_time() -> None:
    stream = new_stream()
    stream.receive(packet(0), now=0.0)
    stream.receive(packet(2), now=0.010)
    stream.receive(packet(4), now=0.050)
    taken(stream)
    assert stream.next_timeout() == 0.010 + REORDER_WAIT
    stream.handle_timeout(now=0.075)
    assert same(taken(stream), concealed(sound([0]), 160, sound([2])))
    assert stream.next_timeout() == 0.050 + REORDER_WAIT
    stream.receive(packet(3), now=0.080)
    assert same(taken(stream), sound([3, 4]))
    assert stream.counters == ReceiveCounters(received=4, lost=1, concealed=1)


@given(st.integers(0, 65535), st.lists(st.integers(0, 3), min_size=2, max_size=40))
def test_packets_up_to_three_places_late_are_put_back_in_order(first: int, delays: list[int]) -> None:
    order = sorted(range(1, len(delays)), key=lambda number: number + delays[number] + number / 1000)
    stream = new_stream()
    heard = fed(stream, [0, *order], first=first)
    assert same(heard, sound(range(len(delays))))
    assert stream.counters == ReceiveCounters(received=len(delays))
    assert stream.settled


@given(st.integers(0, 65535), st.lists(st.integers(0, 12), max_size=30))
def test_a_repeated_packet_is_heard_once(first: int, repeated: list[int]) -> None:
    stream = new_stream()
    order = sorted([*range(13), *repeated])
    assert same(fed(stream, order, first=first), sound(range(13)))
    assert stream.counters == ReceiveCounters(received=len(order), duplicate=len(repeated))


def test_a_repeated_packet_that_waits_is_a_duplicate_too() -> None:
    stream = new_stream()
    assert same(fed(stream, [0, 2, 2, 1]), sound([0, 1, 2]))
    assert stream.counters == ReceiveCounters(received=4, duplicate=1)


def test_a_packet_that_comes_after_it_was_concealed_is_late_and_not_heard() -> None:
    stream = new_stream()
    fed(stream, [0, 3])
    stream.handle_timeout(now=1.0)
    taken(stream)
    for number in (1, 1, 2, 0):
        stream.receive(packet(number), now=1.0)
    assert not stream.has_frames
    assert stream.counters == ReceiveCounters(received=6, lost=2, late=2, duplicate=2, concealed=2)
    assert same(fed(stream, [4]), sound([4]))


def test_sequence_numbers_wrap_around_with_a_gap_across_the_end() -> None:
    stream = new_stream()
    assert same(fed(stream, [0, 1, 3], first=65534), sound([0, 1]))
    stream.handle_timeout(now=1.0)
    taken(stream)
    assert same(fed(stream, [4, 5], first=65534), sound([4, 5]))
    assert stream.counters == ReceiveCounters(received=5, lost=1, concealed=1)


def test_a_new_ssrc_is_believed_at_the_second_packet_and_heard_from_the_first() -> None:
    stream = new_stream()
    fed(stream, [0, 2, 4])
    stream.receive(packet(5, first=40_000, ssrc=8), now=0.1)
    assert not stream.has_frames
    stream.receive(packet(6, first=40_000, ssrc=8), now=0.12)
    assert same(taken(stream), sound([2, 4, 5, 6]))
    assert stream.counters == ReceiveCounters(received=5, restarts=1)
    stream.receive(packet(7, first=40_000, ssrc=8), now=0.14)
    assert same(taken(stream), sound([7]))
    assert stream.settled


def test_two_sources_at_once_do_not_take_turns() -> None:
    stream = new_stream()
    fed(stream, [0])
    for number in range(1, 9):
        stream.receive(packet(number), now=0.1)
        stream.receive(packet(number, first=40_000, ssrc=8), now=0.1)
    assert same(taken(stream), sound(range(1, 9)))
    assert stream.counters.restarts == 0
    stream.receive(packet(9, first=40_000, ssrc=8), now=0.12)
    assert same(taken(stream), sound([8, 9]))


@pytest.mark.parametrize("jump", [FARTHEST_AHEAD + 1, 30_000, -30_000, -FARTHEST_BEHIND - 2])
def test_a_jump_of_the_sequence_number_is_believed_at_the_second_packet(jump: int) -> None:
    stream = new_stream()
    fed(stream, [0, 1])
    for number in (2, 3, 4):
        stream.receive(packet(number, first=1000 + jump), now=0.1)
    assert same(taken(stream), sound([2, 3, 4]))
    assert stream.counters == ReceiveCounters(received=5, restarts=1)
    assert stream.settled


def test_one_stray_packet_changes_nothing() -> None:
    stream = new_stream()
    fed(stream, [0, 1])
    stream.receive(packet(2, first=31_000), now=0.05)
    assert not stream.settled
    stream.receive(packet(2), now=0.06)
    assert stream.settled
    stream.receive(packet(3, first=31_000), now=0.07)  # it was not the second in a row
    assert same(taken(stream), sound([2]))
    assert stream.counters == ReceiveCounters(received=5, ignored=2)


def test_a_stray_packet_that_comes_twice_is_not_a_second_one() -> None:
    stream = new_stream()
    fed(stream, [0])
    for _ in range(3):
        stream.receive(packet(5, first=31_000), now=0.05)
    assert not stream.has_frames
    assert stream.counters == ReceiveCounters(received=4, ignored=3)


def test_the_farthest_gap_is_filled_and_one_more_is_not() -> None:
    near, far = new_stream(), new_stream()
    for stream, ahead in ((near, FARTHEST_AHEAD), (far, FARTHEST_AHEAD + 1)):
        fed(stream, [0])
        stream.receive(packet(1 + ahead), now=PTIME * ahead)
        stream.handle_timeout(now=PTIME * ahead + REORDER_WAIT)
    assert len(taken(near)) == 160 * (FARTHEST_AHEAD + 1)
    assert not far.has_frames
    assert near.counters.lost == FARTHEST_AHEAD
    assert far.counters.lost == 0


def test_the_farthest_late_packet_is_still_known_as_late() -> None:
    stream = new_stream()
    fed(stream, [0, 1 + FARTHEST_BEHIND - 1])
    stream.handle_timeout(now=1.0)
    stream.receive(packet(1), now=1.0)
    assert stream.counters.late == 1
    assert stream.expected_sequence == 1000 + FARTHEST_BEHIND + 1


@pytest.mark.parametrize("samples", [80, 240, 320, 480, 333])
def test_packets_of_any_length_become_frames_of_20_ms(samples: int) -> None:
    stream = new_stream()
    heard = [fed(stream, [number], samples=samples) for number in range(20)]
    whole = sound(range(20), samples=samples)
    assert same(np.concatenate(heard), whole[: len(whole) // 160 * 160])
    for number, part in enumerate(heard):
        assert len(part) == (number + 1) * samples // 160 * 160 - number * samples // 160 * 160


@pytest.mark.parametrize("samples", [80, 320, 480])
def test_a_gap_is_as_long_as_the_packets_around_it(samples: int) -> None:
    stream = new_stream()
    fed(stream, [0, 1, 4, 5, 6, 7], samples=samples)
    stream.handle_timeout(now=1.0)
    rest = len(taken(stream))
    assert stream.expected_sequence == 1008
    assert rest == 6 * samples if samples != 80 else rest + 160 == 8 * samples
    assert stream.counters.lost == 2


@pytest.mark.parametrize("odd", [{"payload_type": 102}, {"payload": b""}, {"payload": bytes(481)}])
def test_a_packet_that_cannot_be_heard_is_counted_and_its_time_is_filled(odd: dict[str, Any]) -> None:
    stream = new_stream()
    stream.receive(packet(0, **odd), now=0.0)
    assert not stream.has_frames
    heard = fed(stream, [1, 2])
    stream.receive(packet(3, **odd), now=0.1)
    assert stream.settled
    stream.receive(packet(4), now=0.1)
    assert len(taken(stream)) == 2 * 160
    assert same(heard, sound([1, 2]))
    assert stream.counters == ReceiveCounters(received=5, ignored=2, filled_ms=20)


def test_a_loss_before_the_first_sound_takes_no_time() -> None:
    """Nobody knows yet how long a packet is."""
    stream = new_stream()
    stream.receive(packet(0, payload_type=101), now=0.0)
    stream.receive(packet(3), now=0.0)
    stream.handle_timeout(now=REORDER_WAIT)
    assert same(taken(stream), sound([3]))
    assert stream.counters.lost == 2


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_each_codec_is_decoded_as_such(codec: Codec) -> None:
    stream = ReceiveStream(codec, payload_type=96)
    stream.receive(packet(0, payload_type=96), now=0.0)
    assert same(taken(stream), decode_one(packet(0).payload, codec))


def test_packets_decoded_elsewhere_are_taken_note_of() -> None:
    stream = new_stream()
    fed(stream, [0, 2])
    stream.handle_timeout(now=1.0)
    taken(stream)
    payloads = [packet(number).payload for number in (3, 4, 5)]
    stream.skip(payloads, packets=3, sequence=1006, timestamp=160 * 6, now=0.5)
    stream.receive(packet(7), now=1.0)
    stream.handle_timeout(now=2.0)
    assert same(taken(stream), concealed(sound([3, 4, 5]), 160, sound([7])))
    assert stream.counters == ReceiveCounters(received=6, lost=2, concealed=2)


@given(
    st.integers(0, 65535),
    st.sampled_from([80, 160, 240, 320]),
    st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.booleans()), max_size=60),
    st.integers(0, 100),
)
def test_as_much_comes_out_as_went_in(
    first: int, samples: int, fates: list[tuple[bool, int, bool]], tick_ms: int
) -> None:
    """For each packet up to the last that arrived; less than a frame may wait for more."""
    arrivals = [(0.0, 0)]
    for number, (lost, late_by, twice) in enumerate(fates, 1):
        if not lost:
            arrivals += [(PTIME * (number + late_by) + number / 1e6, number)] * (1 + twice)
    stream, pieces = new_stream(), []
    for at, number in sorted(arrivals):
        if tick_ms and int(at * 1000) % (tick_ms + 1) == 0:
            stream.handle_timeout(now=at)
        stream.receive(packet(number, first=first, samples=samples), now=at)
        pieces.append(taken(stream))
    stream.handle_timeout(now=sorted(arrivals)[-1][0] + REORDER_WAIT)
    heard = np.concatenate([*pieces, taken(stream)])
    last = max(number for _, number in arrivals)
    assert len(heard) == (last + 1) * samples // 160 * 160
    assert stream.counters.concealed == stream.counters.lost
    assert stream.counters.received == len(arrivals)
    assert stream.counters.restarts == stream.counters.ignored == 0
    distinct = len({number for _, number in arrivals})
    assert stream.counters.lost - stream.counters.late == last + 1 - distinct


def test_a_restart_pads_what_is_left_of_a_source_with_other_packet_sizes() -> None:
    stream = ReceiveStream(Codec.PCMU, 0)
    stream.receive(RtpPacket(0, 1, 0, ssrc=1, payload=bytes([0x80]) * 240), now=0.0)  # 30 ms
    for number in (7, 8):
        stream.receive(RtpPacket(0, number, 160 * number, ssrc=2, payload=bytes([0x80]) * 160), now=0.03)
    first, second, third, _ = stream.take_frames()
    assert first.all()
    assert second[:80].all()
    assert not second[80:].any()
    assert third.all()
    assert stream.settled


def test_no_more_is_concealed_than_time_has_passed() -> None:
    stream = new_stream()
    fed(stream, [0])
    stream.receive(packet(91), now=0.02)
    stream.handle_timeout(now=0.1)
    assert len(taken(stream)) <= 160 * 2 + 8000 * (0.02 + CONCEALMENT_LEAD)
    assert stream.counters.lost == 90
    assert stream.counters.concealed <= 1 + (0.02 + CONCEALMENT_LEAD) / PTIME


def test_jumps_all_at_once_are_not_filled_again_and_again() -> None:
    stream = new_stream()
    fed(stream, [0])
    for number in range(1, 30):
        stream.receive(packet(99 * number, payload=bytes(480)), now=0.0)
        stream.handle_timeout(now=1.0)
        stream.take_frames()
    assert stream.counters.concealed <= 1 + CONCEALMENT_LEAD / PTIME


def test_a_flood_is_heard_up_to_a_bound() -> None:
    stream = new_stream()
    for number in range(MOST_FRAMES + 7):
        stream.receive(packet(number), now=0.0)
    assert len(stream.take_frames()) == MOST_FRAMES
    assert stream.counters.overrun_frames == 7


def test_another_codec_follows_without_a_gap_and_what_is_late_is_heard_in_the_one_before() -> None:
    stream = new_stream()
    fed(stream, [0])
    stream.receive(packet(2), now=0.0)
    stream.change(Codec.PCMA, 8)
    stream.change(Codec.PCMA, 8)  # nothing new
    stream.receive(packet(1), now=0.0)
    stream.receive(packet(3, payload_type=8), now=0.0)
    stream.receive(packet(4, payload_type=96), now=0.0)
    last = decode_one(packet(3).payload, Codec.PCMA)
    assert taken(stream).tolist() == [*sound([0, 1, 2])[160:].tolist(), *last.tolist()]
    assert stream.counters == ReceiveCounters(received=5, ignored=1)


def test_what_is_missing_after_a_change_is_concealed_by_what_was_heard_before() -> None:
    stream = new_stream()
    heard = fed(stream, [0])
    stream.change(Codec.PCMA, 8)
    stream.receive(packet(2, payload_type=8), now=PTIME)
    stream.handle_timeout(now=1.0)
    assert taken(stream)[:160].tolist() == concealed(heard, 160).tolist()


# --- time that passes by timestamps


def late_packet(number: int, *, pause: int, **more: Any) -> RtpPacket:
    """Return packet `number`, whose timestamp is `pause` samples later than that of all that was sent."""
    return replace(packet(number, **more), timestamp=(160 * number + pause) % (1 << 32))


def level(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


def test_a_pause_that_was_not_sent_takes_its_time() -> None:
    stream = new_stream()
    fed(stream, [0])
    stream.receive(late_packet(1, pause=8000), now=1.02)
    assert stream.settled
    heard = taken(stream)
    assert len(heard) == 8000 + 160
    assert same(heard[-160:], sound([1]))
    assert 0 < level(heard[480:8000]) < 110
    assert stream.counters == ReceiveCounters(received=2, filled_ms=1000)


def test_a_clock_that_is_set_is_no_pause() -> None:
    """No more time can have passed than has; backwards it cannot go at all."""
    for jump in (80_000, 1 << 31, -8000, -(1 << 30)):
        stream = new_stream()
        fed(stream, [0])
        stream.receive(late_packet(1, pause=jump), now=0.02)
        stream.receive(late_packet(2, pause=jump), now=0.04)
        assert len(taken(stream)) <= 2 * 160 + 8000 * (PAUSE_LEAD + 0.02), jump
        assert stream.settled


def test_timestamps_wrap_around_in_a_pause() -> None:
    stream = new_stream()
    stream.receive(replace(packet(0), timestamp=(1 << 32) - 200), now=0.0)
    stream.receive(replace(packet(1), timestamp=760), now=0.12)
    assert len(taken(stream)) == 800 + 320


def test_a_pause_in_which_a_packet_was_lost_is_concealed_then_filled() -> None:
    stream = new_stream()
    fed(stream, [0])
    stream.receive(late_packet(2, pause=4000), now=0.54)
    stream.handle_timeout(now=0.7)
    assert len(taken(stream)) == 160 + 4000 + 160
    assert stream.counters == ReceiveCounters(received=2, lost=1, concealed=1, filled_ms=500)


@pytest.mark.parametrize("decibels", [30, 45, 60])
def test_comfort_noise_has_the_level_that_the_sender_asks_for(decibels: int) -> None:
    stream = new_stream()
    fed(stream, [0])
    stream.receive(packet(1, payload_type=13, payload=bytes([decibels, 3, 4])), now=0.02)
    assert not stream.settled
    stream.receive(late_packet(2, pause=8000 - 160), now=1.02)
    heard = taken(stream)
    assert len(heard) == 8000 + 160
    assert level(heard[:8000]) == pytest.approx(32768 * 10 ** (-decibels / 20), rel=0.05)
    assert same(heard[8000:], sound([2]))
    assert stream.counters == ReceiveCounters(received=3, comfort_noise=1, filled_ms=1000)


def test_comfort_noise_without_a_level_is_silence() -> None:
    stream = new_stream()
    stream.receive(packet(0, payload_type=13, payload=b""), now=0.0)
    stream.receive(late_packet(1, pause=160), now=0.04)
    assert not taken(stream)[:320].any()


def test_a_pause_is_filled_by_the_clock_while_it_lasts() -> None:
    stream = ReceiveStream(Codec.PCMU, 0, fills_pauses=True)
    assert stream.next_timeout() is None
    fed(stream, [0, 1])
    assert stream.next_timeout() == 0.02 + PAUSE_AFTER
    stream.handle_timeout(now=0.119)
    stream.handle_timeout(now=0.120)
    assert not stream.has_frames
    lengths = []
    for tick in range(1, 243):
        stream.handle_timeout(now=0.120 + 0.005 * tick)
        lengths.append(len(taken(stream)))
    assert sum(lengths) == 60 * 160
    assert max(lengths) == 160
    stream.receive(late_packet(2, pause=80 * 160), now=0.02 + 81 * PTIME)
    assert len(taken(stream)) == 20 * 160 + 160, "what the clock has not filled is filled by the timestamp"
    stream.receive(packet(3), now=1.7)
    assert stream.settled


def test_after_a_stall_the_clock_does_not_catch_up_what_may_yet_be_read() -> None:
    stream = ReceiveStream(Codec.PCMU, 0, fills_pauses=True)
    fed(stream, [0])
    stream.handle_timeout(now=5.0)
    assert not stream.has_frames
    stream.handle_timeout(now=9.0)
    stream.handle_timeout(now=9.019)
    assert len(taken(stream)) == 160
    stream.receive(packet(1), now=9.02)
    assert len(taken(stream)) == 160
    assert stream.counters.filled_ms == 20


def test_packets_that_a_network_held_back_are_all_heard_and_the_next_pause_is_shorter() -> None:
    stream = ReceiveStream(Codec.PCMU, 0, fills_pauses=True)
    fed(stream, [0])
    for tick in range(60):
        stream.handle_timeout(now=0.005 * tick)
    filled = len(taken(stream)) // 160
    assert filled > 3
    for number in range(1, 10):
        stream.receive(packet(number), now=0.3)
    assert same(taken(stream)[160:], sound(range(2, 10)))
    stream.receive(late_packet(10, pause=1600), now=0.52)
    assert len(taken(stream)) == 1600 - 3 * 160 + 160


def test_telephone_events_are_handed_over_and_take_no_place_in_the_audio() -> None:
    stream = ReceiveStream(Codec.PCMU, 0, 101, fills_pauses=True)
    fed(stream, [0])
    for number in range(1, 4):
        event = RtpPacket(101, 1000 + number, 160, 7, bytes([5, 10, 0, 80 * number]), marker=number == 1)
        stream.receive(event, now=PTIME * number)
        stream.receive(event, now=PTIME * number)
    assert stream.settled
    assert not stream.has_frames
    events = stream.take_telephone_events()
    assert [(event.timestamp, event.marker) for event in events] == [(160, True), (160, False), (160, False)]
    assert [event.payload[3] for event in events] == [80, 160, 240]
    assert stream.take_telephone_events() == []
    stream.receive(replace(packet(4), timestamp=160 + 480), now=0.08)
    heard = taken(stream)
    assert len(heard) == 480 + 160
    assert stream.counters == ReceiveCounters(received=8, duplicate=3, telephone_events=3, filled_ms=60)


def test_a_lost_telephone_event_is_not_concealed() -> None:
    stream = ReceiveStream(Codec.PCMU, 0, 101)
    fed(stream, [0])
    for number in (1, 3):
        stream.receive(RtpPacket(101, 1000 + number, 160, 7, bytes(4)), now=0.02)
    stream.handle_timeout(now=1.0)
    assert not stream.has_frames
    assert stream.counters == ReceiveCounters(received=3, lost=1, telephone_events=2)
    stream.receive(replace(packet(4), timestamp=160), now=1.0)
    assert same(taken(stream), sound([4]))
    stream.receive(RtpPacket(101, 1006, 0, 7, bytes(4)), now=1.0)  # of an event that began before
    stream.handle_timeout(now=2.0)
    assert not stream.has_frames


def test_only_so_many_telephone_events_wait_to_be_taken() -> None:
    stream = ReceiveStream(Codec.PCMU, 0, 101)
    for number in range(70):
        stream.receive(RtpPacket(101, number, 0, 7, bytes([number])), now=0.0)
    assert [event.payload[0] for event in stream.take_telephone_events()] == list(range(6, 70))
    assert stream.counters == ReceiveCounters(received=70, telephone_events=70, dropped_events=6)


# --- codecs that know more


def opus_stream(seconds: float) -> tuple[list[RtpPacket], Pcm]:
    """Return a sweep as opus packets, and the sweep."""
    at = np.arange(int(48000 * seconds)) / 48000
    pcm = np.rint(9000 * np.sin(2 * np.pi * (300 * at + 150 * at**2))).astype(np.int16)
    encoder = OpusEncoder()
    frames = pcm[: len(pcm) // 960 * 960].reshape(-1, 960)
    return [RtpPacket(96, n, 960 * n, 7, encoder.encode(frame)) for n, frame in enumerate(frames)], pcm


def test_opus_brings_back_what_was_lost_from_the_packet_after_it() -> None:
    packets, _ = opus_stream(1.0)
    whole, lossy = (ReceiveStream(Codec.OPUS, 96) for _ in range(2))
    for number, each in enumerate(packets):
        whole.receive(each, now=PTIME * number)
        if number not in (20, 30, 31):
            lossy.receive(each, now=PTIME * number)
        lossy.handle_timeout(now=PTIME * number)
    expected, heard = (np.concatenate(stream.take_frames()).astype(float) for stream in (whole, lossy))
    assert lossy.counters == ReceiveCounters(received=47, lost=3, concealed=3)
    assert len(expected) == len(heard)
    lost = slice(960 * 20, 960 * 21)
    assert level(heard[lost] - expected[lost]) < 0.1 * level(expected[lost])


def test_opus_of_which_nothing_was_heard_or_that_is_broken_is_ignored() -> None:
    stream = ReceiveStream(Codec.OPUS, 96)
    stream.receive(RtpPacket(96, 0, 0, 7, b"\xff\xff\xff"), now=0.0)
    assert stream.counters.ignored == 1
    packets, _ = opus_stream(0.2)
    for each in (packets[0], RtpPacket(96, 2, 1920, 7, b"\xff\xff\xff")):
        stream.receive(replace(each, sequence_number=each.sequence_number + 1), now=0.0)
    stream.handle_timeout(now=1.0)
    assert stream.counters == ReceiveCounters(received=3, ignored=2, lost=1, concealed=1)
    assert sum(map(len, stream.take_frames())) == 2 * 960
