"""The media of one call: what both sides have said of it, and what the worker has been told of that."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.core.cause import Cause, reason_headers
from sidecar.core.leg_changes import LegChange, LegChanges
from sidecar.core.link import ChangeLeg, StartMedia, ToWorker
from sidecar.core.media_leg import MediaLeg
from sidecar.core.media_negotiation import MediaNegotiation
from sip import CallReceived, UserAgent, supports_100rel


class CallMedia:
    """Makes the descriptions of a call, reads those of the caller, and lets the worker follow."""

    def __init__(
        self,
        stream: str,
        received: CallReceived,
        negotiation: MediaNegotiation,
        *,
        agent: UserAgent,
        say: Callable[[ToWorker], None],
    ) -> None:
        self.on_hold: Callable[[bool], None] | None = None  # told when they do not listen any more, and when again
        self.is_held = negotiation.terms is not None and not negotiation.terms.sends
        self._stream = stream
        self._call = received.call
        self._negotiation = negotiation
        self._agent = agent
        self._say = say
        self._is_late_offer = negotiation.terms is None  # the INVITE had none: the offer is ours
        self._takes_reliable = supports_100rel(received.request)
        self._is_due = False
        self._is_answered = False
        leg = None if negotiation.terms is None else negotiation.terms.leg
        self._changes = LegChanges(leg, lambda leg: say(ChangeLeg(stream, leg)))

    @property
    def leg(self) -> MediaLeg | None:
        """That which the worker has; None: nothing is settled yet."""
        return self._changes.leg

    @property
    def is_settled(self) -> bool:
        """Whether there is a description of each side, or the worker has yet to agree."""
        return self._negotiation.terms is not None or not self._changes.are_done

    # --- what is said to the caller's side

    def ring(self, *, now: float) -> None:
        """Send a 183, reliably if they can; where they cannot, it cannot carry our offer (RFC 3261, 13.2.1)."""
        body = b"" if self._is_late_offer and not self._takes_reliable else self._description()
        self._agent.respond(self._call, 183, body=body, now=now)
        self._begin()

    def answer(self, *, now: float) -> None:
        """Answer the call."""
        self._is_answered = True
        self._agent.answer(self._call, self._description(), now=now)
        self._begin()

    def _description(self) -> bytes:
        """Return what our response says of the media: the answer, or the offer, which is made once."""
        if not self._is_late_offer:
            assert self._negotiation.terms is not None
            return self._negotiation.terms.description
        return b"" if self._negotiation.has_offered else self._negotiation.offer()

    # --- what the caller's side says

    def receive_offer(self, offer: bytes, *, now: float) -> None:
        """Let the caller hold, resume, move, or change the codec (RFC 3264, section 8); raise `SipError` if it cannot.

        Without an offer, make one. Where the worker has to agree, the answer waits for it.
        """
        if self._changes.is_full:
            self._agent.refuse_offer(self._call, 500, headers=[("Retry-After", "1")], now=now)
        elif not offer:
            self._agent.accept_offer(self._call, self._negotiation.offer(), now=now)
        else:
            self._change(LegChange(self._negotiation.answer(offer), answers_offer=True), now=now)

    def offer_withdrawn(self) -> None:
        """Their offer was cancelled, or refused because the worker took too long."""
        self._changes.withdraw_offer()

    def offer_answered(self, answer: bytes, *, now: float) -> None:
        """The answer to our offer came; raise `SipError` if it is none that we can follow."""
        self._change(LegChange(self._negotiation.read_answer(answer), answers_offer=False), now=now)

    # --- what the worker says

    def leg_changed(self, *, now: float) -> None:
        """The worker has agreed."""
        change = self._changes.agreed()
        if not change.is_withdrawn:
            self._agree(change, now=now)
        self._changes.undo_withdrawn(self._negotiation.terms)

    def leg_refused(self, reason: str, *, now: float) -> bool:
        """The worker cannot do it: return whether the call goes on as it was."""
        change = self._changes.refused()
        if change.answers_offer and not change.is_withdrawn:
            headers = reason_headers(Cause.INCOMPATIBLE_DESTINATION, reason)
            self._agent.refuse_offer(self._call, 488, headers=headers, now=now)
        self._changes.undo_withdrawn(self._negotiation.terms)
        return change.answers_offer

    # --- how it works

    def _change(self, change: LegChange, *, now: float) -> None:
        """Let new terms hold: at once, or, where they have another leg, when the worker agrees."""
        if not self._changes.begin(change):
            self._agree(change, now=now)

    def _agree(self, change: LegChange, *, now: float) -> None:
        self._negotiation.settle(change.terms)
        if change.answers_offer:
            self._agent.accept_offer(self._call, change.terms.description, now=now)
        self._start()
        if change.terms.sends == self.is_held:
            self.is_held = not change.terms.sends
            if self.on_hold is not None:
                self.on_hold(self.is_held)

    def _begin(self) -> None:
        self._is_due = True
        self._start()

    def _start(self) -> None:
        terms = self._negotiation.terms
        if self._is_due and terms is not None:
            receives = terms.receives and self._is_answered  # who has early media need not speak yet
            self._say(StartMedia(self._stream, terms.sends, receives))
