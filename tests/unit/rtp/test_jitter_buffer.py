"""The caller's frames, evened out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtp import JitterBuffer, Pcm


def frame(number: int) -> Pcm:
    """Return a frame that can be told from others."""
    return np.full(160, number, np.int16)


def numbers(buffer: JitterBuffer, count: int) -> list[int | None]:
    """Read `count` frames; tell which they are."""
    read = [buffer.read() for _ in range(count)]
    return [None if each is None else int(each[0]) for each in read]


def test_two_frames_are_held_back_before_the_first_is_given() -> None:
    buffer = JitterBuffer()
    assert numbers(buffer, 1) == [None]
    buffer.write(frame(1))
    assert numbers(buffer, 1) == [None]
    buffer.write(frame(2))
    assert numbers(buffer, 2) == [1, 2]
    assert buffer.underruns == 0


def test_after_an_underrun_two_frames_are_gathered_again() -> None:
    buffer = JitterBuffer()
    for number in (1, 2):
        buffer.write(frame(number))
    assert numbers(buffer, 4) == [1, 2, None, None]
    assert buffer.underruns == 1
    buffer.write(frame(3))
    assert numbers(buffer, 1) == [None]
    buffer.write(frame(4))
    assert numbers(buffer, 3) == [3, 4, None]
    assert buffer.underruns == 2


def test_a_burst_beyond_the_bound_does_not_become_delay() -> None:
    buffer = JitterBuffer(start_frames=2, max_frames=10)
    for number in range(11):
        buffer.write(frame(number))
    assert buffer.dropped_frames == 9
    assert numbers(buffer, 2) == [9, 10]


@given(st.lists(st.booleans(), max_size=200))
def test_frames_come_in_order_and_none_is_lost_uncounted(writes: list[bool]) -> None:
    buffer, written, given_out = JitterBuffer(), 0, []
    for write in writes:
        if write:
            buffer.write(frame(written))
            written += 1
        elif (read := buffer.read()) is not None:
            given_out.append(int(read[0]))
    left = [number for number in numbers(buffer, 11) if number is not None]
    assert given_out == sorted(set(given_out))
    assert len(given_out) + len(left) + buffer.dropped_frames >= written - 1  # one frame may still wait for a second
    assert len(given_out) + len(left) + buffer.dropped_frames <= written


def test_a_burst_after_a_stall_does_not_become_delay() -> None:
    buffer = JitterBuffer(start_frames=2, max_frames=10)
    frame = np.zeros(160, np.int16)
    buffer.write(frame)
    for _ in range(20):
        buffer.write(frame)
        assert buffer.read() is not None
    stalled = sum(buffer.read() is None for _ in range(9))  # one frame was left
    assert stalled == 8
    for _ in range(8):
        buffer.write(frame)
    depth = 0
    while buffer.read() is not None:
        depth += 1
    assert depth == 2
    assert buffer.dropped_frames == 6
