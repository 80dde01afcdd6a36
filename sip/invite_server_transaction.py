from __future__ import annotations

from enum import Enum

from .request import Request
from .response import Response
from .timers import Timers
from .transaction import ServerTransaction, Timer
from .via import Address


class State(Enum):
    """RFC 3261, figure 7, with the Accepted state of RFC 6026."""

    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class InviteServerTransaction(ServerTransaction):
    """An INVITE that came, and our responses. See RFC 3261, 17.2.1, and RFC 6026, 7.1."""

    def __init__(self, request: Request, *, timers: Timers, source: Address | None = None) -> None:
        super().__init__(request, timers=timers, source=source)
        self.state = State.PROCEEDING
        self._last: bytes | None = None
        self._interval_g = timers.t1

    @property
    def is_terminated(self) -> bool:
        """Whether the transaction is over and can be forgotten."""
        return self.state is State.TERMINATED

    def receive_request(self, request: Request, *, now: float) -> None:
        """Take a retransmitted INVITE, or the ACK of a refusal."""
        if request.method == "ACK":
            if self.state is State.COMPLETED:
                self.state = State.TERMINATED if self.is_reliable else State.CONFIRMED
                self._deadlines = {} if self.is_reliable else {Timer.I: now + self._timers.t4}
        elif self.state in (State.PROCEEDING, State.COMPLETED) and self._last is not None:
            self._outbox.append(self._last)

    def send_response(self, response: Response, *, now: float) -> None:
        """Send a provisional or the final response; a 2xx is retransmitted by the call, not here."""
        assert self.state is State.PROCEEDING, "there is one final response"
        self._last = bytes(response)
        self._outbox.append(self._last)
        if response.status >= 300:
            self.state = State.COMPLETED
            self._deadlines = {Timer.H: now + self._timers.transaction}
            if not self.is_reliable:
                self._deadlines[Timer.G] = now + self._interval_g
        elif response.status >= 200:
            self.state = State.ACCEPTED
            self._deadlines = {Timer.L: now + self._timers.transaction}

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""
        expired = self._expired(now)
        if expired & {Timer.H, Timer.I, Timer.L}:
            self.state = State.TERMINATED
            self._deadlines.clear()
        elif Timer.G in expired:
            assert self._last is not None
            self._outbox.append(self._last)
            self._interval_g = min(2 * self._interval_g, self._timers.t2)
            self._deadlines[Timer.G] = now + self._interval_g
