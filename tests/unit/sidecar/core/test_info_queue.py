"""What waits to be told by INFO."""

from __future__ import annotations

import json

from sidecar.core.events import BotSaid, Connected, StreamEvent
from sidecar.core.info_queue import JSON, LARGEST_BODY, MOST_INFOS, InfoQueue, digit_body


def test_each_waits_for_the_answer_to_the_one_before() -> None:
    queue = InfoQueue()
    assert queue.add(JSON, [b"1", b"2"])
    assert (queue.take(), queue.take()) == ((JSON, b"1"), None)
    queue.answered()
    assert (queue.take(), queue.take()) == ((JSON, b"2"), None)
    queue.answered()
    assert queue.take() is None


def test_what_is_too_much_is_refused_whole_and_counted() -> None:
    queue = InfoQueue()
    assert queue.add(JSON, [b"x"] * (MOST_INFOS - 1))
    assert not queue.add(JSON, [b"y", b"z"])
    assert not queue.add(JSON, [b"y" * (LARGEST_BODY + 1)])
    assert queue.refused == 3
    assert queue.add(JSON, [b"y" * LARGEST_BODY])


def test_digits_and_events_are_said_as_they_are_read() -> None:
    assert digit_body("#", 160) == b"Signal=#\r\nDuration=160\r\n"
    event = StreamEvent(Connected(), "s", "c", 7, 1_800_000_000.0625)
    assert json.loads(event.json()) == {
        "event": "connect",
        "stream": "s",
        "call": "c",
        "time": "2027-01-15T08:00:00.062Z",
        "sequence": 7,
        "body": {"status": "connected"},
    }


def test_a_long_text_is_not_told() -> None:
    queue = InfoQueue()
    queue.tell(StreamEvent(BotSaid("x" * (LARGEST_BODY + 1)), "s", "c", 1, 0.0))
    queue.tell(StreamEvent(BotSaid("x"), "s", "c", 2, 0.0))
    assert queue.refused == 1
    info = queue.take()
    assert info is not None
    assert json.loads(info[1])["sequence"] == 2
