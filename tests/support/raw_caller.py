"""A caller that writes its own SIP, and the media worker on the other side of call control; nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from random import Random

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.call_control import CallControl
from sidecar.core.events import StreamEvent
from sidecar.core.link import FromWorker, OpenStream, StatsTold, ToWorker, WorkerReady
from sidecar.core.media_policy import MediaPolicy
from sidecar.core.options import Profile
from sip import AuthenticationFailed, Message, Request, Response, UserAgent, parse_message
from tests.support.sip_messages import AGENT, CALLER, request

BOT = "ws://bot.example/"
WALL_CLOCK = 1_800_000_000.0
"""When the time of the test begins, in seconds since 1970."""


class RawCaller:
    """One call, and what call control says because of it to the caller, the worker and the outside."""

    def __init__(self, **options: str) -> None:
        """`options` are those of the profile."""
        self.agent = UserAgent(contact=AGENT, random=Random(1))
        self.control = CallControl(
            self.agent,
            random=Random(2),
            media_address=lambda host: f"198.51.100.{host.rpartition('.')[2]}",
            profiles={},
            default_profile=Profile({"url": BOT, **options}),
            bot_hosts=BotHosts(),
            media=MediaPolicy(),
            wall_clock=lambda: WALL_CLOCK + self.now,
            allow=[ip_network("192.0.2.0/24")],
        )
        self.now = 0.0
        self.told: list[ToWorker] = []
        self.events: list[StreamEvent] = []
        self.answers: list[StatsTold] = []
        self.strangers: list[AuthenticationFailed] = []
        self._cseq = 1
        self._to_tag: str | None = None
        self.worker_says(WorkerReady(40000))

    @property
    def stream(self) -> str:
        """The name of the stream."""
        return next(message.stream for message in self.told if isinstance(message, OpenStream))

    def invite(self, body: bytes, *, headers: Sequence[str] = ()) -> list[Message]:
        """Place the call."""
        return self._send(request(body=body, headers=tuple(headers)))

    def send(self, method: str, *, headers: Sequence[str] = (), body: bytes = b"", cseq: int = 0) -> list[Message]:
        """Send the next request of the call; `cseq` is for an ACK or a CANCEL."""
        self._cseq += not cseq
        number = cseq or self._cseq
        branch = f"z9hG4bK-{'INVITE' if method == 'CANCEL' else method}-{number}"
        tag = self._to_tag
        return self._send(request(method, branch=branch, cseq=number, to_tag=tag, headers=tuple(headers), body=body))

    @property
    def cseq(self) -> int:
        """The number of the last request."""
        return self._cseq

    def worker_says(self, message: FromWorker) -> list[Message]:
        """Give control a message of the worker; return what the caller gets."""
        self.control.receive_message(message, now=self.now)
        return self.drain()

    def wait(self, seconds: float) -> list[Message]:
        """Let time pass, deadline by deadline."""
        until = self.now + seconds
        while (at := self.control.next_timeout()) is not None and at <= until:
            self.now = max(self.now, at)
            self.control.handle_timeout(now=self.now)
        self.now = until
        return self.drain()

    def respond(self, request: Request, status: int) -> list[Message]:
        """Answer a request of the sidecar; return what the caller gets then."""
        return self._send(bytes(Response.answering(request, status)))

    def _send(self, data: bytes) -> list[Message]:
        self.control.receive_datagram(data, CALLER, now=self.now)
        return self.drain()

    def drain(self) -> list[Message]:
        """Return what the caller gets."""
        while (event := self.control.next_event()) is not None:
            if isinstance(event, StreamEvent):
                self.events.append(event)
            elif isinstance(event, StatsTold):
                self.answers.append(event)
            elif isinstance(event, AuthenticationFailed):
                self.strangers.append(event)
            else:
                self.told.append(event)
        got: list[Message] = [parse_message(data) for data, _ in self.control.datagrams_to_send()]
        for message in got:
            if isinstance(message, Response) and message.to.tag is not None:
                self._to_tag = message.to.tag
        return got


def statuses(messages: Sequence[Message]) -> list[int]:
    """Return the statuses of the responses."""
    return [each.status for each in messages if isinstance(each, Response)]


def goodbye(messages: Sequence[Message]) -> str | None:
    """Return the Reason of the one BYE."""
    (bye,) = (each for each in messages if isinstance(each, Request))
    assert bye.method == "BYE"
    return bye.headers.get("Reason")
