"""Frames of the event socket: as FreeSWITCH 1.10 writes them, in pieces of any size, and what is none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.freeswitch.errors import EventSocketError
from sidecar.core.freeswitch.frames import MOST_BODY, MOST_HEAD, EslEvent, Frame, Framer

GREETING = b"Content-Type: auth/request\n\n"
REPLY = b"Content-Type: command/reply\nReply-Text: +OK Job-UUID: 1234\nJob-UUID: 1234\n\n"
ANSWER = b"Content-Type: api/response\nContent-Length: 22\n\n-ERR No such channel!\n"
_EVENT = (
    b"Event-Name: BACKGROUND_JOB\nJob-UUID: 1234\nJob-Command: originate\nJob-Command-Arg: %7Bx%3D1%7Da%20%26park\n"
    b"Content-Length: 30\n\n-ERR NORMAL_TEMPORARY_FAILURE\n"
)
JOB = b"Content-Length: %d\nContent-Type: text/event-plain\n\n" % len(_EVENT) + _EVENT


def test_frames_are_cut_as_freeswitch_writes_them() -> None:
    greeting, reply, answer, job = Framer().receive_data(GREETING + REPLY + ANSWER + JOB)
    assert greeting == Frame({"content-type": "auth/request"})
    assert reply.headers["reply-text"] == "+OK Job-UUID: 1234"
    assert (answer.content_type, answer.body) == ("api/response", b"-ERR No such channel!\n")
    event = EslEvent.parse(job)
    assert (event.name, event.body) == ("BACKGROUND_JOB", "-ERR NORMAL_TEMPORARY_FAILURE\n")
    assert event.headers["job-command-arg"] == "{x=1}a &park"


@given(st.lists(st.integers(1, 40)))
def test_it_does_not_matter_how_frames_are_cut_up_on_their_way(sizes: list[int]) -> None:
    data, framer, frames = 3 * (GREETING + REPLY + b"\n" + ANSWER + JOB), Framer(), []
    for size in [*sizes, len(data)]:
        frames += framer.receive_data(data[:size])
        data = data[size:]
    assert frames == 3 * Framer().receive_data(GREETING + REPLY + ANSWER + JOB)


def test_an_event_in_json_is_the_same_event() -> None:
    body = b'{"Event-Name":"CUSTOM","X":["first","second"],"None":[],"_body":"text"}'
    event = EslEvent.parse(Frame({"content-type": "text/event-json"}, body))
    assert event == EslEvent({"event-name": "CUSTOM", "x": "first"}, "text")


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":1}', b'"\xff"'])
def test_an_event_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(EventSocketError):
        EslEvent.parse(Frame({"content-type": "text/event-json"}, body))


def test_the_first_of_two_headers_counts() -> None:
    (frame,) = Framer().receive_data(b"A: 1\na: 2\nno header\n\n")
    assert frame.headers == {"a": "1"}


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "\u0663", "9" * 12, str(MOST_BODY + 1)])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(EventSocketError, match="a body of"):
        Framer().receive_data(f"Content-Length: {length}\n\n".encode())


def test_a_head_without_end_is_refused() -> None:
    framer = Framer()
    assert not framer.receive_data(b"A: 1\n" * (MOST_HEAD // 5))
    with pytest.raises(EventSocketError, match="a head of more"):
        framer.receive_data(b"A: 1\n")


@given(st.binary(max_size=500))
def test_anything_is_frames_or_an_error(data: bytes) -> None:
    with contextlib.suppress(EventSocketError):
        for frame in Framer().receive_data(data):
            EslEvent.parse(frame)
