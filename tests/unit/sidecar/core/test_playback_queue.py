"""The playback engine: clips, raw audio and marks, in virtual time. A frame is 20 ms."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.playback_events import (
    ChunkPlayed,
    Cleared,
    MarkAnswered,
    PlaybackEvent,
    PlaybackRefused,
    QueueCompleted,
    Underrun,
    Xoff,
    Xon,
)
from sidecar.core.playback_queue import MOST_MARKS, PlaybackQueue, Stretch
from sidecar.core.playout import SEGMENT_GAP, PlayoutBuffer

RATE = 8000
FRAME = 320
A, B, C = b"a" * FRAME, b"b" * FRAME, b"c" * FRAME


def new_queue(*, preroll: float = 0.0, capacity: int = 1 << 20) -> PlaybackQueue:
    return PlaybackQueue(rate=RATE, preroll=preroll, capacity_bytes=capacity)


def events(queue: PlaybackQueue) -> list[PlaybackEvent]:
    found = []
    while (event := queue.next_event()) is not None:
        found.append(event)
    return found


def played(queue: PlaybackQueue, *, now: float) -> bytes:
    """Read until there is nothing to play."""
    heard = b""
    while (frame := queue.read(now=now)) is not None:
        assert len(frame) == FRAME
        heard += frame
    return heard


def clip(queue: PlaybackQueue, data: bytes, *, now: float = 0.0) -> Stretch:
    """Queue a whole clip."""
    stretch = queue.open_clip()
    queue.write_clip(stretch, data, now=now)
    queue.end_clip(stretch, now=now)
    return stretch


# --- order


def test_clips_and_raw_audio_are_heard_in_order_without_a_gap() -> None:
    queue = new_queue()
    clip(queue, A + b"aa")
    queue.write(B[:100], now=0.0)
    clip(queue, C)
    assert played(queue, now=0.0) == A + b"aa" + B[:100] + C + bytes(FRAME - 102)
    assert events(queue) == [ChunkPlayed(1, 322, 420), ChunkPlayed(2, 100, 320), ChunkPlayed(3, 320, 0)]


def test_what_came_later_waits_for_a_clip_that_is_still_being_decoded() -> None:
    queue = new_queue()
    first = queue.open_clip()
    clip(queue, B)
    assert queue.read(now=0.0) is None
    queue.write_clip(first, A, now=0.1)
    assert played(queue, now=0.1) == A
    queue.end_clip(first, now=0.2)
    assert played(queue, now=0.2) == B


def test_a_clip_that_could_not_be_decoded_holds_nothing_up() -> None:
    queue = new_queue()
    bad = queue.open_clip()
    queue.mark("m", now=0.0)
    clip(queue, B)
    queue.end_clip(bad, now=0.3)
    assert events(queue) == [MarkAnswered("m", "playout")], "nothing was played of it"
    assert played(queue, now=0.3) == B
    assert queue.read(now=0.3 + SEGMENT_GAP) is None
    assert events(queue) == [ChunkPlayed(2, 320, 0), QueueCompleted(1)]


def test_halves_of_samples_of_a_clip_are_put_together() -> None:
    queue = new_queue()
    stretch = queue.open_clip()
    for at in range(0, FRAME, 3):
        queue.write_clip(stretch, A[at : at + 3], now=0.0)
    queue.write_clip(stretch, b"x", now=0.0)
    queue.end_clip(stretch, now=0.0)
    assert played(queue, now=0.0) == A


# --- marks


def test_a_mark_is_answered_when_the_last_sample_before_it_is_played() -> None:
    queue = new_queue()
    queue.write(A + B[:10], now=0.0)
    queue.mark("one", now=0.0)
    queue.write(C, now=0.0)
    assert queue.read(now=0.0) == A
    assert events(queue) == []
    assert queue.read(now=0.02) == B[:10] + C[:310]
    assert events(queue) == [ChunkPlayed(1, 330, 320), MarkAnswered("one", "playout")]


def test_a_mark_behind_nothing_is_answered_at_once() -> None:
    queue = new_queue()
    queue.mark("one", now=0.0)
    assert events(queue) == [MarkAnswered("one", "playout")]
    queue.write(A, now=0.0)
    assert played(queue, now=0.0) == A
    queue.mark("two", now=0.0)
    assert events(queue) == [ChunkPlayed(1, 320, 0), MarkAnswered("two", "playout")]


def test_marks_beyond_the_bound_are_answered_too() -> None:
    queue = new_queue()
    queue.write(A, now=0.0)
    for number in range(MOST_MARKS + 1):
        queue.mark(str(number), now=0.0)
    assert events(queue) == [MarkAnswered(str(MOST_MARKS), "cleared")]
    played(queue, now=0.0)
    assert len(events(queue)) == MOST_MARKS + 1


# --- clear


def test_clearing_is_heard_at_once_and_says_what_was_played() -> None:
    queue = new_queue()
    queue.write(A + B + C, now=0.0)
    queue.mark("one", now=0.0)
    clip(queue, A)
    open_clip = queue.open_clip()
    queue.mark("two", now=0.0)
    assert queue.read(now=0.0) == A
    assert queue.clear() == Cleared(20, 60, ["one", "two"])
    assert queue.read(now=0.02) is None
    assert events(queue) == [MarkAnswered("one", "cleared"), MarkAnswered("two", "cleared")]
    queue.write_clip(open_clip, B, now=0.03)
    queue.end_clip(open_clip, now=0.03)
    assert queue.read(now=0.04) is None
    assert queue.clear() == Cleared(0, 0, [])
    assert events(queue) == []
    queue.write(C, now=0.05)
    assert played(queue, now=0.05) == C
    assert queue.underruns == 0


def test_clearing_counts_from_when_the_queue_was_last_empty() -> None:
    queue = new_queue()
    queue.write(A + B, now=0.0)
    assert played(queue, now=0.0) == A + B
    queue.write(C + C, now=0.05)
    assert queue.read(now=0.05) == C
    assert queue.clear() == Cleared(20, 20, [])


def test_a_clip_of_which_more_is_to_come_is_no_empty_queue() -> None:
    queue = new_queue()
    stretch = queue.open_clip()
    queue.write_clip(stretch, A, now=0.0)
    assert played(queue, now=0.0) == A
    queue.write_clip(stretch, B, now=0.5)
    assert queue.clear() == Cleared(20, 20, [])


# --- pause


def test_what_is_queued_is_kept_while_paused() -> None:
    queue = new_queue()
    queue.write(A, now=0.0)
    queue.pause()
    assert queue.read(now=0.0) is None
    queue.write(B, now=0.5)
    queue.mark("one", now=0.5)
    assert queue.read(now=0.5) is None
    queue.resume()
    assert played(queue, now=1.0) == A + B
    assert events(queue) == [ChunkPlayed(1, 640, 0), MarkAnswered("one", "playout")]


# --- what is told


def test_the_queue_is_completed_once_nothing_has_followed() -> None:
    queue = new_queue()
    clip(queue, A)
    queue.write(B, now=0.0)
    assert played(queue, now=0.0) == A + B
    assert events(queue) == [ChunkPlayed(1, 320, 320)]  # the raw audio may go on
    assert queue.read(now=SEGMENT_GAP - 0.001) is None
    assert events(queue) == []
    assert queue.read(now=SEGMENT_GAP) is None
    assert events(queue) == [ChunkPlayed(2, 320, 0), QueueCompleted(2)]
    assert queue.read(now=1.0) is None
    assert events(queue) == []


def test_raw_audio_goes_on_within_100_ms_and_is_a_new_chunk_after() -> None:
    queue = new_queue()
    for at in (0.0, 0.05, 1.0):
        queue.write(A, now=at)
        assert played(queue, now=at) == A
    assert queue.read(now=2.0) is None
    assert events(queue) == [
        Underrun(50),
        ChunkPlayed(1, 640, 0),
        QueueCompleted(1),
        ChunkPlayed(2, 320, 0),
        QueueCompleted(1),
    ]


def test_a_decoder_that_is_too_slow_is_an_underrun() -> None:
    queue = new_queue()
    stretch = queue.open_clip()
    queue.write_clip(stretch, A, now=0.0)
    assert played(queue, now=0.0) == A
    queue.write_clip(stretch, B, now=0.5)
    assert played(queue, now=0.5) == B
    assert queue.underruns == 1
    assert events(queue) == [Underrun(500)]


def test_a_full_queue_asks_the_bot_to_wait() -> None:
    queue = new_queue(capacity=4 * FRAME)
    queue.write(A * 3, now=0.0)
    assert events(queue) == []
    queue.write(B * 2, now=0.0)
    assert events(queue) == [Xoff(80)]
    assert queue.refused_bytes == FRAME
    for _ in range(2):
        queue.read(now=0.0)
    assert events(queue) == []
    queue.read(now=0.0)
    assert events(queue) == [Xon(20)]
    clip(queue, C * 9)
    assert events(queue) == [Xoff(80)]
    queue.clear()
    assert events(queue) == [Xon(0)]


def test_what_is_refused_is_told_whole_and_not_too_often() -> None:
    queue = new_queue(capacity=4 * FRAME)
    told: list[tuple[float, int]] = []
    for tick in range(170):  # of 3.4 seconds, 2.2 in which twice as much comes as can be played
        now = tick * 0.02
        queue.write(A * 2 if tick < 110 else b"", now=now)
        queue.read(now=now)
        told += [(now, event.refused_ms) for event in events(queue) if isinstance(event, PlaybackRefused)]
    assert sum(refused_ms for _, refused_ms in told) * 16 == queue.refused_bytes
    times = [at for at, _ in told]
    assert times[0] == pytest.approx(0.08 + SEGMENT_GAP, abs=0.03)
    assert [after - before for before, after in pairwise(times)] == pytest.approx([1.0, 1.0, 1.0], abs=0.03)


def test_what_was_refused_at_another_rate_is_told_too() -> None:
    former, queue = new_queue(capacity=FRAME), new_queue()
    former.write(A * 3, now=0.0)
    played(former, now=0.0)
    events(former)
    queue.go_on_from(former)
    assert events(queue) == [PlaybackRefused(40)]


def test_playback_waits_for_the_preroll_after_a_clip_too() -> None:
    queue = new_queue(preroll=0.060)
    stretch = queue.open_clip()
    queue.write_clip(stretch, A, now=1.0)
    clip(queue, B * 9)  # behind it, it cannot be played yet
    assert queue.read(now=1.0) is None
    queue.end_clip(stretch, now=1.01)
    assert queue.read(now=1.02) == A


def test_the_preroll_counts_from_when_a_clip_makes_way() -> None:
    queue = new_queue(preroll=0.060)
    bad = queue.open_clip()
    clip(queue, B)
    queue.end_clip(bad, now=5.0)
    assert queue.read(now=5.05) is None
    assert queue.read(now=5.06) == B


# --- agreement


STEPS = st.lists(st.integers(0, 1000) | st.sampled_from(["read", "clear", "wait"]), max_size=60)


@settings(max_examples=300)
@given(STEPS, st.sampled_from([0.0, 0.02, 0.06]), st.integers(0, 3000))
def test_raw_audio_is_heard_as_from_a_playout_buffer(steps: list[int | str], preroll: float, capacity: int) -> None:
    queue = new_queue(preroll=preroll, capacity=capacity)
    buffer = PlayoutBuffer(
        frame_bytes=FRAME, preroll=preroll, preroll_bytes=int(RATE * preroll) * 2, capacity_bytes=capacity
    )
    now, random = 0.0, Random(1)
    for step in steps:
        now += 0.003
        if isinstance(step, int):
            data = random.randbytes(step)
            queue.write(data, now=now)
            buffer.write(data, now=now)
        elif step == "read":
            frame = buffer.read(now=now)
            assert queue.read(now=now) == (None if frame is None else bytes(frame))
        elif step == "clear":
            queue.clear()
            buffer.clear()
        else:
            now += 0.05
        assert (queue.queued_bytes, queue.played_bytes) == (buffer.queued_bytes, buffer.played_bytes)
        assert (queue.refused_bytes, queue.underruns) == (buffer.refused_bytes, buffer.underruns)


ACTIONS = st.lists(
    st.sampled_from(["raw", "clip", "open", "more", "end", "mark", "clear", "read", "read", "pause", "resume", "wait"]),
    max_size=100,
)


@settings(max_examples=300)
@given(ACTIONS, st.sampled_from([1 << 20, 1000]), st.integers(0, 9))
def test_every_mark_is_answered_once_and_every_sample_is_accounted_for(
    actions: list[str], capacity: int, seed: int
) -> None:
    queue, random, now = new_queue(preroll=0.02, capacity=capacity), Random(seed), 0.0
    marks, answers, open_clips = 0, Counter[str](), list[Stretch]()
    written = dropped = 0
    heard = b""

    def audio() -> bytes:
        nonlocal written
        first = written // 2 + 1  # every sample has its number; silence has none
        data = b"".join(number.to_bytes(2) for number in range(first, first + random.randint(0, 400)))
        written += len(data)
        return data

    def tell() -> None:
        for event in events(queue):
            if isinstance(event, MarkAnswered):
                answers[event.name] += 1

    for action in [*actions, "resume"]:
        now += 0.007
        if action == "raw":
            queue.write(audio(), now=now)
        elif action == "clip":
            clip(queue, audio(), now=now)
        elif action == "open":
            open_clips.append(queue.open_clip())
        elif action == "more" and open_clips:
            target, before = random.choice(open_clips), queue.queued_bytes + queue.refused_bytes
            data = audio()
            queue.write_clip(target, data, now=now)
            dropped += len(data) - (queue.queued_bytes + queue.refused_bytes - before)
        elif action == "end" and open_clips:
            queue.end_clip(open_clips.pop(random.randrange(len(open_clips))), now=now)
        elif action == "mark":
            queue.mark(str(marks), now=now)
            marks += 1
        elif action == "clear":
            before = queue.queued_bytes
            cleared = queue.clear()
            assert cleared.dropped_ms == pytest.approx(before / 16, abs=1)
            dropped += before
            assert queue.read(now=now) is None
        elif action == "read":
            heard += queue.read(now=now) or b""
        elif action == "pause":
            queue.pause()
        elif action == "resume":
            queue.resume()
        else:
            now += 0.2
        tell()
        assert queue.queued_bytes <= capacity
    for each in open_clips:
        queue.end_clip(each, now=now)
    for _ in range(200):
        now += 0.02
        heard += queue.read(now=now) or b""
        tell()
    assert queue.queued_bytes == 0
    assert written == queue.played_bytes + queue.refused_bytes + dropped
    assert answers == Counter({str(number): 1 for number in range(marks)})
    samples = [int.from_bytes(heard[at : at + 2]) for at in range(0, len(heard), 2)]
    numbers = [sample for sample in samples if sample]
    assert len(numbers) * 2 == queue.played_bytes
    assert len(set(numbers)) == len(numbers)
    if "open" not in actions:
        assert numbers == sorted(numbers)
