from __future__ import annotations

from .counters import Counters
from .invite_client_transaction import InviteClientTransaction
from .invite_server_transaction import InviteServerTransaction
from .invite_server_transaction import State as InviteServerState
from .non_invite_client_transaction import NonInviteClientTransaction
from .non_invite_server_transaction import NonInviteServerTransaction
from .request import Request
from .response import Response
from .timer_queue import TimerQueue
from .timers import Timers
from .transaction_key import TransactionKey, client_key, origin_key, server_key
from .via import Address, StreamAddress

AnyServerTransaction = InviteServerTransaction | NonInviteServerTransaction
AnyClientTransaction = InviteClientTransaction | NonInviteClientTransaction
AnyTransaction = AnyServerTransaction | AnyClientTransaction


class TransactionLayer:
    """All transactions of one user agent. See RFC 3261, section 17."""

    def __init__(self, *, timers: Timers, max_transactions: int, counters: Counters) -> None:
        self._counters = counters
        self._timers = timers
        self._max_transactions = max_transactions
        self._servers: dict[TransactionKey, AnyServerTransaction] = {}
        self._clients: dict[TransactionKey, AnyClientTransaction] = {}
        self._origins: dict[TransactionKey, AnyServerTransaction] = {}
        self._queue: TimerQueue[AnyTransaction] = TimerQueue()
        self._outbox: list[tuple[bytes, Address]] = []

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    def has_room(self, request: Request) -> bool:
        """Tell whether to serve one more request: new calls leave room to those that are up, and these to hang up."""
        if request.method in ("BYE", "CANCEL"):
            return len(self) < 3 * self._max_transactions
        return len(self) < self._max_transactions * (1 if request.to.tag is None else 2)

    def receive_ack(self, request: Request, *, now: float) -> bool:
        """Take an ACK; return whether it was that of a refusal, and not for a call."""
        transaction = self._servers.get(server_key(request))
        if not isinstance(transaction, InviteServerTransaction):
            return False
        if transaction.state in (InviteServerState.PROCEEDING, InviteServerState.ACCEPTED):
            return False
        transaction.receive_request(request, now=now)
        self._settle(transaction)
        return True

    def receive_retransmission(self, request: Request, *, now: float) -> bool:
        """Take a request that was here before; return whether it was."""
        transaction = self._servers.get(server_key(request))
        if transaction is None:
            return False
        transaction.receive_request(request, now=now)
        self._settle(transaction)
        return True

    def is_merged(self, request: Request) -> bool:
        """Tell whether a copy of this request came by another way. See RFC 3261, section 8.2.2.2."""
        if request.method == "CANCEL" or request.to.tag is not None:
            return False
        return origin_key(request) in self._origins

    def serve(self, request: Request, *, source: Address | None = None) -> AnyServerTransaction:
        """Begin the transaction of a request that came."""
        transaction: AnyServerTransaction
        if request.method == "INVITE":
            transaction = InviteServerTransaction(request, timers=self._timers, source=source)
        else:
            transaction = NonInviteServerTransaction(request, timers=self._timers, source=source)
        self._servers[transaction.key] = transaction
        self._origins.setdefault(transaction.origin, transaction)
        return transaction

    def respond(self, transaction: AnyServerTransaction, response: Response, *, now: float) -> None:
        """Send a response in its transaction."""
        self._counters.responses_sent[response.status] += 1
        transaction.send_response(response, now=now)
        self._settle(transaction)

    def find_invite(self, cancel: Request) -> AnyServerTransaction | None:
        """Return the transaction that a CANCEL is about. See RFC 3261, section 9.2."""
        return self._servers.get(server_key(cancel, method="INVITE"))

    def request(self, request: Request, *, destination: Address, owner: int, now: float) -> AnyClientTransaction:
        """Send a request in a new transaction."""
        transaction: AnyClientTransaction
        if request.method == "INVITE":
            transaction = InviteClientTransaction(request, destination=destination, timers=self._timers, now=now)
        else:
            transaction = NonInviteClientTransaction(request, destination=destination, timers=self._timers, now=now)
        transaction.owner = owner
        self._counters.requests_sent[request.method] += 1
        self._clients[transaction.key] = transaction
        self._settle(transaction)
        return transaction

    def receive_response(self, response: Response, *, now: float) -> tuple[AnyClientTransaction | None, bool]:
        """Take a response; return its transaction, and whether the call should see the response."""
        transaction = self._clients.get(client_key(response))
        if transaction is None or len(response.vias) != 1:  # RFC 3261, 8.1.3.3
            return None, False
        is_news = transaction.receive_response(response, now=now)
        self._settle(transaction)
        return transaction, is_news

    def abandon(self, transaction: AnyClientTransaction) -> None:
        """End a transaction of ours that will never be answered."""
        transaction.abandon()
        self._settle(transaction)

    def lose_connection(self, address: StreamAddress) -> list[AnyClientTransaction]:
        """End what waits for an answer on a connection, and return it. See RFC 3261, section 17.1.4."""
        lost = [each for each in self._clients.values() if address.carries(each.destination)]
        for transaction in lost:
            self.abandon(transaction)
        return lost

    def send(self, data: bytes, destination: Address) -> None:
        """Send outside of any transaction: the ACK of a 2xx, the 2xx again, a stateless refusal."""
        self._outbox.append((data, destination))

    def handle_timeout(self, *, now: float) -> list[AnyClientTransaction]:
        """Deadlines passed; return the transactions of ours that are over now."""
        over = []
        for transaction in self._queue.pop_due(now=now):
            transaction.handle_timeout(now=now)
            self._settle(transaction)
            if transaction.is_terminated and isinstance(
                transaction, InviteClientTransaction | NonInviteClientTransaction
            ):
                over.append(transaction)
        return over

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        return self._queue.next_timeout()

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent, and forget it."""
        datagrams, self._outbox = self._outbox, []
        return datagrams

    def _settle(self, transaction: AnyTransaction) -> None:
        self._outbox.extend(transaction.datagrams_to_send())
        self._queue.set(transaction, transaction.next_timeout())
        if not transaction.is_terminated:
            return
        if isinstance(transaction, InviteServerTransaction | NonInviteServerTransaction):
            self._servers.pop(transaction.key, None)
            if self._origins.get(transaction.origin) is transaction:
                del self._origins[transaction.origin]
        else:
            self._clients.pop(transaction.key, None)
