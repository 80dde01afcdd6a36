from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from .call import Call
from .client_call import ClientCall
from .counters import Counters
from .dialog import Dialog, DialogKey
from .endpoint import Endpoint
from .error import (
    LoopDetected,
    NoSuchCall,
    NotAcceptable,
    OutOfOrder,
    RequestPending,
    ServiceUnavailable,
    SipError,
)
from .event import CallAnswered, CallEnded, CallRef, EndCause, Event
from .parser import parse_message
from .request import Request
from .request_check import check_request
from .response import Response
from .server_call import ServerCall
from .timer_queue import TimerQueue
from .timers import Timers
from .transaction_layer import AnyServerTransaction, TransactionLayer
from .uri import SipUri
from .via import Address

_LATER = (("Retry-After", "5"),)  # seconds
_SOON = (("Retry-After", "1"),)


class UserAgent:
    """A SIP endpoint over UDP, both UAS and UAC. See RFC 3261.

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
    ) -> None:
        self.accepting = True  # if not, OPTIONS and new INVITEs get 503
        self.counters = Counters()
        self._max_calls = max_calls
        self._endpoint = Endpoint(contact, name, random, timers)
        self._layer = TransactionLayer(timers=timers, max_transactions=max_transactions)
        self._calls: dict[CallRef, Call] = {}  # those that ended stay until all is tidied up
        self._calls_by_dialog: dict[DialogKey, Call] = {}
        self._queue: TimerQueue[Call] = TimerQueue()
        self._events: deque[Event] = deque()
        self._last_ref = 0

    @property
    def calls(self) -> int:
        """The number of calls that have not ended."""
        return self.counters.calls_received + self.counters.calls_placed - self.counters.calls_ended

    @property
    def open_calls(self) -> int:
        """The number of calls of which something is still to be sent or answered: a BYE, say, on its way."""
        return len(self._calls)

    @property
    def idle(self) -> bool:
        """Whether no call, dialog, transaction or deadline is left."""
        return not (self._calls or self._calls_by_dialog or len(self._layer) or len(self._queue))

    def receive_datagram(self, data: bytes, addr: Address, *, now: float) -> None:
        """Bytes came in."""
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
            self._refuse_malformed(error, addr)

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""
        for transaction in self._layer.handle_timeout(now=now):
            call = self._calls.get(CallRef(transaction.owner))
            if call is not None:
                call.handle_end(transaction, now=now)
                self._settle(call)
        for call in self._queue.pop_due(now=now):
            call.handle_timeout(now=now)
            self._settle(call)

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        timeouts = (self._layer.next_timeout(), self._queue.next_timeout())
        return min((at for at in timeouts if at is not None), default=None)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent, and forget it."""
        return self._layer.datagrams_to_send()

    def next_event(self) -> Event | None:
        """Return the next thing that the owner should know."""
        return self._events.popleft() if self._events else None

    def respond(
        self,
        call: CallRef,
        status: int,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        now: float,
    ) -> None:
        """Send a provisional response, or refuse the call; without effect if it has ended."""
        found = self._find(call)
        if found is not None:
            assert isinstance(found, ServerCall), "only a call that came is responded to"
            found.respond(status, reason=reason, headers=headers, body=body, now=now)
            self._settle(found)

    def answer(self, call: CallRef, body: bytes, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        """Answer the call with a session description; without effect if it has ended."""
        found = self._find(call)
        if found is not None:
            assert isinstance(found, ServerCall), "only a call that came is answered"
            found.answer(body, headers=headers, now=now)
            self.counters.calls_answered += 1
            self._settle(found)

    def hang_up(self, call: CallRef, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        """End the call: refuse (480), cancel or BYE, whichever fits; without effect if it has ended."""
        found = self._find(call)
        if found is not None:
            found.hang_up(headers=headers, now=now)
            self._settle(found)

    def invite(
        self,
        target: SipUri,
        *,
        destination: Address,
        from_uri: SipUri,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
        now: float,
    ) -> CallRef:
        """Place a call; with an empty body the called side makes the offer. See RFC 3261, 13.2.1."""
        ref = self._new_ref()
        self.counters.calls_placed += 1
        if self.calls > self._max_calls:
            self._tell(CallEnded(ref, EndCause.OVERLOADED, 503, None))
            return ref
        request = self._endpoint.invite(target, from_uri=from_uri, headers=headers, body=body)
        call = ClientCall(ref, request, destination=destination, endpoint=self._endpoint, layer=self._layer, now=now)
        self._calls[ref] = call
        self._settle(call)
        return ref

    def _receive_request(self, request: Request, source: Address, now: float) -> None:
        self.counters.requests_received += 1
        if request.method == "ACK":
            self._receive_ack(request, now)
            return
        if self._layer.receive_retransmission(request, now=now):
            return
        if not self._layer.has_room(request):
            self.counters.refused_transactions += 1
            self._refuse_without_state(request, ServiceUnavailable("Too many transactions", headers=_LATER))
            return
        is_merged = self._layer.is_merged(request)
        transaction = self._layer.serve(request)
        try:
            if is_merged:
                self.counters.merged_requests += 1
                raise LoopDetected("Loop Detected")
            check_request(request)
            self._dispatch(request, transaction, source, now)
        except SipError as error:
            self.counters.rejected_requests += 1
            self._layer.respond(transaction, self._endpoint.refusal(request, error), now=now)

    def _dispatch(self, request: Request, transaction: AnyServerTransaction, source: Address, now: float) -> None:
        if request.method == "CANCEL":
            self._receive_cancel(request, transaction, now)
        elif request.to.tag is not None:
            self._receive_in_dialog(request, transaction, now)
        elif request.method == "BYE":
            raise NoSuchCall("Call/Transaction Does Not Exist")
        elif not self.accepting:
            self.counters.refused_calls += request.method == "INVITE"
            raise ServiceUnavailable("Not accepting calls", headers=_LATER)
        elif request.method == "INVITE":
            self._receive_invite(transaction, source, now)
        else:
            response = self._endpoint.response(request, 200, to_tag=self._endpoint.new_tag())
            self._layer.respond(transaction, response, now=now)

    def _receive_invite(self, transaction: AnyServerTransaction, source: Address, now: float) -> None:
        if self.calls >= self._max_calls:
            self.counters.refused_calls += 1
            raise ServiceUnavailable("Too many calls", headers=_LATER)
        call = ServerCall(
            CallRef(self._last_ref + 1),
            transaction,
            source=source,
            endpoint=self._endpoint,
            layer=self._layer,
        )
        self._calls[self._new_ref()] = call
        self.counters.calls_received += 1
        call.respond(100, now=now)
        self._settle(call)

    def _receive_in_dialog(self, request: Request, transaction: AnyServerTransaction, now: float) -> None:
        call, dialog = self._find_dialog(request)
        if call is None or dialog is None:
            raise NoSuchCall("Call/Transaction Does Not Exist")
        dialog.take_cseq(request)
        if request.method == "BYE":
            call.receive_bye(dialog, request, transaction, now=now)
            self._settle(call)
        elif request.method == "INVITE":
            raise self._refused_reinvite(call)
        else:
            self._layer.respond(transaction, self._endpoint.response(request, 200), now=now)

    def _refused_reinvite(self, call: Call) -> SipError:
        """Return why the session stays as it is. See RFC 3261, section 14.2."""
        if not call.is_early:
            return NotAcceptable("Not Acceptable Here")
        if isinstance(call, ServerCall):
            return OutOfOrder("INVITE before the last one was answered", headers=_SOON)
        return RequestPending("Request Pending")

    def _receive_cancel(self, request: Request, transaction: AnyServerTransaction, now: float) -> None:
        """Answer a CANCEL, and the INVITE if it is not too late. See RFC 3261, section 9.2."""
        invite = self._layer.find_invite(request)
        if invite is None:
            raise NoSuchCall("Call/Transaction Does Not Exist")
        call = self._calls.get(CallRef(invite.owner))
        tag = call.tag if isinstance(call, ServerCall) else self._endpoint.new_tag()
        self._layer.respond(transaction, self._endpoint.response(request, 200, to_tag=tag), now=now)
        if isinstance(call, ServerCall):
            call.receive_cancel(request, now=now)
            self._settle(call)

    def _receive_ack(self, request: Request, now: float) -> None:
        if self._layer.receive_ack(request, now=now):
            return
        call, _ = self._find_dialog(request)
        if isinstance(call, ServerCall) and call.receive_ack(request, now=now):
            self._settle(call)
        else:
            self.counters.stray_acks += 1

    def _receive_response(self, response: Response, now: float) -> None:
        self.counters.responses_received += 1
        transaction, is_news = self._layer.receive_response(response, now=now)
        if transaction is None:
            self.counters.stray_responses += 1
            return
        call = self._calls.get(CallRef(transaction.owner))
        if is_news and call is not None:
            call.receive_response(transaction, response, now=now)
            self._settle(call)

    def _refuse_malformed(self, error: SipError, source: Address) -> None:
        """Answer what can be answered, without state; drop the rest. See RFC 3261, section 8.2.7."""
        try:
            if error.request is None or error.request.method == "ACK":
                raise SipError("nobody to answer")
            self._refuse_without_state(error.request.with_source(source), error)
            self.counters.malformed_requests += 1
        except SipError:
            self.counters.malformed_datagrams += 1

    def _refuse_without_state(self, request: Request, error: SipError) -> None:
        response = self._endpoint.refusal(request, error)
        self._layer.send(bytes(response), request.via.response_address())

    def _find(self, ref: CallRef) -> Call | None:
        assert 0 < ref <= self._last_ref, f"no call was ever named {ref}"
        call = self._calls.get(ref)
        return None if call is None or call.has_ended else call

    def _find_dialog(self, request: Request) -> tuple[Call | None, Dialog | None]:
        key = (request.call_id, request.to.tag or "", request.from_.tag or "")
        call = self._calls_by_dialog.get(key)
        return call, None if call is None else call.dialogs[key]

    def _new_ref(self) -> CallRef:
        self._last_ref += 1
        return CallRef(self._last_ref)

    def _settle(self, call: Call) -> None:
        """Take the events of a call, note its dialogs and its deadline, and forget it when it is over."""
        for event in call.events:
            self._tell(event)
        call.events.clear()
        is_over = call.is_over
        self._queue.set(call, None if is_over else call.next_timeout())
        if is_over:
            del self._calls[call.ref]
            for key in call.dialogs:
                self._calls_by_dialog.pop(key, None)
        else:
            self._calls_by_dialog.update(dict.fromkeys(call.dialogs, call))

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, CallEnded):
            self.counters.calls_ended += 1
        elif isinstance(event, CallAnswered):
            self.counters.calls_answered += 1
