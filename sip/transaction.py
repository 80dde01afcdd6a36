from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum

from .request import Request
from .timers import Timers
from .transaction_key import TransactionKey, client_key, origin_key, server_key
from .via import Address, StreamAddress


class Timer(Enum):
    """The timers of RFC 3261, table 4, and of RFC 6026."""

    A = "retransmit the INVITE"
    B = "no response to the INVITE"
    D = "no more retransmitted refusals"
    E = "retransmit the request"
    F = "no response to the request"
    G = "retransmit the refusal"
    H = "no ACK"
    I = "no more retransmitted ACKs"  # noqa: E741  its name
    J = "no more retransmitted requests"
    K = "no more retransmitted responses"
    L = "no more retransmitted INVITEs"
    M = "no more 2xx"


class Transaction(ABC):
    """What the four transactions have in common: a request, deadlines, an outbox. See RFC 3261, 17."""

    owner = 0  # the number of the call that it belongs to; 0: none
    key: TransactionKey

    def __init__(self, request: Request, *, destination: Address, timers: Timers) -> None:
        self.request = request
        self.destination = destination
        self.is_reliable = isinstance(destination, StreamAddress)  # then nothing is sent again (17.1.1.2)
        self._timers = timers
        self._deadlines: dict[Timer, float] = {}
        self._outbox: list[bytes] = []

    @property
    @abstractmethod
    def is_terminated(self) -> bool:
        """Whether the transaction is over and can be forgotten."""

    @abstractmethod
    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        return min(self._deadlines.values(), default=None)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent, and forget it."""
        datagrams = [(data, self.destination) for data in self._outbox]
        self._outbox.clear()
        return datagrams

    def _expired(self, now: float) -> set[Timer]:
        return {timer for timer, at in self._deadlines.items() if at <= now}


class ServerTransaction(Transaction):
    """A transaction whose request came from the peer; responses go where its Via says (18.2.2)."""

    def __init__(self, request: Request, *, timers: Timers, source: Address | None = None) -> None:
        super().__init__(request, destination=request.via.response_address(source), timers=timers)
        self.key = server_key(request)
        self.origin = origin_key(request)


class ClientTransaction(Transaction):
    """A transaction whose request is ours."""

    was_answered = False  # by a final response

    def __init__(self, request: Request, *, destination: Address, timers: Timers) -> None:
        super().__init__(request, destination=destination, timers=timers)
        self.key = client_key(request)

    @abstractmethod
    def abandon(self) -> None:
        """End the transaction at once, whatever may still come."""
