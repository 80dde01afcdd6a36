"""Builders of SIP messages as a peer would write them, right or wrong."""

from __future__ import annotations

from random import Random

from sip import Address, Admission, Credentials, Event, Message, Request, Response, Timers, UserAgent, parse_message

CALLER: Address = ("192.0.2.10", 5060)
AGENT: Address = ("192.0.2.20", 5070)
OFFER = (
    b"v=0\r\no=FreeSWITCH 1 1 IN IP4 192.0.2.10\r\ns=FreeSWITCH\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 24680 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n"
)


def request(
    method: str = "INVITE",
    *,
    uri: str = "sip:bot@192.0.2.20:5070",
    branch: str = "z9hG4bK-1",
    via: str | None = None,
    cseq: int = 1,
    call_id: str = "call-1",
    from_tag: str = "caller",
    to_tag: str | None = None,
    contact: str | None = "<sip:caller@192.0.2.10:5060>",
    headers: tuple[str, ...] = (),
    body: bytes = b"",
    version: str = "2.0",
) -> bytes:
    """Build a request of the caller."""
    lines = [
        f"{method} {uri} SIP/{version}",
        via or f"Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch={branch}",
        f"From: <sip:caller@192.0.2.10>;tag={from_tag}",
        "To: <sip:bot@192.0.2.20>" + ("" if to_tag is None else f";tag={to_tag}"),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *headers,
    ]
    if contact is not None:
        lines.append(f"Contact: {contact}")
    if body and not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def response(
    to: Request,
    status: int,
    *,
    to_tag: str | None = "callee",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> bytes:
    """Build the callee's response to a request of the agent."""
    return bytes(Response.answering(to, status, to_tag=to_tag, headers=headers, body=body))


class Peer:
    """The other side of one user agent: sends bytes, reads messages, and has the clock in its hand."""

    def __init__(
        self,
        *,
        max_calls: int = 10,
        max_transactions: int = 100,
        seed: int = 1,
        timers: Timers | None = None,
        credentials: Credentials | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.agent = UserAgent(
            contact=AGENT,
            random=Random(seed),
            timers=timers or Timers(),
            credentials=credentials,
            admission=admission or Admission(),
            max_calls=max_calls,
            max_transactions=max_transactions,
        )
        self.now = 0.0

    def send(self, data: bytes, *, source: Address = CALLER) -> list[Message]:
        """Send a datagram to the agent; return what it sends back."""
        self.agent.receive_datagram(data, source, now=self.now)
        return self.read()

    def read(self) -> list[Message]:
        """Return what the agent has sent."""
        return [parse_message(data) for data, _ in self.agent.datagrams_to_send()]

    def statuses(self, data: bytes) -> list[int]:
        """Send a datagram to the agent; return the status codes that come back."""
        return [each.status for each in self.send(data) if isinstance(each, Response)]

    def wait(self, seconds: float) -> list[Message]:
        """Let time pass, deadline by deadline; return what the agent has sent meanwhile."""
        self.wait_blindly(seconds)
        return self.read()

    def wait_blindly(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        until = self.now + seconds
        while (at := self.agent.next_timeout()) is not None and at <= until:
            self.now = max(self.now, at)
            self.agent.handle_timeout(now=self.now)
        self.now = until

    def events(self) -> list[Event]:
        """Return what the agent has told."""
        events = []
        while (event := self.agent.next_event()) is not None:
            events.append(event)
        return events
