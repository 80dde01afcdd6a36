from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .call_part import CallPart
from .deadline import Deadline
from .endpoint import ACCEPT
from .event import EndCause, OfferAnswered, OfferRefused
from .invite_client_transaction import InviteClientTransaction
from .response import Response
from .via import Address

if TYPE_CHECKING:
    from .call import Call
    from .transaction_layer import AnyClientTransaction

_ATTEMPTS_MAX = 8


@dataclass(frozen=True, slots=True)
class _Offer:
    """A re-INVITE or UPDATE of ours, to be sent or under way."""

    method: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    is_refresh: bool = False  # the owner does not know of it
    attempts: int = 0


class OutgoingOffer(CallPart):
    """Our re-INVITEs and UPDATEs, one at a time. See RFC 3261, section 14.1, RFC 3311, section 5.1."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._waiting: _Offer | None = None  # the latest wins
        self._offer: _Offer | None = None
        self._transaction: AnyClientTransaction | None = None
        self._ack: tuple[AnyClientTransaction, bytes, Address] | None = None
        self._cancels = False  # the re-INVITE that is under way

    @property
    def is_pending(self) -> bool:
        """Whether an offer of ours is under way."""
        return self._offer is not None and bool(self._offer.body)

    def offer(
        self, body: bytes, *, method: str, headers: Sequence[tuple[str, str]], is_refresh: bool = False, now: float
    ) -> None:
        """Send an offer, at once or when the one that is under way is done."""
        if is_refresh and self._waiting is not None:
            return  # that one refreshes the session as well
        self._waiting = _Offer(method, body, tuple(headers), is_refresh)
        self.flush(now=now)

    def flush(self, *, now: float) -> None:
        """Send what waits, if it is its turn: one INVITE at a time, in either direction (14.1)."""
        call = self._call
        if self._waiting is None or self._offer is not None or Deadline.GLARE in call.deadlines:
            return
        if call.is_live and call.dialog is not None and not call.incoming_offer.is_pending:
            if not call.success.is_pending:
                self._offer, self._waiting = self._waiting, None
                self._send(now)

    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response came; a 2xx to a re-INVITE is acknowledged each time."""
        if self._ack is not None and self._ack[0] is transaction:
            self._call.layer.send(*self._ack[1:])
        elif transaction is not self._transaction:
            self._acknowledge(transaction, response)
        elif 200 <= response.status < 300:
            self._accepted(transaction, response, now)
        elif response.status >= 300:
            self._refused(response, now)

    def handle_no_response(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """Nobody answered: the call is broken. See RFC 3261, section 12.2.1.2."""
        if transaction is self._transaction and self._call.is_live:
            self._call.end_broken(EndCause.GONE, 408, now=now)

    def handle_deadline(self, deadline: Deadline, *, now: float) -> None:
        """Offer again after glare; or give up on a re-INVITE that was never finally answered."""
        del self._call.deadlines[deadline]
        invite = self._transaction
        if deadline is Deadline.GLARE:
            self.flush(now=now)
        elif isinstance(invite, InviteClientTransaction) and invite.is_proceeding and not self._cancels:
            self._cancel(invite, now)
        else:
            self._call.end_broken(EndCause.GONE, 408, now=now)

    def _cancel(self, invite: AnyClientTransaction, now: float) -> None:
        """Give up a re-INVITE, and not the call; only one that was heard of may be. See RFC 3261, section 9.1."""
        self._cancels = True
        cancel = invite.request.on_same_hop("CANCEL", to=invite.request.headers.get("To") or "")
        self._call.send(cancel, invite.destination, self, now=now)
        self._call.deadlines[Deadline.REOFFER] = now + self._call.endpoint.timers.transaction

    def _send(self, now: float) -> None:
        call, offer = self._call, self._offer
        assert offer is not None
        headers = [call.contact_header, *call.endpoint.abilities, *call.session_timer.request_headers()]
        if offer.body:
            headers.append(("Content-Type", ACCEPT))
        headers.extend(offer.headers)
        self._transaction = call.request_in_dialog(offer.method, self, headers=headers, body=offer.body, now=now)
        if offer.method == "INVITE":
            call.deadlines[Deadline.REOFFER] = now + call.endpoint.timers.c

    def _accepted(self, transaction: AnyClientTransaction, response: Response, now: float) -> None:
        call, offer = self._call, self._done()
        self._acknowledge(transaction, response)
        if call.has_ended or call.dialog is None:
            return
        call.dialog.refresh_target(response)
        call.session_timer.take_response(response, now=now)
        if offer.body:
            call.our_description = offer.body
            call.their_description = response.body or call.their_description
        if not offer.is_refresh:
            call.events.append(OfferAnswered(call.ref, response.body))
        self.flush(now=now)

    def _refused(self, response: Response, now: float) -> None:
        call, offer = self._call, self._done()
        if call.has_ended:
            return
        again = replace(offer, attempts=offer.attempts + 1)
        if response.status == 408:
            call.end_broken(EndCause.GONE, 408, now=now)
        elif again.attempts >= _ATTEMPTS_MAX:
            self._give_up(again, response, now)
        elif response.status == 491:
            self._waiting = self._waiting or again
            call.deadlines[Deadline.GLARE] = now + self._back_off()
        elif response.status == 422 and call.session_timer.raise_interval(response):
            self._waiting = self._waiting or again
            self.flush(now=now)
        elif response.status in (405, 501) and offer.method == "UPDATE":
            call.peer_allows = ("INVITE",)
            body = offer.body or call.our_description
            self._waiting = self._waiting or replace(again, method="INVITE", body=body)
            self.flush(now=now)
        else:
            self._give_up(again, response, now)

    def _give_up(self, offer: _Offer, response: Response, now: float) -> None:
        if not offer.is_refresh:
            self._call.events.append(OfferRefused(self._call.ref, response.status))
        self.flush(now=now)

    def _acknowledge(self, transaction: AnyClientTransaction, response: Response) -> None:
        dialog = self._call.dialog
        if transaction.request.method == "INVITE" and 200 <= response.status < 300 and dialog is not None:
            cseq = transaction.request.cseq.number
            ack = dialog.request("ACK", endpoint=self._call.endpoint, cseq=cseq)
            self._ack = (transaction, bytes(ack), dialog.destination)
            self._call.layer.send(*self._ack[1:])

    def _back_off(self) -> float:
        """Return how long to wait; whoever made the Call-ID waits longer. See RFC 3261, section 14.1."""
        random = self._call.endpoint.random
        return random.randrange(210, 401) / 100 if self._call.made_call_id else random.randrange(0, 201) / 100

    def _done(self) -> _Offer:
        offer = self._offer
        assert offer is not None
        self._offer = None
        self._transaction = None
        self._cancels = False
        self._call.deadlines.pop(Deadline.REOFFER, None)
        return offer
