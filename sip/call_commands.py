from __future__ import annotations

from collections.abc import Sequence

from .call import Call
from .call_table import CallTable
from .client_call import ClientCall
from .counters import Counters
from .endpoint import Endpoint
from .event import CallEnded, CallRef, EndCause
from .server_call import ServerCall
from .transaction_layer import TransactionLayer
from .uri import SipUri
from .via import Address

_Headers = Sequence[tuple[str, str]]


class CallCommands:
    """What the owner of a user agent can do with its calls; all of it is without effect once a call has ended."""

    def __init__(self, *, endpoint: Endpoint, layer: TransactionLayer, counters: Counters, max_calls: int) -> None:
        self.counters = counters
        self._endpoint = endpoint
        self._layer = layer
        self._calls = CallTable(self.counters)
        self._max_calls = max_calls

    def respond(
        self,
        call: CallRef,
        status: int,
        *,
        reason: str | None = None,
        headers: _Headers = (),
        body: bytes = b"",
        reliable: bool = False,
        now: float,
    ) -> None:
        """Send a provisional response, or refuse the call.

        A provisional response is sent reliably (RFC 3262) if the caller insists, or if it is able and
        `reliable` asks for it or there is a body.
        """
        found = self._calls.find(call)
        if found is not None:
            assert isinstance(found, ServerCall), "only a call that came is responded to"
            found.respond(status, reason=reason, headers=headers, body=body, reliable=reliable, now=now)
            self._calls.settle(found)

    def answer(self, call: CallRef, body: bytes, *, headers: _Headers = (), now: float) -> None:
        """Answer the call with a session description: our offer, if the INVITE had none."""
        found = self._calls.find(call)
        if found is not None:
            assert isinstance(found, ServerCall), "only a call that came is answered"
            found.answer(body, headers=headers, now=now)
            self.counters.calls_answered += 1
            self._calls.settle(found)

    def hang_up(self, call: CallRef, *, headers: _Headers = (), now: float) -> None:
        """End the call: refuse (480), cancel or BYE, whichever fits."""
        found = self._calls.find(call)
        if found is not None:
            found.hang_up(headers=headers, now=now)
            self._calls.settle(found)

    def invite(
        self,
        target: SipUri,
        *,
        destination: Address,
        from_uri: SipUri,
        body: bytes,
        headers: _Headers = (),
        now: float,
    ) -> CallRef:
        """Place a call; with an empty body the called side makes the offer. See RFC 3261, 13.2.1."""
        ref = self._calls.new_ref()
        self.counters.calls_placed += 1
        if self._calls.live_calls > self._max_calls:
            self._calls.tell(CallEnded(ref, EndCause.OVERLOADED, 503, None))
            return ref
        request = self._endpoint.invite(target, destination=destination, from_uri=from_uri, headers=headers, body=body)
        call = ClientCall(ref, request, destination=destination, endpoint=self._endpoint, layer=self._layer, now=now)
        self._calls.add(call)
        self._calls.settle(call)
        return ref

    def acknowledge(self, call: CallRef, body: bytes, *, now: float) -> None:
        """Answer the offer that came in the 2xx to an INVITE of ours that had none; the ACK carries it."""
        found = self._calls.find(call)
        if found is not None:
            assert isinstance(found, ClientCall), "only a call that we placed is acknowledged"
            found.acknowledge(body, now=now)
            self._calls.settle(found)

    def accept_offer(self, call: CallRef, body: bytes, *, headers: _Headers = (), now: float) -> None:
        """Accept the re-INVITE or UPDATE of `OfferReceived`, with our answer, or our offer if it had none."""
        found = self._calls.find(call)
        if found is not None:
            found.incoming_offer.accept(body, headers=headers, now=now)
            self._calls.settle(found)

    def refuse_offer(self, call: CallRef, status: int = 488, *, headers: _Headers = (), now: float) -> None:
        """Refuse the re-INVITE or UPDATE of `OfferReceived`; the session stays as it is."""
        assert 300 <= status < 700, "a 2xx is for accept_offer()"
        found = self._calls.find(call)
        if found is not None:
            found.incoming_offer.refuse(status, headers=headers, now=now)
            self._calls.settle(found)

    def reoffer(
        self, call: CallRef, body: bytes, *, method: str = "INVITE", headers: _Headers = (), now: float
    ) -> None:
        """Offer a changed session by re-INVITE or UPDATE, as soon as it is our turn; the latest offer wins."""
        assert body, "an offer says something"
        assert method in ("INVITE", "UPDATE")
        found = self._calls.find(call)
        if found is not None:
            found.outgoing_offer.offer(body, method=method, headers=headers, now=now)
            self._calls.settle(found)

    def send_info(self, call: CallRef, content_type: str, body: bytes, *, headers: _Headers = (), now: float) -> None:
        """Send an INFO in the dialog; `InfoAnswered` says what became of it."""
        found = self._answered(call)
        if found is not None:
            found.info.send(content_type, body, headers=headers, now=now)
            self._calls.settle(found)

    def transfer(self, call: CallRef, refer_to: str, *, headers: _Headers = (), now: float) -> None:
        """Ask the other side to call somebody else (REFER); `TransferProgress` says how that goes."""
        found = self._answered(call)
        if found is not None:
            found.transfer.start(refer_to, headers=headers, now=now)
            self._calls.settle(found)

    def _answered(self, ref: CallRef) -> Call | None:
        call = self._calls.find(ref)
        assert call is None or call.is_live, "the call is not answered yet"
        return call
