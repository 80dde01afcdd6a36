from __future__ import annotations

from typing import TYPE_CHECKING

from .deadline import Deadline
from .event import EndCause
from .request import Request
from .response import Response
from .via import Address

if TYPE_CHECKING:
    from .call import Call


class SuccessRetransmission:
    """Our 2xx to an INVITE, sent again until its ACK comes. See RFC 3261, section 13.3.1.4."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._cseq: int | None = None  # of the INVITE whose ACK is missing
        self._data = b""
        self._destination: Address = ("", 0)
        self._interval = 0.0
        self.wants_answer = False  # the ACK carries the answer to our offer

    @property
    def is_pending(self) -> bool:
        """Whether an ACK is missing."""
        return self._cseq is not None

    def start(self, response: Response, destination: Address, *, wants_answer: bool, now: float) -> None:
        """Wait for the ACK of a 2xx that was sent."""
        timers = self._call.endpoint.timers
        self._cseq = response.cseq.number
        self._data = bytes(response)
        self._destination = destination
        self._interval = timers.t1
        self.wants_answer = wants_answer
        self._call.deadlines[Deadline.RETRANSMIT] = now + self._interval
        self._call.deadlines[Deadline.ACK] = now + timers.transaction

    def receive_ack(self, request: Request) -> bool:
        """Take an ACK; return whether it was waited for."""
        if request.cseq.number != self._cseq:
            return False
        self.stop()
        return True

    def stop(self) -> None:
        """Wait no more: the ACK came, or something that stands for it, or the call is over."""
        self._cseq = None
        self.wants_answer = False
        self._call.deadlines.pop(Deadline.RETRANSMIT, None)
        self._call.deadlines.pop(Deadline.ACK, None)

    def handle_deadline(self, deadline: Deadline, *, now: float) -> None:
        """Send the 2xx again; after 64*T1, give up the call."""
        if deadline is Deadline.ACK:
            self.stop()
            self._call.end_broken(EndCause.NO_ACK, 408, now=now)
        else:
            self._call.layer.send(self._data, self._destination)
            self._interval = min(2 * self._interval, self._call.endpoint.timers.t2)
            self._call.deadlines[Deadline.RETRANSMIT] = now + self._interval
