"""Sums and pairs of voices."""

from __future__ import annotations

import numpy as np
import pytest

from rtp import frame_samples, interleave, mix


@pytest.mark.parametrize(("rate", "samples"), [(8000, 160), (16000, 320), (24000, 480), (48000, 960)])
def test_a_frame_is_20_ms(rate: int, samples: int) -> None:
    assert frame_samples(rate) == samples


def test_a_mix_is_the_sum_and_saturates_on_both_sides() -> None:
    caller = np.array([[1, 32767, -32768, 32767]], np.int16)
    callee = np.array([[2, 1, -1, -32768]], np.int16)
    assert mix(caller, callee).tolist() == [[3, 32767, -32768, -1]]
    assert mix(caller, callee).dtype == np.int16


def test_stereo_has_the_left_sample_first() -> None:
    left, right = np.array([[1, 2], [5, 6]], np.int16), np.array([[3, 4], [7, 8]], np.int16)
    assert interleave(left, right).tolist() == [[1, 3, 2, 4], [5, 7, 6, 8]]


def test_voices_of_different_length_are_a_mistake_of_ours() -> None:
    short, long = np.zeros((1, 160), np.int16), np.zeros((1, 320), np.int16)
    with pytest.raises(AssertionError):
        mix(short, long)
    with pytest.raises(AssertionError):
        interleave(short, long)
