"""One connection to an event socket, in virtual time, with what a FreeSWITCH 1.10.12 said."""

from __future__ import annotations

import pytest

from sidecar.core.freeswitch.errors import EventSocketError
from sidecar.core.freeswitch.event_socket import (
    LOGIN_SECONDS,
    MOST_WAITING,
    QUIET_SECONDS,
    REPLY_SECONDS,
    EventSocket,
    JobDone,
    Lost,
    Ready,
    Reply,
    SocketEvent,
    State,
)
from sidecar.core.freeswitch.frames import EslEvent

GREETING = b"Content-Type: auth/request\n\n"
ACCEPTED = b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
OK = b"Content-Type: command/reply\nReply-Text: +OK\n\n"
SUBSCRIBE = b"event plain BACKGROUND_JOB\n\n"


def answer(text: str) -> bytes:
    return f"Content-Type: api/response\nContent-Length: {len(text)}\n\n{text}".encode()


def event(head: str, body: str = "") -> bytes:
    inner = f"{head}\nContent-Length: {len(body)}\n\n{body}"
    return f"Content-Length: {len(inner)}\nContent-Type: text/event-plain\n\n{inner}".encode()


def events(socket: EventSocket) -> list[SocketEvent]:
    return list(iter(socket.next_event, None))


def ready_socket() -> EventSocket:
    socket = EventSocket("secret", now=0.0)
    socket.receive_data(GREETING, now=0.0)
    assert socket.data_to_send() == b"auth secret\n\n"
    socket.receive_data(ACCEPTED, now=0.0)
    assert events(socket) == [Ready()]
    assert socket.data_to_send() == SUBSCRIBE
    socket.receive_data(OK, now=0.0)
    return socket


def test_answers_come_in_the_order_of_the_commands() -> None:
    socket = ready_socket()
    first = socket.api("uuid_exists 1", now=1.0)
    second = socket.api("uuid_dump 1", now=1.0)
    assert socket.data_to_send() == b"api uuid_exists 1\n\napi uuid_dump 1\n\n"
    socket.receive_data(answer("false") + answer("-ERR No such channel!\n"), now=1.1)
    assert events(socket) == [Reply(first, "false"), Reply(second, "-ERR No such channel!\n")]


def test_a_job_has_an_answer_and_later_an_outcome() -> None:
    socket = ready_socket()
    number = socket.bgapi("originate x &park", job="j1", now=1.0)
    assert socket.data_to_send() == b"bgapi originate x &park\nJob-UUID: j1\n\n"
    socket.receive_data(OK + event("Event-Name: BACKGROUND_JOB\nJob-UUID: j1", "+OK 1234\n"), now=2.0)
    assert events(socket) == [Reply(number, "+OK"), JobDone("j1", "+OK 1234\n")]


def test_an_event_goes_out_with_its_body() -> None:
    socket = ready_socket()
    socket.command("sendevent CUSTOM", headers=(("Event-Subclass", "a::b"),), body="grüß", now=1.0)
    assert socket.data_to_send() == "sendevent CUSTOM\nEvent-Subclass: a::b\nContent-Length: 6\n\ngrüß".encode()


def test_other_events_are_handed_on_and_other_frames_are_not() -> None:
    socket = ready_socket()
    socket.receive_data(b"Content-Type: log/data\nContent-Length: 2\n\nxx" + event("Event-Name: HEARTBEAT"), now=1.0)
    assert events(socket) == [EslEvent({"event-name": "HEARTBEAT", "content-length": "0"})]


@pytest.mark.parametrize("line", ["a\nb", "a\rb", "a\0b"])
def test_nothing_can_end_a_line_and_begin_a_command(line: str) -> None:
    socket = ready_socket()
    with pytest.raises(ValueError, match="line end"):
        socket.api(line, now=1.0)
    with pytest.raises(ValueError, match="line end"):
        socket.command("sendevent CUSTOM", headers=(("A", line),), now=1.0)
    with pytest.raises(ValueError, match="line end"):
        EventSocket(line, now=0.0)


def test_nothing_is_sent_before_the_login() -> None:
    socket = EventSocket("secret", now=0.0)
    with pytest.raises(EventSocketError, match="is to greet us"):
        socket.api("status", now=0.0)


def test_too_many_unanswered_commands_are_refused() -> None:
    socket = ready_socket()
    for _ in range(MOST_WAITING):
        socket.api("status", now=1.0)
    with pytest.raises(EventSocketError, match="too many"):
        socket.api("status", now=1.0)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n", "does not take the password"),
        (b"Content-Type: text/disconnect-notice\nContent-Length: 2\n\nxx", "goodbye"),
        (b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n", "access list"),
        (b"Content-Length: x\n\n", "not understood"),
    ],
)
def test_what_freeswitch_says_at_the_end_is_why_it_is_lost(said: bytes, why: str) -> None:
    socket = EventSocket("secret", now=0.0)
    socket.receive_data(GREETING + said, now=0.0)
    socket.connection_lost()
    socket.receive_data(GREETING, now=1.0)
    (lost,) = events(socket)
    assert isinstance(lost, Lost)
    assert why in lost.why
    assert socket.state is State.LOST
    assert socket.next_timeout() is None
    socket.handle_timeout(now=100.0)
    assert not events(socket)


def test_an_answer_that_nobody_asked_for_is_the_end() -> None:
    socket = ready_socket()
    socket.receive_data(OK, now=1.0)
    assert events(socket) == [Lost("not understood: an answer that nobody has asked for")]


def test_a_connection_that_closes_is_lost() -> None:
    socket = ready_socket()
    socket.connection_lost()
    assert events(socket) == [Lost("closed by FreeSWITCH")]


def test_a_login_takes_no_longer_than_it_may() -> None:
    socket = EventSocket("secret", now=0.0)
    assert socket.next_timeout() == LOGIN_SECONDS
    socket.handle_timeout(now=LOGIN_SECONDS - 1)
    assert not events(socket)
    socket.handle_timeout(now=LOGIN_SECONDS)
    assert events(socket) == [Lost("FreeSWITCH does not let us in")]


def test_a_quiet_connection_is_asked_and_lost_if_it_does_not_answer() -> None:
    socket = ready_socket()
    assert socket.next_timeout() == QUIET_SECONDS
    socket.handle_timeout(now=QUIET_SECONDS - 1)
    assert socket.data_to_send() == b""
    socket.handle_timeout(now=QUIET_SECONDS)
    assert socket.data_to_send() == b"api echo ping\n\n"
    socket.receive_data(answer("ping"), now=QUIET_SECONDS + 1)
    assert not events(socket)
    assert socket.next_timeout() == 2 * QUIET_SECONDS + 1
    socket.handle_timeout(now=2 * QUIET_SECONDS + 1)
    deadline = socket.next_timeout()
    assert deadline == 2 * QUIET_SECONDS + 1 + REPLY_SECONDS
    socket.handle_timeout(now=deadline)
    assert events(socket) == [Lost("FreeSWITCH does not answer")]
