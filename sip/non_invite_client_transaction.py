from __future__ import annotations

from enum import Enum

from .request import Request
from .response import Response
from .timers import Timers
from .transaction import ClientTransaction, Timer
from .via import Address


class State(Enum):
    """RFC 3261, figure 6."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class NonInviteClientTransaction(ClientTransaction):
    """Any other request of ours, and the response. See RFC 3261, section 17.1.2."""

    def __init__(self, request: Request, *, destination: Address, timers: Timers, now: float) -> None:
        super().__init__(request, destination=destination, timers=timers)
        self.state = State.TRYING
        self._interval_e = timers.t1
        self._outbox.append(bytes(request))
        self._deadlines = {Timer.F: now + timers.transaction}
        if not self.is_reliable:
            self._deadlines[Timer.E] = now + timers.t1

    @property
    def is_terminated(self) -> bool:
        """Whether the transaction is over and can be forgotten."""
        return self.state is State.TERMINATED

    def receive_response(self, response: Response, *, now: float) -> bool:
        """Take a response; return whether the call should see it: not if it is a retransmission."""
        if self.state in (State.COMPLETED, State.TERMINATED):
            return False
        if response.status < 200:
            self.state = State.PROCEEDING
        else:
            self.was_answered = True
            self.state = State.COMPLETED
            self._deadlines = {Timer.K: now + self._timers.t4}
            if self.is_reliable:
                self.abandon()
        return True

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""
        expired = self._expired(now)
        if expired & {Timer.F, Timer.K}:
            self.abandon()
        elif Timer.E in expired:
            self._outbox.append(bytes(self.request))
            doubled = min(2 * self._interval_e, self._timers.t2)
            self._interval_e = self._timers.t2 if self.state is State.PROCEEDING else doubled
            self._deadlines[Timer.E] = now + self._interval_e

    def abandon(self) -> None:
        """End the transaction at once, whatever may still come."""
        self.state = State.TERMINATED
        self._deadlines.clear()
