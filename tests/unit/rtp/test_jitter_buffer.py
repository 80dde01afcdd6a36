"""The caller's frames, evened out."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import JitterBuffer, Pcm
from rtp.jitter_buffer import WINDOW_FRAMES


def frame(number: int) -> Pcm:
    """Return a frame that can be told from others, and is not quiet."""
    return np.full(160, 1000 + number, np.int16)


def numbers(buffer: JitterBuffer, count: int) -> list[int | None]:
    """Read `count` frames; tell which they are."""
    read = [buffer.read() for _ in range(count)]
    return [None if each is None else int(each[0]) - 1000 for each in read]


def filled(count: int, *, max_frames: int = 10) -> JitterBuffer:
    buffer = JitterBuffer(max_frames)
    for number in range(count):
        buffer.write(frame(number))
    return buffer


def test_two_frames_are_held_back_before_the_first_is_given() -> None:
    buffer = JitterBuffer()
    assert numbers(buffer, 1) == [None]
    buffer.write(frame(1))
    assert numbers(buffer, 1) == [None]
    buffer.write(frame(2))
    assert numbers(buffer, 2) == [1, 2]
    assert buffer.underruns == 0


def test_what_comes_late_delays_what_follows_and_is_not_lost() -> None:
    buffer = filled(2)
    assert numbers(buffer, 4) == [0, 1, None, None]
    assert buffer.underruns == 1
    for number in (2, 3, 4):
        buffer.write(frame(number))
    heard = []
    for number in range(5, 60):
        buffer.write(frame(number))
        heard += numbers(buffer, 1)
    assert heard == list(range(2, 57))
    assert (buffer.underruns, buffer.dropped_frames) == (1, 0)


def test_after_a_long_time_without_frames_two_are_gathered_again() -> None:
    buffer = filled(2)
    numbers(buffer, 12)
    assert buffer.underruns == 1
    buffer.write(frame(3))
    assert numbers(buffer, 1) == [None]
    buffer.write(frame(4))
    assert numbers(buffer, 2) == [3, 4]


def test_more_than_the_bound_is_not_kept() -> None:
    buffer = filled(13, max_frames=10)
    assert buffer.dropped_frames == 3
    assert numbers(buffer, 2) == [3, 4]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_delay_that_is_not_needed_any_more_goes(quiet: bool) -> None:
    """In silence all at once, in sound a frame each two seconds."""
    buffer, given_out = filled(6), 0
    for number in range(6, 6 + 8 * WINDOW_FRAMES):
        buffer.write(np.zeros(160, np.int16) if quiet and number % 10 == 0 else frame(number))
        given_out += buffer.read() is not None
    left = [number for number in numbers(buffer, 11) if number is not None]
    assert len(left) == 1, "what is read next, but no more"
    assert buffer.dropped_frames == 5 - 0
    assert buffer.underruns == 1  # just now, by us
    assert given_out == 8 * WINDOW_FRAMES


def test_two_frames_are_faded_into_one() -> None:
    buffer = filled(3)
    heard = []
    for number in range(3, 3 + 2 * WINDOW_FRAMES):
        heard.append(buffer.read())
        buffer.write(frame(number))
    (merged,) = [each for each in heard if each is not None and each[0] != each[-1]]
    assert merged[-1] == merged[0] + 1
    assert (np.diff(merged) >= 0).all()


def test_the_delay_follows_the_jitter_of_the_network() -> None:
    """Up to 70 ms of jitter: after some seconds nothing is missed, and the delay is what it must be."""
    random, buffer = Random(1), JitterBuffer()
    arrivals = sorted(20 * number + random.uniform(0.0, 70.0) for number in range(1500))
    missed, depths, next_arrival = [], [], 0
    for tick in range(1500):
        while next_arrival < 1500 and arrivals[next_arrival] <= 20 * tick:
            buffer.write(frame(next_arrival % 20_000))
            next_arrival += 1
        depths.append(next_arrival - tick)
        if buffer.read() is None:
            missed.append(tick)
    assert len([tick for tick in missed if tick > 200]) <= 15
    assert buffer.dropped_frames <= len(missed)


@given(st.lists(st.booleans(), max_size=400), st.integers(2, 12))
def test_frames_come_in_order_and_none_is_lost_uncounted(writes: list[bool], most: int) -> None:
    buffer, written, given_out = JitterBuffer(most), 0, []
    for write in writes:
        if write:
            buffer.write(frame(written))
            written += 1
        elif (read := buffer.read()) is not None:
            given_out.append(int(read[0]))
    left = [number for number in numbers(buffer, 13) if number is not None]
    assert given_out == sorted(set(given_out))
    assert len(left) <= most
    assert written - 1 <= len(given_out) + len(left) + buffer.dropped_frames <= written  # one may wait for a second


def test_what_is_cleared_is_forgotten() -> None:
    buffer = filled(5)
    buffer.clear()
    buffer.write(frame(7))
    assert numbers(buffer, 1) == [None]
