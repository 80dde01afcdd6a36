"""Calls that are up, with a peer that speaks for the other side of the dialog."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sip import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallReceived,
    CallRef,
    EndCause,
    Message,
    Request,
    Response,
    SipUri,
)
from tests.support.sip_messages import AGENT, CALLER, OFFER, Peer, request, response

ANSWER = b"v=0\r\no=- 7 1 IN IP4 192.0.2.20\r\n"
HOLD = OFFER + b"a=sendonly\r\n"
HELD = ANSWER + b"a=recvonly\r\n"
BOTH = pytest.mark.parametrize("placed_by_agent", [False, True])


class Dialog:
    """A call with the agent that the peer has placed, or taken, and what the peer says in it."""

    def __init__(
        self, peer: Peer, *, placed_by_agent: bool = False, headers: Sequence[str] = (), body: bytes = OFFER
    ) -> None:
        self.peer = peer
        self.cseq = 1
        self.call = self._place(body, headers) if placed_by_agent else self._take(body, headers)

    def _take(self, body: bytes, headers: Sequence[str]) -> CallRef:
        self.peer.send(request(body=body, headers=tuple(headers)))
        (event,) = self.peer.events()
        assert isinstance(event, CallReceived)
        self.peer.agent.answer(event.call, ANSWER, now=self.peer.now)
        (self.final,) = self.peer.read()
        self.names = {"to_tag": self.final.to.tag}
        self.peer.send(request("ACK", branch="z9hG4bK-ack", **self.names))  # type: ignore[arg-type]
        assert [type(each) for each in self.peer.events()] == [CallConfirmed]
        return event.call

    def _place(self, body: bytes, headers: Sequence[str]) -> CallRef:
        peer = self.peer
        call = peer.agent.invite(
            SipUri(CALLER[0], user="callee"),
            destination=CALLER,
            from_uri=SipUri(AGENT[0]),
            body=body,
            now=peer.now,
        )
        (self.invite,) = peer.read()
        assert isinstance(self.invite, Request)
        pairs = tuple((name, value.strip()) for name, _, value in (each.partition(":") for each in headers))
        sent = peer.send(response(self.invite, 200, headers=pairs, body=ANSWER))
        assert len(sent) == (1 if body else 0)
        assert [type(each) for each in peer.events()] == [CallAnswered]
        self.cseq = 100
        self.names = {"call_id": self.invite.call_id, "from_tag": "callee", "to_tag": self.invite.from_.tag}
        return call

    def send(
        self, method: str, *, headers: Sequence[str] = (), body: bytes = b"", contact: str | None = "<sip:c@192.0.2.10>"
    ) -> list[Message]:
        """Send the next request of the peer; return what comes back."""
        if method != "ACK":
            self.cseq += 1
        names = self.names
        branch = f"z9hG4bK-{method}-{self.cseq}"
        data = request(
            method, branch=branch, cseq=self.cseq, headers=tuple(headers), body=body, contact=contact, **names  # type: ignore[arg-type]
        )  # fmt: skip
        return self.peer.send(data)

    def statuses(self, method: str, *, headers: Sequence[str] = (), body: bytes = b"") -> list[int]:
        """Send the next request of the peer; return the statuses that come back."""
        return [each.status for each in self.send(method, headers=headers, body=body) if isinstance(each, Response)]

    def cancel(self) -> list[int]:
        """Cancel the last INVITE."""
        names = self.names
        data = request("CANCEL", branch=f"z9hG4bK-INVITE-{self.cseq}", cseq=self.cseq, **names)  # type: ignore[arg-type]
        return self.peer.statuses(data)


def only_request(messages: Sequence[Message], method: str) -> Request:
    """Return the one message, a request of that method."""
    (message,) = messages
    assert isinstance(message, Request)
    assert message.method == method
    return message


def only_response(messages: Sequence[Message], status: int) -> Response:
    """Return the one message, a response of that status."""
    (message,) = messages
    assert isinstance(message, Response)
    assert message.status == status
    return message


def cause(peer: Peer) -> EndCause:
    """Return why the one call ended."""
    (event,) = [each for each in peer.events() if isinstance(each, CallEnded)]
    return event.cause
