from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from .call import Call, Deadline
from .dialog import Dialog
from .endpoint import Endpoint
from .event import CallConfirmed, CallReceived, CallRef, EndCause
from .request import Request
from .response import Response
from .transaction_layer import AnyClientTransaction, AnyServerTransaction, TransactionLayer
from .via import Address


class State(Enum):
    """Where an incoming call is."""

    EARLY = "early"  # no final response yet
    ANSWERED = "answered"  # our 2xx waits for its ACK
    CONFIRMED = "confirmed"
    ENDED = "ended"


class ServerCall(Call):
    """A call that came. See RFC 3261, sections 13.3 and 15."""

    def __init__(
        self,
        ref: CallRef,
        transaction: AnyServerTransaction,
        *,
        source: Address,
        endpoint: Endpoint,
        layer: TransactionLayer,
    ) -> None:
        super().__init__(ref, endpoint=endpoint, layer=layer)
        self.state = State.EARLY
        self._invite = transaction
        transaction.owner = ref
        self._dialog = Dialog.of_server(transaction.request, local_tag=endpoint.new_tag(), source=source)
        self.dialogs[self._dialog.key] = self._dialog
        self._final = b""
        self._interval = endpoint.timers.t1
        self._bye_headers: Sequence[tuple[str, str]] = ()
        self.events.append(CallReceived(ref, transaction.request, source))

    @property
    def is_early(self) -> bool:
        """Whether the INVITE has no final response yet."""
        return self.state is State.EARLY

    @property
    def tag(self) -> str:
        """Our tag, the same in all responses."""
        return self._dialog.local_tag

    def respond(
        self,
        status: int,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        now: float,
    ) -> None:
        """Send a provisional response, or refuse the call."""
        assert 100 <= status < 200 or 300 <= status < 700, "a 2xx is for answer()"
        assert self.state is State.EARLY, "there is one final response"
        tag = None if status == 100 else self.tag
        response = self._endpoint.response(
            self._invite.request, status, to_tag=tag, reason=reason, headers=headers, body=body
        )
        self._layer.respond(self._invite, response, now=now)
        if status >= 300:
            self.state = State.ENDED
            self._end(EndCause.REJECTED, status=status)

    def answer(self, body: bytes, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """Accept the call; the 200 is sent until its ACK comes. See RFC 3261, section 13.3.1.4."""
        assert self.state is State.EARLY, "there is one final response"
        response = self._endpoint.response(self._invite.request, 200, to_tag=self.tag, headers=headers, body=body)
        self._layer.respond(self._invite, response, now=now)
        self.state = State.ANSWERED
        self._final = bytes(response)
        self._deadlines = {
            Deadline.RETRANSMIT: now + self._interval,
            Deadline.ACK: now + self._endpoint.timers.transaction,
        }

    def hang_up(self, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """End the call in the way that fits its state; a BYE waits for the ACK (RFC 3261, 15)."""
        if self.state is State.EARLY:
            self.respond(480, headers=headers, now=now)
        elif self.state is State.ANSWERED:
            self._bye_headers = headers
            self._end(EndCause.LOCAL_BYE)
        else:
            self._send_bye(self._dialog, headers=headers, now=now)
            self.state = State.ENDED
            self._end(EndCause.LOCAL_BYE)

    def receive_ack(self, request: Request, *, now: float) -> bool:
        """Take an ACK; return whether it was waited for."""
        if self.state is not State.ANSWERED or request.cseq.number != self._invite.request.cseq.number:
            return False
        self._deadlines.clear()
        if self.has_ended:
            self._send_bye(self._dialog, headers=self._bye_headers, now=now)
            self.state = State.ENDED
        else:
            self.state = State.CONFIRMED
            self.events.append(CallConfirmed(self.ref, request.body))
        return True

    def receive_cancel(self, request: Request, *, now: float) -> None:
        """The calling side gave up; too late once there is a final response (RFC 3261, 9.2)."""
        if self.state is State.EARLY:
            self._refuse_terminated(now)
            self._end(EndCause.CANCELLED, status=487, message=request)

    def receive_bye(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """The calling side hung up, maybe before the final response (RFC 3261, 15.1.2)."""
        self._layer.respond(transaction, self._endpoint.response(request, 200), now=now)
        if self.state is State.EARLY:
            self._refuse_terminated(now)
        self.state = State.ENDED
        self._deadlines.clear()
        self._end(EndCause.REMOTE_BYE, message=request)

    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to our BYE came, and whatever it says, the call is over."""

    def handle_end(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """Our BYE is done."""

    def handle_timeout(self, *, now: float) -> None:
        """Send the 2xx again; after 64*T1, give up and send a BYE (RFC 3261, 13.3.1.4)."""
        expired = self._expired(now)
        if Deadline.ACK in expired:
            self._deadlines.clear()
            self._send_bye(self._dialog, headers=self._bye_headers, now=now)
            self.state = State.ENDED
            self._end(EndCause.NO_ACK)
        elif Deadline.RETRANSMIT in expired:
            self._layer.send(self._final, self._invite.destination)
            self._interval = min(2 * self._interval, self._endpoint.timers.t2)
            self._deadlines[Deadline.RETRANSMIT] = now + self._interval

    def _refuse_terminated(self, now: float) -> None:
        response = self._endpoint.response(self._invite.request, 487, to_tag=self.tag)
        self._layer.respond(self._invite, response, now=now)
        self.state = State.ENDED
