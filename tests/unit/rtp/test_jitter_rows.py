"""Rows give what a `JitterBuffer` of each gives."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtp import JitterBuffer, JitterRows

ROWS = 5
SAMPLES = 160


class Both:
    """The same calls twice."""

    def __init__(self, random: Random, *, max_frames: int) -> None:
        self._random = random
        self._max_frames = max_frames
        self.together = JitterRows(ROWS + 1, frame_samples=SAMPLES, max_frames=max_frames)
        self.alone = [JitterBuffer(max_frames) for _ in range(ROWS)]

    def some(self, share: float) -> list[int]:
        return [row for row in range(ROWS) if self._random.random() < share]

    def write(self, share: float, loudness: int) -> None:
        rows = self.some(share)
        frames = np.array(
            [[self._random.randint(-loudness, loudness) for _ in range(SAMPLES)] for _ in rows], np.int16
        ).reshape(len(rows), SAMPLES)
        self.together.write(np.array(rows, np.int64), frames)
        for row, frame in zip(rows, frames, strict=True):
            self.alone[row].write(frame)

    def read(self, share: float) -> None:
        rows = self.some(share)
        silence = np.zeros(SAMPLES, np.int16)
        ours = self.together.read(np.array(rows, np.int64))
        assert len(ours) == len(rows)
        for row, frame in zip(rows, ours, strict=True):
            theirs = self.alone[row].read()
            assert frame.tolist() == (silence if theirs is None else theirs).tolist()

    def begin_anew(self, row: int) -> None:
        self.together.reset(row)
        self.alone[row] = JitterBuffer(self._max_frames)

    def compare_counts(self) -> None:
        for row, buffer in enumerate(self.alone):
            assert self.together.underruns(row) == buffer.underruns
            assert self.together.dropped_frames(row) == buffer.dropped_frames


shares = st.sampled_from([0.0, 0.3, 1.0])
steps = st.one_of(
    st.tuples(st.just("write"), shares, st.sampled_from([10, 20_000])),
    st.tuples(st.just("read"), shares),
    st.tuples(st.just("reset"), st.integers(0, ROWS - 1)),
)


@settings(max_examples=100)
@given(st.integers(0, 1 << 32), st.integers(1, 10), st.lists(steps, max_size=60))
def test_any_order_of_things(
    seed: int, max_frames: int, script: list[tuple[str, float, int] | tuple[str, float]]
) -> None:
    both = Both(Random(seed), max_frames=max_frames)
    for what, *arguments in script:
        if what == "write":
            both.write(arguments[0], int(arguments[1]))
        elif what == "read":
            both.read(arguments[0])
        else:
            both.begin_anew(int(arguments[0]))
    both.compare_counts()


def test_a_long_talk_in_which_delay_grows_and_shrinks() -> None:
    for seed in range(3):
        random = Random(seed)
        both = Both(random, max_frames=10)
        for number in range(700):
            waits = number % 150 < 8  # the network
            both.write(0.0 if waits else 1.0, random.choice([10, 20_000]))
            if number % 150 in (8, 9, 10, 11, 12):
                both.write(1.0, 20_000)
            both.read(1.0 if random.random() < 0.95 else 0.5)
        both.compare_counts()
        assert any(buffer.dropped_frames for buffer in both.alone)
