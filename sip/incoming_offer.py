from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .deadline import Deadline
from .error import OutOfOrder
from .event import OfferAnswered, OfferReceived, OfferWithdrawn
from .headers import Headers
from .request import Request
from .transaction_layer import AnyServerTransaction

if TYPE_CHECKING:
    from .call import Call
    from .dialog import Dialog

_ANSWER_WITHIN = 4.0  # seconds: an UPDATE must be answered before it is sent for long (RFC 3311, 5.2)


class IncomingOffer:
    """A re-INVITE, UPDATE or PRACK of theirs with an offer, until it is answered.

    See RFC 3261, section 14.2, RFC 3311, and RFC 3262, section 5.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._transaction: AnyServerTransaction | None = None
        self._dialog: Dialog | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the owner has yet to answer."""
        return self._transaction is not None

    def receive(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """Take the request; raise the `SipError` that refuses it."""
        call = self._call
        call.session_timer.check(request)
        dialog.check_target(request)
        if request.method == "UPDATE" and not request.body:
            self._refresh(dialog, request, transaction, now)
            return
        self._check_turn(dialog, request.method)
        call.take_peer_abilities(request)
        if request.method == "INVITE":
            call.respond_to(transaction, 100, now=now)
            call.take_implied_ack(now=now)
        self._transaction, self._dialog = transaction, dialog
        transaction.owner = call.ref
        if request.body and request.body == call.their_description and call.our_description:
            self.accept(call.our_description, now=now)  # nothing changes: RFC 3264, section 8
            return
        call.deadlines[Deadline.OFFER] = now + _ANSWER_WITHIN
        call.events.append(OfferReceived(call.ref, request))

    def accept(self, body: bytes, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        """Answer with a session description; with our offer, if they made none."""
        call, transaction = self._call, self._transaction
        if transaction is None or self._dialog is None:
            return
        request = transaction.request
        Headers(tuple(headers))  # what cannot be sent is refused before anything happens
        self._done()
        call.our_description = body
        call.their_description = request.body
        timer: Sequence[tuple[str, str]] = ()
        if request.method != "PRACK":
            self._dialog.refresh_target(request)
            timer = () if call.is_early else call.session_timer.answer(request, now=now)
        response = call.respond_to(transaction, 200, headers=(*timer, *headers), body=body, now=now)
        if request.method == "INVITE":
            call.success.start(response, transaction.destination, wants_answer=not request.body, now=now)
        call.go_on(now=now)

    def refuse(self, status: int, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        """Leave the session as it is."""
        call, transaction = self._call, self._transaction
        if transaction is not None:
            Headers(tuple(headers))
            self._done()
            call.respond_to(transaction, status, headers=headers, now=now)
            call.go_on(now=now)

    def receive_cancel(self, invite: AnyServerTransaction, *, now: float) -> None:
        """They withdrew a re-INVITE; too late if it was answered. See RFC 3261, section 9.2."""
        if invite is self._transaction:
            self.refuse(487, now=now)
            self._call.events.append(OfferWithdrawn(self._call.ref))

    def receive_answer(self, body: bytes) -> None:
        """The ACK came; it carries the answer if our 200 carried the offer."""
        self._call.their_description = body
        self._call.events.append(OfferAnswered(self._call.ref, body))

    def end(self, *, now: float) -> None:
        """The call ends: what is pending is not answered any more. See RFC 3261, section 15.1.2."""
        self.refuse(487, now=now)

    def handle_deadline(self, *, now: float) -> None:
        """The owner has not answered in time."""
        assert self._transaction is not None
        self.refuse(488 if self._transaction.request.method == "INVITE" else 504, now=now)
        self._call.events.append(OfferWithdrawn(self._call.ref))

    def _check_turn(self, dialog: Dialog, method: str) -> None:
        call = self._call
        error = call.early_offer_error(dialog, method) if call.is_early else None
        if error is not None:
            raise error
        call.raise_if_negotiating()
        if self._transaction is not None:
            wait = call.endpoint.random.randrange(11)
            raise OutOfOrder("The Last Offer Is Not Answered Yet", headers=[("Retry-After", str(wait))])

    def _refresh(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, now: float) -> None:
        """An UPDATE without offer: the target, the session timer, and nothing else (RFC 3311, 5.2)."""
        dialog.refresh_target(request)
        self._call.take_peer_abilities(request)
        timer = () if self._call.is_early else self._call.session_timer.answer(request, now=now)
        self._call.respond_to(transaction, 200, headers=timer, now=now)

    def _done(self) -> None:
        self._transaction = None
        self._call.deadlines.pop(Deadline.OFFER, None)
