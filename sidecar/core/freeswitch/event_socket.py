"""One connection to the event socket of a FreeSWITCH: it logs in, asks, and is answered."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from sidecar.core.freeswitch.errors import EventSocketError
from sidecar.core.freeswitch.frames import EslEvent, Frame, Framer

MOST_WAITING = 1000
"""Commands that have not been answered. One more is refused."""

LOGIN_SECONDS = 10.0
REPLY_SECONDS = 10.0
"""A FreeSWITCH that answers a command so late hangs, or is gone."""

QUIET_SECONDS = 10.0
"""After which a connection that says nothing is asked whether it lives."""

_PING = "api echo ping"


class State(Enum):
    """How far a connection is."""

    GREETED = "is to greet us"
    AUTHENTICATING = "is to take our password"
    READY = "takes commands"
    LOST = "is gone"


@dataclass(frozen=True, slots=True)
class Ready:
    """We are logged in."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is of no more use; what was asked and not answered never will be."""

    why: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a command: the text of `api`, or the Reply-Text of any other."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class JobDone:
    """The outcome of a `bgapi`."""

    job: str
    text: str


SocketEvent = Ready | Lost | Reply | JobDone | EslEvent


class EventSocket:
    """The client side of one connection. Answers come in the order of commands: that is all that ties them."""

    def __init__(self, password: str, *, now: float) -> None:
        _check_line(password)
        self.state = State.GREETED
        self._password = password
        self._framer = Framer()
        self._unanswered: deque[tuple[int | None, float]] = (
            deque()
        )  # the number, None for our own, and when it was asked
        self._asked = 0
        self._login_by = now + LOGIN_SECONDS
        self._heard_at = now
        self._to_send: list[bytes] = []
        self._events: deque[SocketEvent] = deque()

    # --- what may be asked

    def command(self, line: str, *, headers: tuple[tuple[str, str], ...] = (), body: str = "", now: float) -> int:
        """Send a command; return the number that its `Reply` will have.

        Raise `EventSocketError` if it cannot be sent, ValueError for what would be read as another command.
        """
        for text in (line, *(part for header in headers for part in header)):
            _check_line(text)
        if self.state is not State.READY:
            raise EventSocketError(f"the event socket {self.state.value}")
        if len(self._unanswered) >= MOST_WAITING:
            raise EventSocketError("too many commands wait to be answered")
        self._asked += 1
        self._send(self._asked, line, headers, body.encode(), now=now)
        return self._asked

    def api(self, command: str, *, now: float) -> int:
        """Let FreeSWITCH do something at once: nothing else is answered before it."""
        return self.command(f"api {command}", now=now)

    def bgapi(self, command: str, *, job: str, now: float) -> int:
        """Let FreeSWITCH do something that takes its time: `JobDone` tells the outcome."""
        return self.command(f"bgapi {command}", headers=(("Job-UUID", job),), now=now)

    # --- the verbs of a core

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Bytes came in."""
        self._heard_at = now
        if self.state is State.LOST:
            return
        try:
            for frame in self._framer.receive_data(data):
                self._receive(frame, now=now)
        except EventSocketError as error:
            self._lose(f"not understood: {error}")

    def connection_lost(self) -> None:
        """The other side has closed."""
        self._lose("closed by FreeSWITCH")

    def handle_timeout(self, *, now: float) -> None:
        """Give a silent connection up, or ask whether it lives."""
        if self.state in (State.GREETED, State.AUTHENTICATING):
            if now >= self._login_by:
                self._lose("FreeSWITCH does not let us in")
        elif self._unanswered and now >= self._unanswered[0][1] + REPLY_SECONDS:
            self._lose("FreeSWITCH does not answer")
        elif self.state is State.READY and not self._unanswered and now >= self._heard_at + QUIET_SECONDS:
            self._send(None, _PING, (), b"", now=now)

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` is to be called next."""
        if self.state is State.LOST:
            return None
        if self.state is not State.READY:
            return self._login_by
        return self._unanswered[0][1] + REPLY_SECONDS if self._unanswered else self._heard_at + QUIET_SECONDS

    def data_to_send(self) -> bytes:
        """Return what is to be sent, and forget it."""
        data = b"".join(self._to_send)
        self._to_send.clear()
        return data

    def next_event(self) -> SocketEvent | None:
        """Return the next thing that the owner should know."""
        return self._events.popleft() if self._events else None

    # --- inside

    def _receive(self, frame: Frame, *, now: float) -> None:
        match frame.content_type:
            case "auth/request" if self.state is State.GREETED:
                self.state = State.AUTHENTICATING
                self._to_send.append(f"auth {self._password}\n\n".encode())
            case "command/reply" if self.state is State.AUTHENTICATING:
                self._logged_in(frame.headers.get("reply-text", ""), now=now)
            case "command/reply":
                self._answered(frame.headers.get("reply-text", ""))
            case "api/response":
                self._answered(frame.body.decode(errors="replace"))
            case "text/event-plain" | "text/event-json":
                self._told(EslEvent.parse(frame))
            case "text/rude-rejection":
                self._lose("our address is not in the access list of FreeSWITCH")
            case "text/disconnect-notice":
                self._lose("FreeSWITCH has said goodbye")
            case _:
                pass  # a log line, or what a later FreeSWITCH may say

    def _logged_in(self, reply: str, *, now: float) -> None:
        if not reply.startswith("+OK"):
            self._lose("FreeSWITCH does not take the password")
            return
        self.state = State.READY
        self._send(None, "event plain BACKGROUND_JOB", (), b"", now=now)
        self._events.append(Ready())

    def _answered(self, text: str) -> None:
        if not self._unanswered:
            raise EventSocketError("an answer that nobody has asked for")
        number, _ = self._unanswered.popleft()
        if number is not None:
            self._events.append(Reply(number, text))

    def _told(self, event: EslEvent) -> None:
        job = event.headers.get("job-uuid") if event.name == "BACKGROUND_JOB" else None
        self._events.append(event if job is None else JobDone(job, event.body))

    def _send(
        self, number: int | None, line: str, headers: tuple[tuple[str, str], ...], body: bytes, *, now: float
    ) -> None:
        lines = [line, *(f"{name}: {value}" for name, value in headers)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self._to_send.append("\n".join(lines).encode() + b"\n\n" + body)
        self._unanswered.append((number, now))

    def _lose(self, why: str) -> None:
        if self.state is not State.LOST:
            self.state = State.LOST
            self._unanswered.clear()
            self._events.append(Lost(why))


def _check_line(text: str) -> None:
    """Refuse what FreeSWITCH would take for the end of a line: what follows would be a command of its own."""
    if any(character in text for character in "\r\n\0"):
        raise ValueError("a line end cannot be sent in a command")
