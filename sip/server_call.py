from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from .call import Call
from .deadline import Deadline
from .dialog import Dialog
from .endpoint import Endpoint
from .error import OutOfOrder, RequestPending, SipError
from .event import CallConfirmed, CallReceived, CallRef, EndCause, OfferAnswered
from .reliable_provisional import ReliableProvisional, requires_100rel, supports_100rel
from .request import Request, expires_of
from .response import Response
from .session_timer import check_session_expires
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

    made_call_id = False

    def __init__(
        self,
        ref: CallRef,
        transaction: AnyServerTransaction,
        *,
        source: Address,
        endpoint: Endpoint,
        layer: TransactionLayer,
        now: float,
    ) -> None:
        request = transaction.request
        check_session_expires(request, min_se=endpoint.timers.min_se)
        super().__init__(ref, endpoint=endpoint, layer=layer)
        self.state = State.EARLY
        self._invite = transaction
        transaction.owner = ref
        self._dialog = self.dialog = Dialog.of_server(request, local_tag=endpoint.new_tag(), source=source)
        self.dialogs[self._dialog.key] = self._dialog
        self.their_description = request.body
        self.take_peer_abilities(request)
        self._reliable = ReliableProvisional(self)
        self._answer: tuple[bytes, Sequence[tuple[str, str]]] | None = None  # it waits for a PRACK
        self._bye_headers: Sequence[tuple[str, str]] = ()
        self._invite_expires = expires_of(request)
        self.deadlines[Deadline.ANSWER] = now + min(self._invite_expires, endpoint.timers.c)
        self.events.append(CallReceived(ref, request, source))

    @property
    def is_early(self) -> bool:
        """Whether the INVITE has no final response yet."""
        return self.state is State.EARLY

    @property
    def tag(self) -> str:
        """Our tag, the same in all responses."""
        return self._dialog.local_tag

    @property
    def invite_cseq(self) -> int:
        """The number of the INVITE."""
        return self._invite.request.cseq.number

    @property
    def response_destination(self) -> Address:
        """Where the responses to the INVITE go."""
        return self._invite.destination

    @property
    def makes_offer(self) -> bool:
        """Whether the first offer is ours, because the INVITE had none, and is not answered yet."""
        return not self.their_description

    def early_offer_error(self, dialog: Dialog, method: str) -> SipError | None:
        """Return why an offer cannot be taken before the call is answered: one of the INVITE is not."""
        if self._reliable.offers:
            return RequestPending("Request Pending")
        if method != "INVITE" and self._reliable.has_settled:
            return None
        wait = self.endpoint.random.randrange(11)
        return OutOfOrder("The Call Is Not Answered Yet", headers=[("Retry-After", str(wait))])

    def respond(
        self,
        status: int,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        reliable: bool = False,
        now: float,
    ) -> None:
        """Send a provisional response, or refuse the call."""
        assert 100 <= status < 200 or 300 <= status < 700, "a 2xx is for answer()"
        assert self.state is State.EARLY, "there is one final response"
        request = self._invite.request
        is_reliable = 100 < status < 200 and (
            requires_100rel(request) or ((reliable or bool(body)) and supports_100rel(request))
        )

        def build(sequence: int | None) -> Response:
            extra = [] if sequence is None else [("Require", "100rel"), ("RSeq", str(sequence))]
            tag = None if status == 100 else self.tag
            all_headers = (*extra, *headers)
            return self.endpoint.response(request, status, to_tag=tag, reason=reason, headers=all_headers, body=body)

        self.our_description = body if body and status < 200 else self.our_description
        if is_reliable:
            self._reliable.send(build, now=now)
        else:
            self.layer.respond(self._invite, build(None), now=now)
        if status >= 300:
            self.state = State.ENDED
            self._reliable.stop()
            self.end(EndCause.REJECTED, status=status, now=now)

    def send_provisional(self, response: Response, *, now: float) -> None:
        """Send a reliable provisional response for the first time."""
        self.layer.respond(self._invite, response, now=now)

    def answer(self, body: bytes, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """Accept the call; the 200 is sent until its ACK comes. See RFC 3261, section 13.3.1.4."""
        assert self.state is State.EARLY, "there is one final response"
        request = self._invite.request
        if self._reliable.holds_answer_back or self.incoming_offer.is_pending:
            self._answer = body, headers
            return
        self._reliable.stop()
        self.deadlines.pop(Deadline.ANSWER, None)
        self._answer = None
        wants_answer = bool(body) and self.makes_offer
        timer = self.session_timer.answer(request, now=now)
        all_headers = (*timer, *headers)
        response = self.endpoint.response(request, 200, to_tag=self.tag, headers=all_headers, body=body)
        self.layer.respond(self._invite, response, now=now)
        self.our_description = body or self.our_description
        self.state = State.ANSWERED
        self.success.start(response, self._invite.destination, wants_answer=wants_answer, now=now)

    def hang_up(self, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """End the call in the way that fits its state; a BYE waits for the ACK (RFC 3261, 15)."""
        if self.state is State.EARLY:
            self.respond(480, headers=headers, now=now)
        elif self.state is State.ANSWERED and self.success.is_pending:
            self._bye_headers = headers
            self.end(EndCause.LOCAL_BYE, now=now)
        else:
            self.success.stop()
            if not self.has_ended:
                self._bye_headers = headers
            self.send_bye(self._dialog, headers=self._bye_headers, now=now)
            self.state = State.ENDED
            self.end(EndCause.LOCAL_BYE, now=now)

    def receive_ack(self, request: Request, *, now: float) -> bool:
        """Take an ACK; return whether it was waited for."""
        wants_answer = self.success.wants_answer
        if not self.success.receive_ack(request):
            return False
        if self.state is State.ANSWERED:
            self._confirm(request.body, now)
        elif wants_answer:
            self.incoming_offer.receive_answer(request.body)
        self.outgoing_offer.flush(now=now)
        return True

    def take_implied_ack(self, *, now: float) -> None:
        """A new INVITE says as well that our last 2xx arrived."""
        if self.success.is_pending:
            self.success.stop()
            if self.state is State.ANSWERED:
                self._confirm(b"", now)

    def receive_cancel(self, request: Request, invite: AnyServerTransaction, *, now: float) -> None:
        """The calling side gave up; too late once there is a final response (RFC 3261, 9.2)."""
        if invite is not self._invite:
            self.incoming_offer.receive_cancel(invite, now=now)
        elif self.state is State.EARLY:
            self._refuse_terminated(now)
            self.end(EndCause.CANCELLED, status=487, message=request, now=now)

    def receive_bye(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """The calling side hung up, maybe before the final response (RFC 3261, 15.1.2)."""
        self.respond_to(transaction, 200, now=now)
        if self.state is State.EARLY:
            self._refuse_terminated(now)
        self.state = State.ENDED
        self.success.stop()
        self.end(EndCause.REMOTE_BYE, message=request, now=now)

    def receive_prack(self, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """Take a PRACK, and send what waited for it. See RFC 3262, section 3."""
        answers = self._reliable.receive_prack(request, now=now)
        try:
            if request.body and not answers:  # a new offer; the PRACK counts whatever becomes of it
                self.incoming_offer.receive(self._dialog, request, transaction, now=now)
                return
            if request.body:
                self.their_description = request.body
                self.events.append(OfferAnswered(self.ref, request.body))
            self.respond_to(transaction, 200, now=now)
        finally:
            self.go_on(now=now)

    def go_on(self, *, now: float) -> None:
        """Do what waited for a PRACK, or for their offer to be answered: our own answer, before all else."""
        if self._answer is not None and self.state is State.EARLY:
            body, headers = self._answer
            self.answer(body, headers=headers, now=now)
        super().go_on(now=now)

    def receive_own_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to our BYE came, and whatever it says, the call is over."""

    def handle_own_end(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """Our BYE is done."""

    def handle_own_deadline(self, deadline: Deadline, *, now: float) -> None:
        """Send a reliable provisional response again; after 64*T1, refuse the call (RFC 3262, 3).

        Refuse it as well when the INVITE expires (RFC 3261, 13.3.1), or the owner takes longer than proxies wait.
        """
        if deadline is Deadline.PROVISIONAL:
            self._reliable.retransmit(now=now)
        elif deadline is Deadline.PRACK:
            self.respond(504, now=now)
        else:
            self.respond(487 if self._invite_expires <= self.endpoint.timers.c else 480, now=now)

    def _confirm(self, body: bytes, now: float) -> None:
        if self.has_ended:
            self.hang_up(headers=(), now=now)
            self.state = State.ENDED
        else:
            self.state = State.CONFIRMED
            self.their_description = self.their_description or body
            self.events.append(CallConfirmed(self.ref, body))

    def _refuse_terminated(self, now: float) -> None:
        response = self.endpoint.response(self._invite.request, 487, to_tag=self.tag)
        self.layer.respond(self._invite, response, now=now)
        self._reliable.stop()
        self.state = State.ENDED
