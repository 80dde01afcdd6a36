from __future__ import annotations

from enum import Enum

from .request import Request
from .response import Response
from .timers import Timers
from .transaction import ServerTransaction, Timer
from .via import Address


class State(Enum):
    """RFC 3261, figure 8."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class NonInviteServerTransaction(ServerTransaction):
    """Any other request that came, and our response. See RFC 3261, section 17.2.2."""

    def __init__(self, request: Request, *, timers: Timers, source: Address | None = None) -> None:
        super().__init__(request, timers=timers, source=source)
        self.state = State.TRYING
        self._last: bytes | None = None

    @property
    def is_terminated(self) -> bool:
        """Whether the transaction is over and can be forgotten."""
        return self.state is State.TERMINATED

    def receive_request(self, request: Request, *, now: float) -> None:
        """Take a retransmission: answer it as before, or not at all while there is no answer yet."""
        if self._last is not None:
            self._outbox.append(self._last)

    def send_response(self, response: Response, *, now: float) -> None:
        """Send a provisional or the final response."""
        assert self.state in (State.TRYING, State.PROCEEDING), "there is one final response"
        self._last = bytes(response)
        self._outbox.append(self._last)
        if response.status < 200:
            self.state = State.PROCEEDING
        elif self.is_reliable:
            self.state = State.TERMINATED
        else:
            self.state = State.COMPLETED
            self._deadlines = {Timer.J: now + self._timers.transaction}

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""
        if Timer.J in self._expired(now):
            self.state = State.TERMINATED
            self._deadlines.clear()
