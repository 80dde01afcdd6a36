from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random

from .admission import Admission, Gate
from .call_commands import CallCommands
from .counters import Counters
from .digest import AuthenticationFailed, Credentials, DigestGuard
from .endpoint import Endpoint
from .error import LoopDetected, NoSuchCall, ServiceUnavailable, SipError, Unauthorized, WrongCredentials
from .event import Event
from .parser import parse_message
from .request import Request
from .request_check import check_request
from .response import Response
from .server_call import ServerCall
from .timers import Timers
from .transaction_layer import AnyClientTransaction, AnyServerTransaction, TransactionLayer
from .via import Address, StreamAddress

_LATER = (("Retry-After", "5"),)  # seconds
_SOON = (("Retry-After", "1"),)
_FAILURES_MAX = 16
_METHODS = frozenset(
    "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split()
)


class UserAgent(CallCommands):
    """A SIP endpoint, both UAS and UAC. See RFC 3261.

    After every input, drain `datagrams_to_send()` and `next_event()`, then ask for `next_timeout()`.
    """

    def __init__(
        self,
        *,
        contact: Address,
        random: Random,
        timers: Timers = Timers(),  # noqa: B008  frozen
        name: str = "audio-stream-sidecar",
        max_calls: int = 10_000,
        max_transactions: int = 50_000,
        credentials: Credentials | None = None,
        admission: Admission = Admission(),  # noqa: B008  frozen
        stream_contacts: Mapping[str, Address] | None = None,
        advertised: Callable[[str], str] | None = None,
    ) -> None:
        counters = Counters()
        super().__init__(
            endpoint=Endpoint(contact, name, random, timers, stream_contacts or {}, advertised),
            layer=TransactionLayer(timers=timers, max_transactions=max_transactions, counters=counters),
            counters=counters,
            max_calls=max_calls,
        )
        self._guard = None if credentials is None else DigestGuard(credentials, random=random)
        self._failed_authentications = deque[AuthenticationFailed](maxlen=_FAILURES_MAX)
        self._gate = Gate(admission)
        self.unavailable: str | None = None  # the reason, where OPTIONS and new INVITEs get 503
        self.last_refusal = ""  # why a call was refused that there was no room for

    @property
    def calls(self) -> int:
        """The number of calls that have not ended."""
        return self._calls.live_calls

    @property
    def max_calls(self) -> int:
        """How many calls there may be."""
        return self._max_calls

    @property
    def is_full(self) -> bool:
        """Whether there are so many."""
        return self.calls >= self._max_calls

    @property
    def open_calls(self) -> int:
        """The number of calls that are up, or of which an answer is still waited for: to a BYE, say."""
        return self._calls.open_calls

    @property
    def transactions(self) -> int:
        """The number of transactions that are not over."""
        return len(self._layer)

    @property
    def forgotten(self) -> dict[str, int]:
        """How many of what were forgotten before their time, since there is room for so many."""
        return {"nonce": 0 if self._guard is None else self._guard.forgotten, "source": self._gate.forgotten}

    @property
    def idle(self) -> bool:
        """Whether no call, dialog, transaction or deadline is left."""
        return self._calls.is_empty and not len(self._layer)

    def receive_datagram(self, data: bytes, addr: Address, *, now: float) -> None:
        """Bytes came in: a datagram; or a message of a stream, from a `StreamAddress`."""
        self.counters.datagrams_received += 1
        if not data.strip(b"\r\n\x00"):  # keeps a NAT open: RFC 5626, 4.4.1
            self.counters.keepalives += 1
            return
        try:
            message = parse_message(data)
            if isinstance(message, Request):
                self._receive_request(message.with_source(addr), addr, now)
            else:
                self._receive_response(message, now)
        except SipError as error:
            self._refuse_malformed(error, addr, now)

    def connection_lost(self, address: StreamAddress, *, now: float) -> None:
        """A connection was closed, or could not be opened: what was asked over it will not be answered."""
        self._end_unanswered(self._layer.lose_connection(address), now)

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""
        self._end_unanswered(self._layer.handle_timeout(now=now), now)
        self._calls.handle_timeout(now=now)

    def _end_unanswered(self, transactions: Sequence[AnyClientTransaction], now: float) -> None:
        for transaction in transactions:
            call = self._calls.get(transaction.owner)
            if call is not None:
                call.handle_end(transaction, now=now)
                self._calls.settle(call)

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        timeouts = (self._layer.next_timeout(), self._calls.next_timeout())
        return min((at for at in timeouts if at is not None), default=None)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent, and forget it; what goes to a `StreamAddress` goes over a stream."""
        return self._layer.datagrams_to_send()

    def next_event(self) -> Event | None:
        """Return the next thing that the owner should know."""
        return self._calls.next_event()

    def next_failed_authentication(self) -> AuthenticationFailed | None:
        """Return who has failed to say who it is; of those that nobody has asked for, the newest are known."""
        return self._failed_authentications.popleft() if self._failed_authentications else None

    def _receive_request(self, request: Request, source: Address, now: float) -> None:
        self.counters.requests_by_method[request.method if request.method in _METHODS else "other"] += 1
        if request.method == "ACK":
            self._receive_ack(request, now)
            return
        if self._layer.receive_retransmission(request, now=now):
            return
        if not self._is_of_a_call(request) and not self._admits(source, now):
            return
        if not self._has_room(request, now):
            self.counters.refused_transactions += 1
            self._refuse_without_state(request, ServiceUnavailable("Too many transactions", headers=_LATER), source)
            return
        is_merged = self._layer.is_merged(request)
        transaction = self._layer.serve(request, source=source)
        try:
            if is_merged:
                self.counters.merged_requests += 1
                raise LoopDetected("Loop Detected")
            check_request(request)
            self._dispatch(request, transaction, source, now)
        except SipError as error:
            self.counters.rejected_requests += 1
            self._layer.respond(transaction, self._endpoint.refusal(request, error), now=now)

    def _is_of_a_call(self, request: Request) -> bool:
        """Tell whether a request is of a call that is there, not only whether it says so."""
        if request.method == "CANCEL":
            return self._layer.find_invite(request) is not None
        return self._calls.find_dialog(request) is not None

    def _has_room(self, request: Request, now: float) -> bool:
        found = None if request.method in ("BYE", "CANCEL") else self._calls.find_dialog(request)
        if found is not None and not found[0].requests.take(now=now):
            return False
        return self._layer.has_room(request)

    def _admits(self, source: Address, now: float) -> bool:
        if self._gate.admits_source(source[0], now=now):
            return True
        self.counters.refused_sources += 1
        return False

    def _dispatch(self, request: Request, transaction: AnyServerTransaction, source: Address, now: float) -> None:
        if request.method == "CANCEL":
            self._receive_cancel(request, transaction, now)
        elif request.to.tag is not None:
            self._receive_in_dialog(request, transaction, now)
        elif request.method == "BYE":
            raise NoSuchCall("Call/Transaction Does Not Exist")
        elif self.unavailable is not None:
            raise self._refusal(request, self.unavailable, _LATER)
        elif request.method == "INVITE":
            self._receive_invite(transaction, source, now)
        elif self.is_full:  # OPTIONS asks what an INVITE would be told: RFC 3261, section 11.2
            raise ServiceUnavailable("Too many calls", headers=_LATER)
        else:
            response = self._endpoint.response(request, 200, to_tag=self._endpoint.new_tag())
            self._layer.respond(transaction, response, now=now)

    def _refusal(self, request: Request, why: str, headers: tuple[tuple[str, str], ...]) -> ServiceUnavailable:
        if request.method == "INVITE":
            self.counters.refused_calls += 1
            self.last_refusal = why
        return ServiceUnavailable(why, headers=headers)

    def _receive_invite(self, transaction: AnyServerTransaction, source: Address, now: float) -> None:
        if self._guard is not None:
            self._authenticate(self._guard, transaction.request, source, now)
        if not self._gate.admits_invite(now=now):
            raise self._refusal(transaction.request, "Too Many Calls A Second", _SOON)
        if self.is_full:
            raise self._refusal(transaction.request, "Too many calls", _LATER)
        call = ServerCall(
            self._calls.new_ref(),
            transaction,
            source=source,
            endpoint=self._endpoint,
            layer=self._layer,
            now=now,
        )
        self._calls.add(call)
        self.counters.calls_received += 1
        call.respond(100, now=now)
        self._calls.settle(call)

    def _authenticate(self, guard: DigestGuard, request: Request, source: Address, now: float) -> None:
        try:
            guard.check(request, now=now)
        except Unauthorized as error:
            self.counters.challenges += 1
            if isinstance(error, WrongCredentials):
                self.counters.wrong_credentials += 1
                self._failed_authentications.append(AuthenticationFailed(source, error.username))
            raise

    def _receive_in_dialog(self, request: Request, transaction: AnyServerTransaction, now: float) -> None:
        found = self._calls.find_dialog(request)
        if found is None:
            raise NoSuchCall("Call/Transaction Does Not Exist")
        call, dialog = found
        dialog.take_cseq(request)
        try:
            call.receive_request(dialog, request, transaction, now=now)
        finally:
            self._calls.settle(call)

    def _receive_cancel(self, request: Request, transaction: AnyServerTransaction, now: float) -> None:
        """Answer a CANCEL, and the INVITE if it is not too late. See RFC 3261, section 9.2."""
        invite = self._layer.find_invite(request)
        if invite is None:
            raise NoSuchCall("Call/Transaction Does Not Exist")
        call = self._calls.get(invite.owner)
        tag = call.tag if isinstance(call, ServerCall) else self._endpoint.new_tag()
        self._layer.respond(transaction, self._endpoint.response(request, 200, to_tag=tag), now=now)
        if call is not None:
            call.receive_cancel(request, invite, now=now)
            self._calls.settle(call)

    def _receive_ack(self, request: Request, now: float) -> None:
        if self._layer.receive_ack(request, now=now):
            return
        found = self._calls.find_dialog(request)
        if found is not None and found[0].receive_ack(request, now=now):
            self._calls.settle(found[0])
        else:
            self.counters.stray_acks += 1

    def _receive_response(self, response: Response, now: float) -> None:
        self.counters.responses_by_class[response.status // 100] += 1
        transaction, is_news = self._layer.receive_response(response, now=now)
        if transaction is None:
            self.counters.stray_responses += 1
            return
        call = self._calls.get(transaction.owner)
        if is_news and call is not None:
            try:
                call.receive_response(transaction, response, now=now)
            finally:
                self._calls.settle(call)

    def _refuse_malformed(self, error: SipError, source: Address, now: float) -> None:
        """Answer what can be answered, without state; drop the rest. See RFC 3261, section 8.2.7."""
        try:
            if error.request is None or error.request.method == "ACK":
                raise SipError("nobody to answer")
            if not self._admits(source, now):
                return
            self._refuse_without_state(error.request.with_source(source), error, source)
            self.counters.malformed_requests += 1
        except SipError:
            self.counters.malformed_datagrams += 1

    def _refuse_without_state(self, request: Request, error: SipError, source: Address) -> None:
        response = self._endpoint.refusal(request, error)
        self.counters.responses_sent[response.status] += 1
        self._layer.send(bytes(response), request.via.response_address(source))
