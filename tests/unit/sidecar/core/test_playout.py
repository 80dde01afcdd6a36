"""The playout buffer: what the bot said and the caller has not heard yet."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.playout import SEGMENT_GAP, PlayoutBuffer

FRAME = 320
A, B, C = b"a" * FRAME, b"b" * FRAME, b"c" * FRAME


def new_buffer(*, preroll: float = 0.0, preroll_bytes: int = 0, capacity: int = 1 << 20) -> PlayoutBuffer:
    return PlayoutBuffer(frame_bytes=FRAME, preroll=preroll, preroll_bytes=preroll_bytes, capacity_bytes=capacity)


def played(buffer: PlayoutBuffer, *, now: float) -> list[bytes]:
    """Read until there is nothing more to play."""
    frames = []
    while (frame := buffer.read(now=now)) is not None:
        assert len(frame) == FRAME
        frames.append(bytes(frame))
    return frames


def test_an_empty_buffer_has_nothing_to_play() -> None:
    buffer = new_buffer()
    assert buffer.read(now=0.0) is None
    buffer.write(b"", now=0.0)
    assert buffer.read(now=0.0) is None
    assert buffer.underruns == 0


@pytest.mark.parametrize("size", [2, 160, 318, 320, 322, 640, 1000, 4 * FRAME])
def test_chunks_of_any_length_become_frames(size: int) -> None:
    buffer, audio = new_buffer(), bytes(range(64)) * 20
    for at in range(0, len(audio), size):
        buffer.write(audio[at : at + size], now=0.0)
    assert buffer.queued_bytes == len(audio)
    assert b"".join(played(buffer, now=0.0)) == audio
    assert buffer.queued_bytes == 0
    assert buffer.played_bytes == len(audio)


def test_the_tail_is_padded_with_silence_and_played() -> None:
    buffer = new_buffer()
    buffer.write(A + b"bb", now=0.0)
    assert played(buffer, now=0.0) == [A, b"bb" + bytes(FRAME - 2)]
    assert buffer.played_bytes == FRAME + 2


def test_playback_waits_until_the_preroll_is_there() -> None:
    buffer = new_buffer(preroll=0.060, preroll_bytes=3 * FRAME)
    buffer.write(A, now=1.0)
    buffer.write(B, now=1.02)
    assert buffer.read(now=1.02) is None
    buffer.write(C[:-2], now=1.04)
    assert buffer.read(now=1.04) is None
    buffer.write(C[-2:], now=1.04)
    assert played(buffer, now=1.04) == [A, B, C]


def test_playback_waits_no_longer_than_the_preroll_lasts() -> None:
    buffer = new_buffer(preroll=0.060, preroll_bytes=3 * FRAME)
    buffer.write(A, now=1.0)
    assert buffer.read(now=1.059) is None
    assert buffer.queued_bytes == FRAME
    assert buffer.read(now=1.060) == A


def test_playback_that_has_begun_does_not_gather_again_before_it_is_empty() -> None:
    buffer = new_buffer(preroll=0.060, preroll_bytes=2 * FRAME)
    buffer.write(A + B, now=0.0)
    assert buffer.read(now=0.0) == A
    buffer.write(C, now=0.01)
    assert played(buffer, now=0.02) == [B, C]
    buffer.write(A, now=0.5)
    assert buffer.read(now=0.5) is None


def test_what_exceeds_the_capacity_is_refused_the_newest_first() -> None:
    buffer = new_buffer(capacity=2 * FRAME)
    buffer.write(A, now=0.0)
    buffer.write(B + C, now=0.0)
    buffer.write(C, now=0.0)
    assert buffer.refused_bytes == 2 * FRAME
    assert buffer.read(now=0.0) == A
    buffer.write(C, now=0.0)
    assert played(buffer, now=0.0) == [B, C]
    assert buffer.refused_bytes == 2 * FRAME


def test_only_whole_samples_are_refused() -> None:
    """Without half of one, all that follows would be noise."""
    buffer = new_buffer(capacity=FRAME + 1)
    buffer.write(A + b"xXy", now=0.0)
    assert buffer.refused_bytes == 2
    assert buffer.read(now=0.0) == A
    buffer.write(b"YzZ", now=0.0)
    assert buffer.read(now=0.0) == b"yYzZ" + bytes(FRAME - 4)


def test_audio_that_comes_soon_after_the_queue_ran_dry_is_an_underrun() -> None:
    buffer = new_buffer()
    for at in (0.0, SEGMENT_GAP - 0.001, 1.0, 1.0 + SEGMENT_GAP, 1.0 + SEGMENT_GAP + 0.05):
        buffer.write(A, now=at)
        assert played(buffer, now=at) == [A]
    assert buffer.underruns == 2


def test_clearing_drops_what_is_queued_and_is_no_underrun() -> None:
    buffer = new_buffer(preroll=0.060, preroll_bytes=2 * FRAME)
    buffer.write(A + B + C + b"d", now=0.0)
    assert buffer.read(now=0.0) == A
    assert buffer.clear() == 2 * FRAME
    assert buffer.read(now=0.01) is None
    assert buffer.queued_bytes == 0
    assert buffer.clear() == 0
    buffer.write(A, now=0.02)
    assert buffer.read(now=0.03) is None  # gathers again
    assert buffer.read(now=0.08) == A
    assert buffer.underruns == 0
    assert buffer.played_bytes == 2 * FRAME


# --- half samples


def test_half_a_sample_waits_for_its_other_half_when_the_queue_runs_dry() -> None:
    """Without it, all that follows would be noise: its bytes would be taken in the wrong pairs."""
    buffer = new_buffer()
    buffer.write(A + b"x", now=0.0)
    assert played(buffer, now=0.0) == [A]
    assert buffer.queued_bytes == 0
    buffer.write(b"y" + B, now=0.050)
    assert played(buffer, now=0.050) == [b"xy" + B[:-2], b"bb" + bytes(FRAME - 2)]


def test_single_bytes_become_samples() -> None:
    buffer, audio = new_buffer(preroll=0.020, preroll_bytes=FRAME), bytes(range(160)) * 4
    for at in range(len(audio)):
        buffer.write(audio[at : at + 1], now=0.0)
        assert buffer.queued_bytes == (at + 1) // 2 * 2
    assert b"".join(played(buffer, now=0.0)) == audio


def test_half_a_sample_that_nothing_followed_is_forgotten() -> None:
    """Else one message of odd length would make noise of all that the bot says later."""
    buffer = new_buffer()
    buffer.write(A + b"x", now=0.0)
    assert played(buffer, now=0.0) == [A]
    buffer.write(B, now=SEGMENT_GAP)
    assert played(buffer, now=SEGMENT_GAP) == [B]
    buffer.write(b"x", now=5.0)
    buffer.write(C, now=5.2)
    assert played(buffer, now=6.0) == [C]


def test_half_a_sample_waits_as_long_as_there_is_something_to_play() -> None:
    buffer = new_buffer()
    buffer.write(A + B + b"x", now=0.0)
    assert buffer.read(now=0.0) == A
    buffer.write(b"y", now=9.0)
    assert played(buffer, now=9.0) == [B, b"xy" + bytes(FRAME - 2)]


def test_clearing_forgets_half_a_sample_too() -> None:
    buffer = new_buffer()
    buffer.write(A + b"x", now=0.0)
    buffer.clear()
    buffer.write(B, now=0.01)
    assert played(buffer, now=0.01) == [B]


@given(st.lists(st.integers(0, 1000) | st.none(), max_size=60), st.integers(0, 2000), st.integers(0, 1500))
def test_what_comes_out_is_what_went_in_in_order_with_silence_between(
    steps: list[int | None], preroll_bytes: int, capacity: int
) -> None:
    """A number writes that many bytes, None reads a frame. Every sample has its number; silence has none."""
    buffer = new_buffer(preroll=0.010, preroll_bytes=preroll_bytes, capacity=2 * capacity)
    now, sent, heard = 0.0, 0, b""
    refused: list[int] = []
    for step in steps:
        if step is None:
            now += 0.001
            heard += bytes(buffer.read(now=now) or b"")
        else:
            chunk = b"".join((1 + at // 2).to_bytes(2)[at % 2 : at % 2 + 1] for at in range(sent, sent + step))
            sent += step
            before = buffer.refused_bytes
            buffer.write(chunk, now=now)
            taken = sent // 2 - (buffer.refused_bytes - before) // 2
            refused += range(taken + 1, sent // 2 + 1)
        assert buffer.queued_bytes <= 2 * capacity
    heard += b"".join(played(buffer, now=now + 0.010))
    samples = [int.from_bytes(heard[at : at + 2]) for at in range(0, len(heard), 2)]
    assert [sample for sample in samples if sample] == sorted(set(range(1, sent // 2 + 1)) - set(refused))
    assert buffer.played_bytes + buffer.refused_bytes == sent // 2 * 2


def test_small_pieces_are_kept_together() -> None:
    playout = PlayoutBuffer(frame_bytes=320, preroll=0.0, preroll_bytes=0, capacity_bytes=100_000)
    said = Random(1).randbytes(10_000)
    for at in range(0, len(said), 2):
        playout.write(said[at : at + 2], now=0.0)
    assert playout.queued_bytes == len(said)
    heard = b""
    while (frame := playout.read(now=0.0)) is not None:
        heard += bytes(frame)
    assert heard[: len(said)] == said


def test_half_a_sample_that_nothing_follows_does_not_spoil_what_another_bot_says() -> None:
    buffer = new_buffer()
    buffer.write(bytes(FRAME) + b"x", now=0.0)
    buffer.forget_half()
    buffer.write(FRAME * b"\x01", now=0.01)
    assert played(buffer, now=1.0) == [bytes(FRAME), FRAME * b"\x01"]
