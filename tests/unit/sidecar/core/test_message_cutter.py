"""Frames of 20 ms become messages of BUFFER_SIZE."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.message_cutter import MessageCutter, as_bytes


def test_a_message_of_one_frame_is_passed_through() -> None:
    cutter = MessageCutter(frame_samples=4, frames=1, rows=2)
    rows, pcm = np.array([1, 0]), np.arange(8).reshape(2, 4).astype(np.int16)
    cut = cutter.cut(rows, pcm)
    assert cut[0] is rows
    assert cut[1] is pcm
    assert cutter.take_rest(0).shape == (0,)


def test_a_message_is_given_when_it_is_full() -> None:
    cutter = MessageCutter(frame_samples=2, frames=3, rows=2)
    both, one = np.array([0, 1]), np.array([1])
    frames = np.arange(20).reshape(5, 2, 2).astype(np.int16)
    assert len(cutter.cut(both, frames[0])[0]) == 0
    assert len(cutter.cut(one, frames[1, 1:])[0]) == 0
    rows, messages = cutter.cut(both, frames[2])
    assert rows.tolist() == [1]
    assert messages.tolist() == [[*frames[0, 1], *frames[1, 1], *frames[2, 1]]]
    assert cutter.take_rest(0).tolist() == [*frames[0, 0], *frames[2, 0]]
    assert cutter.take_rest(0).tolist() == []
    assert cutter.take_rest(1).tolist() == []


@pytest.mark.parametrize("dtype", ["<i2", ">i2"])
def test_samples_are_little_endian_on_the_wire(dtype: str) -> None:
    assert as_bytes(np.array([[1, -2]], dtype)).tolist() == [[1, 0, 0xFE, 0xFF]]
    assert as_bytes(np.array([[1, 9, -2, 9]], dtype)[:, ::2]).tolist() == [[1, 0, 0xFE, 0xFF]]


@given(st.integers(1, 5), st.lists(st.sets(st.integers(0, 3), min_size=1), max_size=30))
def test_messages_and_the_rest_are_what_went_in(frames: int, batches: list[set[int]]) -> None:
    cutter, came = MessageCutter(frame_samples=2, frames=frames, rows=4), 0
    put: dict[int, list[int]] = defaultdict(list)
    got: dict[int, list[int]] = defaultdict(list)
    for batch in batches:
        rows = np.array(sorted(batch))
        pcm = np.arange(came, came + 2 * len(rows)).reshape(-1, 2).astype(np.int16)
        came += 2 * len(rows)
        for row, frame in zip(rows.tolist(), pcm, strict=True):
            put[row] += frame.tolist()
        for row, message in zip(*cutter.cut(rows, pcm), strict=True):
            assert len(message) == 2 * frames
            got[int(row)] += message.tolist()
    for row in range(4):
        assert got[row] + cutter.take_rest(row).tolist() == put[row]
