"""What waits for a bot that does not read fast enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.outbox import Outbox


def drained(outbox: Outbox) -> list[bytes]:
    """Take all there is."""
    frames = []
    while outbox:
        frames.append(outbox.take())
    return frames


def test_frames_leave_in_the_order_they_came() -> None:
    outbox = Outbox(100)
    assert not outbox
    outbox.put_audio(b"one")
    outbox.put(b"two")
    outbox.put_audio(b"three")
    assert outbox
    assert drained(outbox) == [b"one", b"two", b"three"]
    assert outbox.audio_bytes == outbox.dropped == 0


def test_the_oldest_audio_makes_room_for_the_newest() -> None:
    outbox = Outbox(10)
    for frame in (b"aaaa", b"bbbb", b"cccc", b"dddd"):
        outbox.put_audio(frame)
    assert outbox.dropped == 2
    assert outbox.audio_bytes == 8
    assert drained(outbox) == [b"cccc", b"dddd"]


def test_control_and_text_are_never_dropped() -> None:
    outbox = Outbox(4)
    for number in range(5):
        outbox.put(b"text%d" % number)
        outbox.put_audio(b"%04d" % number)
    assert outbox.dropped == 4
    assert drained(outbox) == [b"text0", b"text1", b"text2", b"text3", b"text4", b"0004"]


def test_a_frame_that_was_begun_is_ended_whatever_comes() -> None:
    outbox = Outbox(4)
    outbox.put_audio(b"abcd")
    assert not outbox.begun
    assert outbox.take() == b"abcd"
    outbox.put_ahead(b"cd")
    assert outbox.begun
    for _ in range(3):
        outbox.put_audio(b"wxyz")
    assert outbox.take() == b"cd"
    assert not outbox.begun
    assert drained(outbox) == [b"wxyz"]


def test_audio_larger_than_all_room_is_not_kept() -> None:
    outbox = Outbox(3)
    outbox.put_audio(b"abcd")
    assert not outbox
    assert outbox.dropped == 1
    assert outbox.audio_bytes == 0


steps = st.tuples(st.sampled_from(["audio", "text", "write"]), st.integers(1, 12))


@given(st.integers(0, 40), st.lists(steps, max_size=60))
def test_what_is_written_is_whole_frames_in_order_and_the_rest_is_counted(
    capacity: int, steps: list[tuple[str, int]]
) -> None:
    """Each frame is one length byte and as many bytes of one number: so the stream can be read back."""
    outbox, written = Outbox(capacity), b""
    audio, text = 0, 0
    for at, (step, size) in enumerate(steps):
        frame = bytes([size]) + bytes([at]) * size
        if step == "audio":
            outbox.put_audio(frame)
            audio += 1
        elif step == "text":
            outbox.put(frame)
            text += 1
        elif outbox:
            waiting = outbox.take()
            written += waiting[:size]
            outbox.put_ahead(waiting[size:])
        assert outbox.audio_bytes <= capacity
    written += b"".join(drained(outbox))
    read: list[int] = []
    while written:
        size = written[0]
        assert written[1 : 1 + size] == written[1:2] * size
        read.append(written[1])
        written = written[1 + size :]
    assert read == sorted(set(read))
    assert len(read) == audio + text - outbox.dropped
    assert sum(steps[at][0] == "text" for at in read) == text


def test_it_says_how_many_frames_wait_that_are_not_audio() -> None:
    outbox = Outbox(1000)
    outbox.put(b"pong")
    outbox.put_audio(bytes(10))
    outbox.put(b"pong")
    assert outbox.other_frames == 2
    outbox.take()
    assert outbox.other_frames == 1


def test_it_overflows_from_the_first_that_is_dropped_until_it_is_empty() -> None:
    outbox = Outbox(8)
    outbox.put_audio(b"aaaa")
    outbox.put_audio(b"bbbb")
    assert not outbox.overflows
    outbox.put_audio(b"cccc")
    assert outbox.overflows
    outbox.take()
    assert outbox.overflows
    outbox.take()
    assert not outbox.overflows


def test_of_a_connection_that_is_lost_the_audio_is_left_that_was_not_begun() -> None:
    outbox = Outbox(100)
    outbox.put_ahead(b"rest")
    outbox.put_audio(b"one")
    outbox.put(b"text")
    outbox.put_audio(b"two")
    assert outbox.begun_bytes == 4
    assert outbox.take_audio() == [b"one", b"two"]
    assert outbox.audio_bytes == outbox.other_frames == outbox.dropped == 0
    outbox.put(b"close")
    assert [outbox.take(), outbox.take()] == [b"rest", b"close"]
    assert not outbox


def test_of_what_waits_at_the_end_the_close_frame_is_what_counts() -> None:
    outbox = Outbox(100)
    assert outbox.last_words() == b""
    outbox.put(b"text")
    outbox.put(b"close")
    outbox.put_audio(b"audio")
    outbox.put_ahead(b"rest")
    assert outbox.last_words() == b"restclose"
