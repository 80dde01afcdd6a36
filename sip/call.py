from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum

from .dialog import Dialog, DialogKey
from .endpoint import Endpoint
from .event import CallEnded, CallRef, EndCause, Event
from .request import Request
from .response import Response
from .transaction_layer import AnyClientTransaction, AnyServerTransaction, TransactionLayer


class Deadline(Enum):
    """What a call waits for."""

    RETRANSMIT = "send the 2xx again"
    ACK = "no ACK to the 2xx"
    ANSWER = "no answer to our INVITE"  # timer C
    CANCEL = "no effect of our CANCEL"


class Call(ABC):
    """What the calls of both roles have in common: dialogs, requests of ours, deadlines, one end."""

    def __init__(self, ref: CallRef, *, endpoint: Endpoint, layer: TransactionLayer) -> None:
        self.ref = ref
        self.dialogs: dict[DialogKey, Dialog] = {}
        self.events: list[Event] = []
        self.has_ended = False  # for the owner; we may still have to tidy up
        self._endpoint = endpoint
        self._layer = layer
        self._deadlines: dict[Deadline, float] = {}
        self._transactions: list[AnyClientTransaction] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, so that the call can be forgotten."""
        self._transactions = [each for each in self._transactions if not each.is_terminated]
        return self.has_ended and not self._transactions and not self._deadlines

    @property
    @abstractmethod
    def is_early(self) -> bool:
        """Whether the INVITE has no final response yet."""

    @abstractmethod
    def hang_up(self, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """End the call in the way that fits its state."""

    @abstractmethod
    def receive_bye(self, dialog: Dialog, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """The other side hung up."""

    @abstractmethod
    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to a request of this call came."""

    @abstractmethod
    def handle_end(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """A transaction of this call is over."""

    @abstractmethod
    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        return min(self._deadlines.values(), default=None)

    def _expired(self, now: float) -> set[Deadline]:
        return {deadline for deadline, at in self._deadlines.items() if at <= now}

    def _send_bye(self, dialog: Dialog, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        request = dialog.request("BYE", endpoint=self._endpoint, headers=headers)
        self._request(request, dialog.destination, now)

    def _request(self, request: Request, destination: tuple[str, int], now: float) -> AnyClientTransaction:
        transaction = self._layer.request(request, destination=destination, owner=self.ref, now=now)
        self._transactions.append(transaction)
        return transaction

    def _end(self, cause: EndCause, *, status: int | None = None, message: Request | Response | None = None) -> None:
        """Tell the owner that the call is over; only the first time counts."""
        if not self.has_ended:
            self.has_ended = True
            self.events.append(CallEnded(self.ref, cause, status, message))
