from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from .admission import Bucket
from .call_part import CallPart
from .deadline import Deadline
from .dialog import Dialog, DialogKey
from .endpoint import Endpoint
from .error import Decline, NoSuchCall, RequestPending, SipError
from .event import CallEnded, CallRef, EndCause, Event
from .incoming_offer import IncomingOffer
from .info import Info
from .invite_client_transaction import InviteClientTransaction
from .message import Message
from .outgoing_offer import OutgoingOffer
from .reason import ReasonHeader
from .request import Request
from .response import Response
from .session_timer import SessionTimer
from .success_retransmission import SuccessRetransmission
from .transaction_layer import AnyClientTransaction, AnyServerTransaction, TransactionLayer
from .transfer import Transfer
from .via import Address, transport_of

_OF_A_LIVE_CALL = (
    Deadline.ANSWER,
    Deadline.OFFER,
    Deadline.GLARE,
    Deadline.REOFFER,
    Deadline.REFRESH,
    Deadline.EXPIRY,
    Deadline.PROVISIONAL,
    Deadline.PRACK,
)


_REQUESTS_PER_SECOND, _REQUESTS_AT_ONCE = 25, 100  # of one call: each is remembered for 32 s, in room that all share


class Call(ABC):
    """What the calls of both roles have in common: dialogs, requests of both sides, deadlines, one end."""

    made_call_id: ClassVar[bool]

    def __init__(self, ref: CallRef, *, endpoint: Endpoint, layer: TransactionLayer) -> None:
        self.ref = ref
        self.endpoint = endpoint
        self.layer = layer
        self.dialogs: dict[DialogKey, Dialog] = {}
        self.dropped_dialogs: list[DialogKey] = []  # that are no dialogs of this call any more
        self.dialog: Dialog | None = None  # the one that is the call
        self.events: list[Event] = []
        self.has_ended = False  # for the owner; we may still have to tidy up
        self.deadlines: dict[Deadline, float] = {}
        self.our_description = b""  # the last that each side sent, or nothing
        self.their_description = b""
        self.peer_allows: tuple[str, ...] = ()
        self.success = SuccessRetransmission(self)
        self.incoming_offer = IncomingOffer(self)
        self.outgoing_offer = OutgoingOffer(self)
        self.session_timer = SessionTimer(self)
        self.info = Info(self)
        self.transfer = Transfer(self)
        self.requests = Bucket(_REQUESTS_PER_SECOND, _REQUESTS_AT_ONCE)  # of the other side, but for its goodbye
        self._transactions: dict[AnyClientTransaction, CallPart | None] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, so that the call can be forgotten."""
        self._transactions = {each: part for each, part in self._transactions.items() if not each.is_terminated}
        return self.has_ended and not self._transactions and not self.deadlines.keys() - {Deadline.LINGER}

    @property
    def is_open(self) -> bool:
        """Whether the call is up, or something is still to be sent, or to be answered by the other side."""
        waits = any(not (each.was_answered or each.is_terminated) for each in self._transactions)
        return waits or not self.has_ended or bool(self.deadlines.keys() - {Deadline.LINGER})

    @property
    @abstractmethod
    def is_early(self) -> bool:
        """Whether the INVITE has no final response yet."""

    @property
    def contact_header(self) -> tuple[str, str]:
        """The Contact of our requests."""
        assert self.dialog is not None, "there is nobody to ask yet"
        destination = self.dialog.destination
        scheme = self.dialog.remote_target.scheme
        return self.endpoint.contact_header(transport_of(destination), destination[0], scheme=scheme)

    @property
    def is_live(self) -> bool:
        """Whether the call was answered and has not ended."""
        return not self.is_early and not self.has_ended

    @abstractmethod
    def hang_up(self, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """End the call in the way that fits its state."""

    @abstractmethod
    def receive_bye(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """The other side hung up."""

    @abstractmethod
    def receive_own_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to a request came that belongs to no part: to the INVITE, a CANCEL or a BYE."""

    @abstractmethod
    def handle_own_end(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """A transaction that belongs to no part is over."""

    @abstractmethod
    def handle_own_deadline(self, deadline: Deadline, *, now: float) -> None:
        """A deadline passed that belongs to no part."""

    @abstractmethod
    def early_offer_error(self, dialog: Dialog, method: str) -> SipError | None:
        """Return why an offer cannot be taken before the call is answered, if it cannot.

        See RFC 3261, section 14.2, and RFC 3311, section 5.2.
        """

    def go_on(self, *, now: float) -> None:
        """Do what waited until their offer was answered."""
        self.outgoing_offer.flush(now=now)

    def receive_request(
        self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float
    ) -> None:
        """Take a request in one of the dialogs; raise the `SipError` that answers it."""
        if request.method == "BYE":
            self.receive_bye(dialog, request, transaction, now=now)
        elif self.has_ended or (self.dialog is not None and dialog is not self.dialog):
            raise NoSuchCall("Call/Transaction Does Not Exist")
        elif request.method in ("INVITE", "UPDATE"):
            self.incoming_offer.receive(dialog, request, transaction, now=now)
        elif request.method == "INFO":
            self.info.receive(request, transaction, now=now)
        elif request.method == "NOTIFY":
            self.transfer.receive_notify(request, transaction, now=now)
        elif request.method == "PRACK":
            self.receive_prack(request, transaction, now=now)
        elif request.method == "REFER":
            raise Decline("Decline")
        else:
            assert request.method == "OPTIONS", "the others were refused before"
            self.respond_to(transaction, 200, now=now)

    @abstractmethod
    def take_implied_ack(self, *, now: float) -> None:
        """A new INVITE says as well that our last 2xx arrived."""

    @abstractmethod
    def receive_ack(self, request: Request, *, now: float) -> bool:
        """Take an ACK to a 2xx of ours; return whether it was waited for."""

    @abstractmethod
    def receive_cancel(self, request: Request, invite: AnyServerTransaction, *, now: float) -> None:
        """The other side gave up an INVITE."""

    def take_peer_abilities(self, message: Message) -> None:
        """Remember which methods the other side knows."""
        self.peer_allows = tuple(each.upper() for each in message.headers.get_list("Allow")) or self.peer_allows

    def receive_prack(self, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """Take a PRACK; only the call that came has anything to be acknowledged (RFC 3262, 3)."""
        raise NoSuchCall("No Such Reliable Response")

    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to a request of this call came."""
        part = self._transactions.get(transaction)
        if part is None:
            self.receive_own_response(transaction, response, now=now)
            return
        part.receive_response(transaction, response, now=now)
        if response.status == 481 and self.is_live and transaction.request.method not in ("PRACK", "CANCEL"):
            self.end_broken(EndCause.GONE, 481, now=now)  # RFC 3261, 12.2.1.2

    def handle_end(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """A transaction of this call is over."""
        part = self._transactions.get(transaction)
        if part is None:
            self.handle_own_end(transaction, now=now)
        elif not transaction.was_answered:
            part.handle_no_response(transaction, now=now)

    def handle_timeout(self, *, now: float) -> None:
        """Deadlines passed; safe to call early or late."""
        for deadline in [each for each, at in self.deadlines.items() if at <= now]:
            if self.deadlines.get(deadline, now + 1) <= now:  # the last one may have moved it
                self._handle_deadline(deadline, now)

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        return min(self.deadlines.values(), default=None)

    def request_in_dialog(
        self,
        method: str,
        part: CallPart | None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        now: float,
    ) -> AnyClientTransaction:
        """Send a request to the other side of the call."""
        assert self.dialog is not None, "there is nobody to ask yet"
        request = self.dialog.request(method, endpoint=self.endpoint, headers=headers, body=body)
        return self.send(request, self.dialog.destination, part, now=now)

    def send(
        self, request: Request, destination: Address, part: CallPart | None = None, *, now: float
    ) -> AnyClientTransaction:
        """Send a request in a new transaction."""
        transaction = self.layer.request(request, destination=destination, owner=self.ref, now=now)
        self._transactions[transaction] = part
        return transaction

    def respond_to(
        self,
        transaction: AnyServerTransaction,
        status: int,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        now: float,
    ) -> Response:
        """Answer a request in the dialog."""
        response = self.endpoint.response(transaction.request, status, headers=headers, body=body)
        self.layer.respond(transaction, response, now=now)
        return response

    def end_broken(self, cause: EndCause, status: int, *, now: float) -> None:
        """End a call that works no more: a BYE that says why, though it may find nobody."""
        text = {EndCause.NO_ACK: "No ACK", EndCause.EXPIRED: "Session Expired"}.get(cause, "Call Is Broken")
        reason = ReasonHeader("SIP", status, text)
        self.hang_up(headers=[("Reason", str(reason))], now=now)
        for index, event in enumerate(self.events):
            if isinstance(event, CallEnded):
                self.events[index] = CallEnded(self.ref, cause, None, None)

    def end(
        self, cause: EndCause, *, status: int | None = None, message: Request | Response | None = None, now: float
    ) -> None:
        """Tell the owner that the call is over; only the first time counts."""
        if self.has_ended:
            return
        self.has_ended = True
        self.incoming_offer.end(now=now)
        self.events.append(CallEnded(self.ref, cause, status, message))
        for deadline in _OF_A_LIVE_CALL:
            self.deadlines.pop(deadline, None)
        self.deadlines[Deadline.LINGER] = now + self.endpoint.timers.transaction

    def send_bye(self, dialog: Dialog, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        """End a dialog."""
        request = dialog.request("BYE", endpoint=self.endpoint, headers=headers)
        self.send(request, dialog.destination, now=now)

    def raise_if_negotiating(self) -> None:
        """Refuse an offer that crosses one of ours. See RFC 3261, section 14.2, and RFC 3311, section 5.2."""
        if self.outgoing_offer.is_pending or self.success.wants_answer:
            raise RequestPending("Request Pending")

    def _handle_deadline(self, deadline: Deadline, now: float) -> None:
        if deadline in (Deadline.RETRANSMIT, Deadline.ACK):
            self.success.handle_deadline(deadline, now=now)
        elif deadline is Deadline.OFFER:
            self.incoming_offer.handle_deadline(now=now)
        elif deadline in (Deadline.GLARE, Deadline.REOFFER):
            self.outgoing_offer.handle_deadline(deadline, now=now)
        elif deadline in (Deadline.REFRESH, Deadline.EXPIRY):
            self.session_timer.handle_deadline(deadline, now=now)
        elif deadline is Deadline.LINGER:
            del self.deadlines[Deadline.LINGER]
            for transaction in self._transactions:
                if isinstance(transaction, InviteClientTransaction):
                    self.layer.abandon(transaction)
        else:
            self.handle_own_deadline(deadline, now=now)
