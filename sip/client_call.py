from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from .call import Call, Deadline
from .dialog import Dialog, DialogKey
from .endpoint import Endpoint
from .event import CallAnswered, CallProgress, CallRef, EndCause
from .invite_client_transaction import InviteClientTransaction
from .request import Request
from .response import Response
from .transaction_layer import AnyClientTransaction, AnyServerTransaction, TransactionLayer
from .via import Address

_MAX_FORKS = 8


class State(Enum):
    """Where a call of ours is."""

    CALLING = "calling"  # nothing heard yet: a CANCEL must wait (RFC 3261, 9.1)
    PROCEEDING = "proceeding"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class ClientCall(Call):
    """A call that we place. See RFC 3261, sections 13.2, 9.1 and 15."""

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
        self._dialog: Dialog | None = None  # the one that is the call
        self._acks: dict[DialogKey, tuple[bytes, Address]] = {}
        self._cause = EndCause.TIMEOUT  # if there will be no answer
        self._gives_up = False
        self._cancel_headers: Sequence[tuple[str, str]] = ()
        self._deadlines[Deadline.ANSWER] = now + endpoint.timers.c
        self._invite = self._request(request, destination, now)

    @property
    def is_early(self) -> bool:
        """Whether the INVITE has no final response yet."""
        return self.state in (State.CALLING, State.PROCEEDING)

    def hang_up(self, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """End the call in the way that fits its state."""
        if self.is_early:
            self._cause = EndCause.CANCELLED
            self._give_up(headers, now)
        else:
            assert self._dialog is not None
            self._send_bye(self._dialog, headers=headers, now=now)
            self.state = State.ENDED
            self._end(EndCause.LOCAL_BYE)

    def receive_bye(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """The called side hung up, or one of its forks did."""
        self._layer.respond(transaction, self._endpoint.response(request, 200), now=now)
        if dialog is self._dialog:  # an early dialog or a fork is not the call
            self.state = State.ENDED
            self._end(EndCause.REMOTE_BYE, message=request)

    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to the INVITE came; those to CANCEL and BYE change nothing."""
        if transaction is not self._invite:
            return
        if response.status < 200:
            self._receive_provisional(response, now)
        elif response.status < 300:
            self._receive_success(response, now)
        else:
            self.state = State.ENDED
            self._deadlines.clear()
            cause = EndCause.CANCELLED if self._cause is EndCause.CANCELLED else EndCause.REJECTED
            self._end(cause, status=response.status, message=response)

    def handle_end(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """The INVITE was never answered, or not by anything that we could read."""
        if transaction is self._invite and self.is_early:
            self.state = State.ENDED
            self._deadlines.clear()
            self._end(self._cause, status=408)

    def handle_timeout(self, *, now: float) -> None:
        """Give up on an INVITE that rings too long, or on a CANCEL that has no effect (RFC 3261, 9.1)."""
        expired = self._expired(now)
        if Deadline.CANCEL in expired:
            assert isinstance(self._invite, InviteClientTransaction)
            self._layer.abandon(self._invite)
            self.handle_end(self._invite, now=now)
        elif Deadline.ANSWER in expired:
            self._give_up((), now)

    def _receive_provisional(self, response: Response, now: float) -> None:
        first = self.state is State.CALLING
        self.state = State.PROCEEDING
        if self._gives_up:
            if first:
                self._send_cancel(now)
            return
        if response.status > 100:
            self._note_early_dialog(response)
            self._deadlines[Deadline.ANSWER] = now + self._endpoint.timers.c
            self.events.append(CallProgress(self.ref, response))

    def _note_early_dialog(self, response: Response) -> None:
        """Remember who rings, to know their requests before the answer (RFC 3261, 12.1.2)."""
        if response.to.tag is not None and len(self.dialogs) < _MAX_FORKS:
            invite = self._invite
            dialog = Dialog.of_client(invite.request, response, destination=invite.destination)
            self.dialogs.setdefault(dialog.key, dialog)

    def _receive_success(self, response: Response, now: float) -> None:
        """Acknowledge every 2xx; the first is the call, those of other forks are ended (13.2.2.4)."""
        invite = self._invite.request
        dialog = Dialog.of_client(invite, response, destination=self._invite.destination)
        if dialog.key in self._acks:
            self._layer.send(*self._acks[dialog.key])
            return
        if len(self._acks) >= _MAX_FORKS:
            return
        self._deadlines.clear()
        ack = dialog.request("ACK", endpoint=self._endpoint, cseq=invite.cseq.number)
        self._acks[dialog.key] = bytes(ack), dialog.destination
        self._layer.send(*self._acks[dialog.key])
        early = self.dialogs.get(dialog.key)
        dialog.remote_cseq = None if early is None else early.remote_cseq
        self.dialogs[dialog.key] = dialog
        if self._dialog is not None:
            self._send_bye(dialog, now=now)
            return
        self._dialog = dialog
        if self._gives_up:
            self._send_bye(dialog, headers=self._cancel_headers, now=now)
            self.state = State.ENDED
            self._end(self._cause, status=response.status, message=response)
        else:
            self.state = State.CONFIRMED
            self.events.append(CallAnswered(self.ref, response))

    def _give_up(self, headers: Sequence[tuple[str, str]], now: float) -> None:
        if self._gives_up:
            return
        self._gives_up = True
        self._cancel_headers = headers
        self._deadlines.clear()
        if self.state is State.PROCEEDING:
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        invite = self._invite.request
        to = invite.headers.get("To") or ""
        cancel = invite.on_same_hop("CANCEL", to=to, headers=self._cancel_headers)
        self._request(cancel, self._invite.destination, now)
        self._deadlines[Deadline.CANCEL] = now + self._endpoint.timers.transaction
