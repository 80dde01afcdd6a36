"""Many playout buffers at once play what each plays alone."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.playout import PlayoutBuffer
from sidecar.core.playout_rows import RING_FRAMES, PlayoutRows

SAMPLES = 160
FRAME = 2 * SAMPLES
ROWS = 5


class Both:
    """Rows, and a plain buffer for each."""

    def __init__(self, *, preroll_ms: int = 60, capacity_bytes: int = 20 * FRAME, seed: int = 1) -> None:
        self.random, self.now = Random(seed), 100.0
        self.rows = PlayoutRows(frame_samples=SAMPLES, rows=ROWS)
        self.plain = {}
        for row in range(ROWS):
            self.rows.open(row, preroll_ms=preroll_ms, capacity_bytes=capacity_bytes)
            self.plain[row] = PlayoutBuffer(FRAME, preroll_ms / 1000, 16 * preroll_ms, capacity_bytes)

    def write(self, row: int, size: int) -> None:
        data = self.random.randbytes(size)
        self.rows.write(row, data, now=self.now)
        self.plain[row].write(data, now=self.now)

    def write_frames(self, rows: list[int]) -> None:
        frames = np.frombuffer(self.random.randbytes(FRAME * len(rows)), "<i2").reshape(-1, SAMPLES)
        self.rows.write_frames(np.array(rows, np.int64), frames, now=self.now)
        for row, frame in zip(rows, frames, strict=True):
            self.plain[row].write(frame.tobytes(), now=self.now)

    def read(self, rows: list[int]) -> None:
        pcm, plays = self.rows.read(np.array(rows, np.int64), now=self.now)
        for at, row in enumerate(rows):
            expected = self.plain[row].read(now=self.now)
            assert plays[at] == (expected is not None)
            assert pcm[at].tobytes() == (bytes(FRAME) if expected is None else bytes(expected))
            assert self.rows.has_audio(row) == bool(self.plain[row].queued_bytes)

    def check(self) -> None:
        for row, plain in self.plain.items():
            ours = self.rows.buffer(row)
            for name in ("played_bytes", "refused_bytes", "underruns", "queued_bytes"):
                assert getattr(ours, name) == getattr(plain, name), name


ROW_LISTS = st.lists(st.integers(0, ROWS - 1), unique=True, max_size=ROWS)
STEPS = st.one_of(
    st.tuples(st.just("frames"), ROW_LISTS),
    st.tuples(st.just("frames"), ROW_LISTS),
    st.tuples(st.just("read"), ROW_LISTS),
    st.tuples(st.just("read"), ROW_LISTS),
    st.tuples(st.just("write"), st.integers(0, ROWS - 1), st.sampled_from([0, 1, 7, FRAME, FRAME, 2 * FRAME, 9000])),
    st.tuples(st.just("clear"), st.integers(0, ROWS - 1)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.02, 0.06, 0.11])),
    st.tuples(st.just("check")),
)


@given(
    st.lists(STEPS, max_size=60), st.sampled_from([0, 20, 30, 60]), st.sampled_from([20 * FRAME, 3 * FRAME + 2, 100])
)
def test_rows_play_what_each_buffer_plays_alone(
    steps: list[tuple[object, ...]], preroll_ms: int, capacity_bytes: int
) -> None:
    both = Both(preroll_ms=preroll_ms, capacity_bytes=capacity_bytes)
    for name, *arguments in steps:
        if name == "wait":
            both.now += arguments[0]  # type: ignore[operator]
        elif name == "clear":
            row: int = arguments[0]  # type: ignore[assignment]
            assert both.rows.buffer(row).clear() == both.plain[row].clear()
        else:
            getattr(both, {"frames": "write_frames"}.get(str(name), str(name)))(*arguments)
    both.check()


def test_a_bot_that_is_far_ahead_is_heard_to_the_end() -> None:
    both = Both()
    for _ in range(RING_FRAMES + 3):
        both.write_frames([0, 2])
    for _ in range(RING_FRAMES + 4):
        both.read(list(range(ROWS)))
        both.now += 0.02
    both.check()
    assert both.plain[0].played_bytes == (RING_FRAMES + 3) * FRAME


def test_a_row_that_is_taken_again_knows_nothing_of_the_call_before() -> None:
    both = Both()
    both.write_frames([1])
    assert both.rows.close(1).queued_bytes == FRAME
    both.rows.open(1, preroll_ms=0, capacity_bytes=1000)
    assert not both.rows.has_audio(1)
    assert both.rows.buffer(1).underruns == 0
