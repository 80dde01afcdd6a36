"""Many playout buffers at once play what each plays alone."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.playback_events import MarkAnswered
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
            counts = self.rows.counts(row)
            plain = self.plain[row]
            assert counts == (plain.played_bytes, plain.refused_bytes, plain.underruns)

    def engage(self, row: int) -> None:
        """Let a row have its playback engine, which it leaves again when it can."""
        self.rows.queue(row)

    def clear(self, row: int) -> None:
        plain = self.plain[row]
        played = plain.played_bytes - plain.episode_from if plain.queued_bytes else 0
        whole = (played + plain.queued_bytes) * 1000 // (50 * FRAME)
        plain.clear()
        cleared = self.rows.queue(row).clear()
        assert cleared.played_ms == played * 1000 // (50 * FRAME)
        assert cleared.played_ms + cleared.dropped_ms == whole

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
    st.tuples(st.just("engage"), st.integers(0, ROWS - 1)),
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


def test_a_row_leaves_its_engine_when_raw_audio_alone_is_left_and_keeps_it_if_asked() -> None:
    both = Both(preroll_ms=0)
    for row, keep in ((0, False), (1, True)):
        both.write_frames([row])
        both.rows.queue(row, keep=keep).mark("m", now=both.now)
        both.write_frames([row])
    both.read([0, 1])
    assert both.rows.take_news()[-1] == (1, MarkAnswered("m", "playout"))
    first, second = both.rows.queue(0), both.rows.queue(1)
    both.read([0, 1])
    assert both.rows.queue(0) is not first
    assert both.rows.queue(1) is second
    both.check()


def test_a_row_that_is_paused_or_waits_for_a_clip_has_audio() -> None:
    both = Both(preroll_ms=0)
    both.write_frames([0])
    both.rows.queue(0).pause()
    clip = both.rows.queue(1).open_clip()
    pcm, plays = both.rows.read(np.arange(2), now=both.now)
    assert not plays.any()
    assert not pcm.any()
    assert both.rows.has_audio(0)
    assert both.rows.has_audio(1)
    both.rows.queue(0).resume()
    both.read([0])
    both.rows.queue(1).end_clip(clip, now=both.now)
    assert not both.rows.has_audio(1)
    both.read([1])
    assert both.rows.take_news() == []


def test_what_an_engine_had_to_tell_is_forgotten_with_its_call() -> None:
    both = Both(preroll_ms=0)
    for row in (0, 1):
        both.write_frames([row])
        both.rows.queue(row, keep=True).mark("m", now=both.now)
    both.read([0, 1])
    both.rows.close(0)
    assert {row for row, _ in both.rows.take_news()} == {1}


def test_to_look_at_the_counts_leaves_a_row_in_its_ring() -> None:
    both = Both(preroll_ms=0)
    for _ in range(RING_FRAMES - 2):  # more than what would be taken in again
        both.write_frames([0])
    both.read([0])
    assert both.rows.counts(0).played_bytes == FRAME
    assert both.rows._in_ring[0]
