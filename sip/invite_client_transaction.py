from __future__ import annotations

from enum import Enum

from .request import Request
from .response import Response
from .timers import Timers
from .transaction import ClientTransaction, Timer
from .via import Address


class State(Enum):
    """RFC 3261, figure 5, with the Accepted state of RFC 6026."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class InviteClientTransaction(ClientTransaction):
    """An INVITE of ours, and the responses. See RFC 3261, 17.1.1, and RFC 6026, 7.2."""

    def __init__(self, request: Request, *, destination: Address, timers: Timers, now: float) -> None:
        super().__init__(request, destination=destination, timers=timers)
        self.state = State.CALLING
        self._interval_a = timers.t1
        self._ack: bytes | None = None
        self._outbox.append(bytes(request))
        self._deadlines = {Timer.B: now + timers.transaction}
        if not self.is_reliable:
            self._deadlines[Timer.A] = now + timers.t1

    @property
    def is_terminated(self) -> bool:
        """Whether the transaction is over and can be forgotten."""
        return self.state is State.TERMINATED

    @property
    def is_proceeding(self) -> bool:
        """Whether there is a provisional response, and no final one."""
        return self.state is State.PROCEEDING

    def receive_response(self, response: Response, *, now: float) -> bool:
        """Take a response; return whether the call should see it: not if it is a retransmission."""
        if self.state in (State.CALLING, State.PROCEEDING):
            self._advance(response, now)
            return True
        if self.state is State.ACCEPTED:
            return 200 <= response.status < 300  # of a fork, or retransmitted because our ACK was lost
        if self.state is State.COMPLETED and response.status >= 300 and self._ack is not None:
            self._outbox.append(self._ack)
        return False

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""
        expired = self._expired(now)
        if expired & {Timer.B, Timer.D, Timer.M}:
            self.abandon()
        elif Timer.A in expired:
            self._outbox.append(bytes(self.request))
            self._interval_a *= 2
            self._deadlines[Timer.A] = now + self._interval_a

    def abandon(self) -> None:
        """End the transaction at once, whatever may still come."""
        self.state = State.TERMINATED
        self._deadlines.clear()

    def _advance(self, response: Response, now: float) -> None:
        self.was_answered = response.status >= 200
        if response.status < 200:
            self.state = State.PROCEEDING
            self._deadlines = {}
        elif response.status < 300:
            self.state = State.ACCEPTED
            self._deadlines = {Timer.M: now + self._timers.transaction}
        else:
            self.state = State.COMPLETED
            to = response.headers.get("To") or ""
            self._ack = bytes(self.request.on_same_hop("ACK", to=to))
            self._outbox.append(self._ack)
            self._deadlines = {Timer.D: now + self._timers.d}
            if self.is_reliable:
                self.abandon()
