from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .deadline import Deadline
from .error import NoSuchCall, SipError
from .grammar import TOKEN
from .message import Message
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from .server_call import ServerCall

_RACK = re.compile(rf"([0-9]{{1,10}})\s+([0-9]{{1,10}})\s+({TOKEN})")
_WAITING_MAX = 16


def supports_100rel(message: Message) -> bool:
    """Tell whether the writer takes reliable provisional responses. See RFC 3262, section 3."""
    names = (*message.headers.get_list("Supported"), *message.headers.get_list("Require"))
    return "100rel" in (name.lower() for name in names)


def requires_100rel(message: Message) -> bool:
    """Tell whether the writer insists on them; in a response: whether this one wants a PRACK."""
    return "100rel" in (name.lower() for name in message.headers.get_list("Require"))


def parse_rack(value: str) -> tuple[int, int, str]:
    """Parse a RAck header: RSeq, CSeq and method of what is acknowledged. See RFC 3262, section 7.2."""
    match = _RACK.fullmatch(value.strip())
    if match is None:
        raise SipError("Malformed RAck")
    return int(match[1]), int(match[2]), match[3]


class ReliableProvisional:
    """Our provisional responses that are sent until a PRACK comes, one after another. See RFC 3262, section 3."""

    def __init__(self, call: ServerCall) -> None:
        self._call = call
        self._sequence = call.endpoint.random.randrange(1, 2**31 - 1)
        self._waiting: deque[Callable[[int], Response]] = deque()
        self._data: bytes | None = None  # the one that waits for its PRACK
        self._holds_description = False
        self._wants_answer = False
        self._interval = 0.0
        self.has_settled = False  # whether the exchange of the INVITE is complete (RFC 3262, section 5)

    @property
    def offers(self) -> bool:
        """Whether an offer of ours waits for the answer in its PRACK."""
        return self._data is not None and self._wants_answer

    @property
    def holds_answer_back(self) -> bool:
        """Whether a 2xx must wait: a description is on its way (section 3)."""
        return self._data is not None and self._holds_description

    def send(self, build: Callable[[int], Response], *, now: float) -> None:
        """Send a response, built from its RSeq, when those before it are acknowledged."""
        if len(self._waiting) < _WAITING_MAX:
            self._waiting.append(build)
        if self._data is None:
            self._send_next(now)

    def stop(self) -> None:
        """The INVITE has its final response."""
        self._waiting.clear()  # the last one that was sent may still be acknowledged
        self._call.deadlines.pop(Deadline.PROVISIONAL, None)
        self._call.deadlines.pop(Deadline.PRACK, None)

    def receive_prack(self, request: Request, *, now: float) -> bool:
        """Take a PRACK; return whether it carries the answer to an offer of ours."""
        sequence, cseq, method = parse_rack(request.headers.get("RAck") or "")
        known = (self._sequence, self._call.invite_cseq, "INVITE")
        if self._data is None or (sequence, cseq, method) != known:
            raise NoSuchCall("No Such Reliable Response")
        self._data = None
        wanted_answer = self._wants_answer
        self.has_settled |= wanted_answer and bool(request.body)
        self._call.deadlines.pop(Deadline.PROVISIONAL, None)
        self._call.deadlines.pop(Deadline.PRACK, None)
        if self._waiting:
            self._send_next(now)
        return wanted_answer

    def retransmit(self, *, now: float) -> None:
        """Send the response again, at intervals that double without bound."""
        assert self._data is not None
        self._call.layer.send(self._data, self._call.response_destination)
        self._interval *= 2
        self._call.deadlines[Deadline.PROVISIONAL] = now + self._interval

    def _send_next(self, now: float) -> None:
        self._sequence += 1
        response = self._waiting.popleft()(self._sequence)
        self._data = bytes(response)
        self._holds_description = bool(response.body)
        self._wants_answer = bool(response.body) and self._call.makes_offer
        self.has_settled |= bool(response.body) and not self._wants_answer
        self._interval = self._call.endpoint.timers.t1
        self._call.deadlines[Deadline.PROVISIONAL] = now + self._interval
        self._call.deadlines[Deadline.PRACK] = now + self._call.endpoint.timers.transaction
        self._call.send_provisional(response, now=now)
