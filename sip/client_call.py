from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from .call import Call
from .deadline import Deadline
from .dialog import Dialog, DialogKey
from .endpoint import Endpoint
from .error import RequestPending, SipError
from .event import CallAnswered, CallProgress, CallRef, EndCause
from .invite_client_transaction import InviteClientTransaction
from .provisional_acknowledgement import ProvisionalAcknowledgement
from .request import Request
from .response import Response
from .transaction_layer import AnyClientTransaction, AnyServerTransaction, TransactionLayer
from .via import Address

_MAX_FORKS = 8
_INVITES_MAX = 4


class State(Enum):
    """Where a call of ours is."""

    CALLING = "calling"  # nothing heard yet: a CANCEL must wait (RFC 3261, 9.1)
    PROCEEDING = "proceeding"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class ClientCall(Call):
    """A call that we place. See RFC 3261, sections 13.2, 9.1 and 15."""

    made_call_id = True

    def __init__(
        self,
        ref: CallRef,
        request: Request,
        *,
        destination: Address,
        endpoint: Endpoint,
        layer: TransactionLayer,
        now: float,
    ) -> None:
        super().__init__(ref, endpoint=endpoint, layer=layer)
        self.state = State.CALLING
        self._acks: dict[DialogKey, tuple[bytes, Address] | None] = {}  # None: the owner has yet to answer
        self._provisional = ProvisionalAcknowledgement(self)
        self._cause = EndCause.TIMEOUT  # if there will be no answer
        self._gives_up = False
        self._cancel_headers: Sequence[tuple[str, str]] = ()
        self._invites = 1
        self.our_description = request.body
        self.deadlines[Deadline.ANSWER] = now + endpoint.timers.c
        timer = self.session_timer.request_headers()
        self._first = request  # without what the session timer says
        self._invite = self.send(request.with_headers(timer), destination, now=now)

    @property
    def is_early(self) -> bool:
        """Whether the INVITE has no final response yet."""
        return self.state in (State.CALLING, State.PROCEEDING)

    def early_offer_error(self, dialog: Dialog, method: str) -> SipError | None:
        """Return why an offer cannot be taken before the call is answered: ours is under way (14.2).

        With forks it is not known whose session is meant to change.
        """
        if method != "INVITE" and self._provisional.has_answer(dialog) and len(self.dialogs) == 1:
            return None
        return RequestPending("Request Pending")

    def take_implied_ack(self, *, now: float) -> None:
        """A new INVITE says as well that our last 2xx arrived."""
        self.success.stop()

    def hang_up(self, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """End the call in the way that fits its state."""
        if self.is_early:
            self._cause = EndCause.CANCELLED
            self._give_up(headers, now)
        else:
            assert self.dialog is not None
            self.success.stop()
            if self._acks[self.dialog.key] is None:
                self.acknowledge(b"", now=now)
            self.send_bye(self.dialog, headers=headers, now=now)
            self.state = State.ENDED
            self.end(EndCause.LOCAL_BYE, now=now)

    def acknowledge(self, body: bytes, *, now: float) -> None:
        """Send the ACK that carries our answer to the offer in the 2xx. See RFC 3261, section 13.2.2.4."""
        assert self.dialog is not None, "there is no offer to answer"
        if self._acks[self.dialog.key] is None:
            self.our_description = body
            self._send_ack(self.dialog, body)
            self.outgoing_offer.flush(now=now)

    def raise_if_negotiating(self) -> None:
        """Refuse an offer that crosses one of ours, or one that we have not answered."""
        super().raise_if_negotiating()
        if self.dialog is not None and self._acks[self.dialog.key] is None:
            raise RequestPending("Request Pending")

    def receive_ack(self, request: Request, *, now: float) -> bool:
        """Take the ACK of a re-INVITE; return whether it was waited for."""
        wants_answer = self.success.wants_answer
        if not self.success.receive_ack(request):
            return False
        if wants_answer:
            self.incoming_offer.receive_answer(request.body)
        self.outgoing_offer.flush(now=now)
        return True

    def receive_cancel(self, request: Request, invite: AnyServerTransaction, *, now: float) -> None:
        """They withdrew a re-INVITE."""
        self.incoming_offer.receive_cancel(invite, now=now)

    def receive_bye(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """The called side hung up, or one of its forks did."""
        self.respond_to(transaction, 200, now=now)
        if dialog is self.dialog:  # an early dialog or a fork is not the call
            self.state = State.ENDED
            self.success.stop()
            self.end(EndCause.REMOTE_BYE, message=request, now=now)

    def receive_own_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to the INVITE came; those to CANCEL and BYE change nothing."""
        if transaction is not self._invite:
            return
        if response.status < 200:
            self._receive_provisional(response, now)
        elif response.status < 300:
            self._receive_success(response, now)
        elif response.status == 422 and not self._gives_up and self._invites < _INVITES_MAX:
            self._invite_again(response, now)
        else:
            self._receive_refusal(response, now)

    def handle_own_end(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """The INVITE was never answered, or not by anything that we could read."""
        if transaction is self._invite and self.is_early:
            self.state = State.ENDED
            self.deadlines.clear()
            self.end(self._cause, status=408, now=now)

    def handle_own_deadline(self, deadline: Deadline, *, now: float) -> None:
        """Give up on an INVITE that rings too long, or on a CANCEL that has no effect (RFC 3261, 9.1)."""
        if deadline is Deadline.CANCEL:
            assert isinstance(self._invite, InviteClientTransaction)
            self.layer.abandon(self._invite)
            self.handle_own_end(self._invite, now=now)
        else:
            self._give_up((), now)

    def _receive_provisional(self, response: Response, now: float) -> None:
        first = self.state is State.CALLING
        self.state = State.PROCEEDING
        if self._gives_up:
            if first:
                self._send_cancel(now)
            return
        if response.status > 100:
            dialog = self._note_early_dialog(response)
            if not self._provisional.receive(dialog, response, now=now):
                return
            if dialog is not None and self._provisional.has_answer(dialog):
                self.their_description = self.their_description or response.body
            self.deadlines[Deadline.ANSWER] = now + self.endpoint.timers.c
            self.events.append(CallProgress(self.ref, response))

    def _note_early_dialog(self, response: Response) -> Dialog | None:
        """Remember who rings, to know their requests before the answer (RFC 3261, 12.1.2)."""
        if response.to.tag is None:
            return None
        invite = self._invite
        dialog = Dialog.of_client(invite.request, response, destination=invite.destination)
        if dialog.key not in self.dialogs and len(self.dialogs) >= _MAX_FORKS:
            return None
        return self.dialogs.setdefault(dialog.key, dialog)

    def _receive_success(self, response: Response, now: float) -> None:
        """Acknowledge every 2xx; the first is the call, those of other forks are ended (13.2.2.4)."""
        dialog = Dialog.of_client(self._invite.request, response, destination=self._invite.destination)
        if dialog.key in self._acks:
            ack = self._acks[dialog.key]
            if ack is not None:
                self.layer.send(*ack)
            return
        if len(self._acks) >= _MAX_FORKS:
            return
        self.deadlines.pop(Deadline.ANSWER, None)
        self.deadlines.pop(Deadline.CANCEL, None)
        early = self.dialogs.get(dialog.key)
        if early is not None:
            dialog.remote_cseq, dialog.local_cseq = early.remote_cseq, early.local_cseq
        self.dialogs[dialog.key] = dialog
        if self.dialog is not None:
            self._send_ack(dialog, b"")
            self.send_bye(dialog, now=now)
        else:
            self.dialog = dialog
            self._take_answer(dialog, response, now)

    def _take_answer(self, dialog: Dialog, response: Response, now: float) -> None:
        """The call is answered; if the offer is theirs, the ACK waits for our answer."""
        if self._gives_up:
            self._send_ack(dialog, b"")
            self.send_bye(dialog, headers=self._cancel_headers, now=now)
            self.state = State.ENDED
            self.end(self._cause, status=response.status, message=response, now=now)
            return
        self.state = State.CONFIRMED
        self.take_peer_abilities(response)
        if not self._provisional.has_answer(dialog):  # else what the 2xx says again is ignored (13.2.1)
            self.their_description = response.body
        self.session_timer.take_response(response, now=now)
        if response.body and not self._invite.request.body:
            self._acks[dialog.key] = None
        else:
            self._send_ack(dialog, b"")
        self.events.append(CallAnswered(self.ref, response))

    def _send_ack(self, dialog: Dialog, body: bytes) -> None:
        cseq = self._invite.request.cseq.number
        ack = dialog.request("ACK", endpoint=self.endpoint, cseq=cseq, body=body)
        self._acks[dialog.key] = sent = (bytes(ack), dialog.destination)
        self.layer.send(*sent)

    def _receive_refusal(self, response: Response, now: float) -> None:
        self.state = State.ENDED
        self.deadlines.clear()
        cause = EndCause.CANCELLED if self._cause is EndCause.CANCELLED else EndCause.REJECTED
        self.end(cause, status=response.status, message=response, now=now)

    def _invite_again(self, response: Response, now: float) -> None:
        """Ask for the session interval that they can take. See RFC 4028, section 7.3."""
        if not self.session_timer.raise_interval(response):
            self._receive_refusal(response, now)
            return
        self._invites += 1
        self.dropped_dialogs.extend(self.dialogs)
        self.dialogs.clear()
        self.state = State.CALLING
        via = self.endpoint.new_via(self._first.via.transport, self._invite.destination[0])
        request = self._first.sent_again(self._invites, via=via)
        request = request.with_headers(self.session_timer.request_headers())
        self.deadlines[Deadline.ANSWER] = now + self.endpoint.timers.c
        self._invite = self.send(request, self._invite.destination, now=now)

    def _give_up(self, headers: Sequence[tuple[str, str]], now: float) -> None:
        if self._gives_up:
            return
        self._gives_up = True
        self._cancel_headers = headers
        self.deadlines.clear()
        if self.state is State.PROCEEDING:
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        invite = self._invite.request
        to = invite.headers.get("To") or ""
        cancel = invite.on_same_hop("CANCEL", to=to, headers=self._cancel_headers)
        self.send(cancel, self._invite.destination, now=now)
        self.deadlines[Deadline.CANCEL] = now + self.endpoint.timers.transaction
