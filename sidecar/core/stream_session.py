"""One call and its stream: what happens on either side, and what it makes the other side do."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from rtp import DIGITS, LONGEST_MS, SHORTEST_MS
from sidecar.core.bot_messages import message_to_bot
from sidecar.core.bot_requests import BotRequests
from sidecar.core.bot_side import BotSide, BotState
from sidecar.core.cause import RETRY_AFTER, Cause, cause_of_close, reason_headers, refusal_status
from sidecar.core.errors import ErrorCode
from sidecar.core.events import StreamEvent, error_body
from sidecar.core.info_queue import DTMF_RELAY, InfoQueue, digit_body
from sidecar.core.leg_changes import LegChange, LegChanges
from sidecar.core.link import (
    BotClosed,
    BotConnected,
    BotFailed,
    BotLost,
    BotRequest,
    BotResumed,
    BotStalled,
    BotText,
    ChangeLeg,
    CloseStream,
    DigitHeard,
    LegChanged,
    LegRefused,
    MediaLost,
    NothingHeard,
    OpenStream,
    PlaybackDrained,
    SendDigits,
    SendText,
    StartMedia,
    StreamEnded,
    StreamMessage,
    StreamRefused,
    StreamTold,
    ToWorker,
)
from sidecar.core.media_negotiation import MediaNegotiation
from sidecar.core.options import AnswerMode, StreamOptions
from sip import CallReceived, EndCause, SipError, SipUri, UserAgent, supports_100rel

Outbox = deque[StreamEvent | ToWorker]


class StreamSession:
    """One call and its stream. It ends when both the SIP call and the worker's stream have."""

    def __init__(
        self,
        stream: str,
        received: CallReceived,
        options: StreamOptions,
        negotiation: MediaNegotiation,
        *,
        agent: UserAgent,
        outbox: Outbox,
        port: int | None = None,
    ) -> None:
        """`port` is that of its media, if it has one of its own."""
        self.stream = stream
        self.port = port
        self.call = received.call
        self._call_id = received.request.call_id
        self._options = options
        self._negotiation = negotiation
        self._is_late_offer = negotiation.terms is None  # the INVITE had none: the offer is ours
        self._takes_reliable = supports_100rel(received.request)
        self._agent = agent
        self._outbox = outbox
        self._bot = BotSide(options, self.emit)
        self._requests = BotRequests(
            self, lambda kind, data: outbox.append(SendText(stream, message_to_bot(kind, data)))
        )
        self._answered = False
        self._confirmed = False  # by an ACK
        self._media_is_due = False
        leg = None if negotiation.terms is None else negotiation.terms.leg
        self._changes = LegChanges(leg, lambda leg: outbox.append(ChangeLeg(stream, leg)))
        self._call_over = self._stream_over = False
        self._goodbye = (1000, "")  # to the bot: code and reason (RFC 6455, section 7.4.1)
        self._closing = False  # we have hung up, or they have, and the stream is to end
        self._infos = InfoQueue()
        self._is_told_by_info = "send_info" in (received.request.headers.get("X-FS-Support") or "")  # a FreeSWITCH
        self._events = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of either side."""
        return self._call_over and self._stream_over

    def start(self, body: dict[str, Any], *, now: float) -> None:
        """Let the worker open the stream; `body` is that of the event."""
        self.emit("start", body)
        self._outbox.append(OpenStream(self.stream, self._changes.leg, self._options, self.port))
        if self._options.answer is AnswerMode.IMMEDIATE:
            self.answer(now=now)
        elif self._options.answer is AnswerMode.EARLY:
            self._ring_with_media(now=now)

    def give_up(self, why: str, *, now: float) -> None:
        """End the call because its bot cannot be had: 503 where it is not answered, so that a dialplan can go on."""
        if self._answered:
            self._hang_up(Cause.TEMPORARY_FAILURE, why, now=now)
        else:
            self._refuse(503, Cause.TEMPORARY_FAILURE, why, now=now)

    def stop(self, why: str, *, now: float) -> None:
        """End the call because the sidecar goes away, and tell the bot so."""
        self._goodbye = 1001, why
        self.give_up(why, now=now)

    def end(self, cause: int, why: str, *, now: float) -> None:
        """Hang up, or refuse the call if it is not answered yet."""
        if self._answered:
            self._hang_up(cause, why, now=now)
        else:
            self._refuse(refusal_status(cause), cause, why, now=now)

    def answer(self, *, now: float) -> None:
        """Answer the call, unless it is answered."""
        if not self._answered:
            self._answered = True
            self._agent.answer(self.call, self._description(), now=now)
            self._begin_media()

    def transfer(self, to: str, *, now: float) -> None:
        """Ask the caller's side to call the SIP URI `to` instead (RFC 3515); events `transfer` say how that goes.

        Raise ValueError if that is no such URI, or if the call is not up.
        """
        target = SipUri.parse(to)
        if not self._confirmed:
            raise ValueError("the call is not answered yet")
        self._agent.transfer(self.call, str(target), now=now)

    def send_digits(self, digits: str, *, duration_ms: int, now: float) -> None:
        """Let the caller hear digits, in RTP if it can, else by INFO; raise ValueError if that cannot be."""
        if unknown := set(digits) - set(DIGITS):
            raise ValueError(f"{min(unknown)!r} is not a digit; digits are {DIGITS}")
        if not SHORTEST_MS <= duration_ms <= LONGEST_MS:
            raise ValueError(f"duration_ms is {duration_ms}; a digit lasts {SHORTEST_MS} to {LONGEST_MS} ms")
        if not self._confirmed:
            raise ValueError("the call is not answered yet")
        leg = self._changes.leg
        if leg is not None and leg.send_telephone_event_payload_type is not None:
            self._outbox.append(SendDigits(self.stream, digits, duration_ms))
        elif self._infos.add(DTMF_RELAY, [digit_body(digit, duration_ms) for digit in digits]):
            self.send_infos(now=now)
        else:
            raise ValueError("too many digits wait to be sent")

    def emit(self, kind: str, body: dict[str, Any] | str) -> None:
        """Tell the outside."""
        self._events += 1
        quiet = kind == "json" and self._options.suppress_log
        event = StreamEvent(kind, self.stream, self._call_id, self._events, body, quiet)
        self._outbox.append(event)
        if self._is_told_by_info and not self._closing:
            self._infos.tell(event)

    def send_infos(self, *, now: float) -> None:
        """Send what waits to be told by INFO, when it is time."""
        if self._confirmed and not self._closing and (info := self._infos.take()) is not None:
            self._agent.send_info(self.call, *info, now=now)

    # --- what the caller's side does

    def confirmed(self, body: bytes, *, now: float) -> None:
        """The ACK came, with the answer if the offer was in our 200."""
        self._confirmed = True
        if self._negotiation.terms is None and self._changes.are_done:
            self.offer_answered(body, now=now)

    def receive_offer(self, offer: bytes, *, now: float) -> None:
        """Let the caller hold, resume, move, or change the codec (RFC 3264, section 8); raise `SipError` if it cannot.

        Without an offer, make one. Where the worker has to agree, the answer waits for it.
        """
        if self._changes.is_full:
            self._agent.refuse_offer(self.call, 500, headers=[("Retry-After", "1")], now=now)
        elif not offer:
            self._agent.accept_offer(self.call, self._negotiation.offer(), now=now)
        else:
            self._change(LegChange(self._negotiation.answer(offer), answers_offer=True), now=now)

    def offer_withdrawn(self) -> None:
        """Their offer was cancelled, or refused because the worker took too long."""
        self._changes.withdraw_offer()

    def offer_answered(self, answer: bytes, *, now: float) -> None:
        """The answer to our offer came; without one that we can follow, there is no call."""
        try:
            terms = self._negotiation.read_answer(answer)
        except SipError as error:
            if self._answered:
                self._hang_up(Cause.INCOMPATIBLE_DESTINATION, str(error), now=now)
            else:
                self._refuse(488, Cause.INCOMPATIBLE_DESTINATION, str(error), now=now)
            return
        self._change(LegChange(terms, answers_offer=False), now=now)

    def receive_digit(self, digit: str, duration_ms: int) -> None:
        """A digit came in an INFO."""
        self.emit("dtmf", {"digit": digit, "duration_ms": duration_ms, "source": "info"})

    def info_answered(self) -> None:
        """Our last INFO was answered, or never will be."""
        self._infos.answered()

    def transfer_progressed(self, status: int, *, is_final: bool, now: float) -> None:
        """The other side says how our REFER goes; whoever has been transferred does not need us any more."""
        self.emit("transfer", {"status": status, "final": is_final})
        self._requests.transfer_progressed(status, is_final=is_final)
        if is_final and 200 <= status < 300:
            self._hang_up(Cause.NORMAL_CLEARING, "transferred", now=now)

    def call_ended(self, cause: EndCause) -> None:
        """The call is over, whoever ended it: end the stream."""
        self._call_over = True
        self._bot.call_ended(cause.name.lower(), code=self._goodbye[0])
        self._close_stream()

    # --- what the worker says

    def receive_message(self, message: StreamMessage, *, now: float) -> None:
        """Take a message of the worker; once the call is over, there is news of the stream's end alone."""
        if self._call_over and not isinstance(message, StreamEnded | StreamRefused):
            return
        match message:
            case BotConnected():
                self._bot.receive_message(message)
                if self._options.answer is AnswerMode.CONNECTED:
                    self.answer(now=now)
            case BotLost() | BotResumed() | BotStalled():
                self._bot.receive_message(message)
            case BotFailed():
                self._bot_failed(message, now=now)
            case BotClosed(_, code, reason):
                self._bot.receive_message(message)
                if not self._answered:
                    self.give_up(f"the bot closed before the call was answered: {code} {reason}", now=now)
            case PlaybackDrained():
                self._drained(now=now)
            case BotText(_, text):
                self.emit("json", text)
            case StreamTold(_, kind, body):
                self.emit(kind, msgspec.json.decode(body))
            case DigitHeard(_, digit, duration_ms, source):
                self.emit("dtmf", {"digit": digit, "duration_ms": duration_ms, "source": source})
            case NothingHeard(_, expected, actual, why):
                error = f"nothing is heard from {expected}, while RTP comes from {actual}: {why}"
                self.emit("error", error_body(ErrorCode.TIMEOUT, error))
            case MediaLost(_, seconds, ever):
                self._media_lost(seconds, ever=ever, now=now)
            case LegChanged():
                self._leg_changed(self._changes.agreed(), now=now)
            case LegRefused(_, reason):
                self._leg_refused(self._changes.refused(), reason, now=now)
            case StreamRefused(_, reason):
                self._stream_over = True
                self.emit("error", error_body(ErrorCode.IO, reason))
                self.emit("stop", {})
                self.give_up(reason, now=now)
            case StreamEnded(_, stats):
                self._stream_over = True
                self.emit("stop", msgspec.to_builtins(stats))
            case _:
                self._asked(message, now=now)

    def worker_lost(self, why: str, *, now: float) -> None:
        """The worker is gone, and the stream with it."""
        self._stream_over = True
        if not self._call_over:
            self._bot.receive_message(BotFailed(self.stream, ErrorCode.IO, why))
        self.emit("stop", {})
        self.give_up(why, now=now)

    def _bot_failed(self, failure: BotFailed, *, now: float) -> None:
        was_connected = self._bot.was_connected
        self._bot.receive_message(failure)
        if self._answered and self._bot.may_be_missed:
            return
        if failure.forbidden and not self._answered:
            self._refuse(403, Cause.CALL_REJECTED, failure.error, now=now)
        else:
            self.give_up(f"bot {'lost' if was_connected else 'unreachable'}: {failure.error}", now=now)

    def _media_lost(self, seconds: float, *, ever: bool, now: float) -> None:
        what = f"no RTP for {seconds:.0f} s" if ever else f"no RTP came at all, in {seconds:.0f} s"
        self.emit("error", error_body(ErrorCode.TIMEOUT, what))
        self._hang_up(Cause.RECOVERY_ON_TIMER_EXPIRE, what, now=now)

    def _drained(self, *, now: float) -> None:
        """End the call if that is what the bot wanted, or if it has closed and the call is not to outlive it."""
        if not self._requests.drained(now=now) and self._bot.state is BotState.GONE and not self._bot.may_be_missed:
            self._hang_up(*cause_of_close(*self._bot.end), now=now)

    def _asked(self, request: BotRequest, *, now: float) -> None:
        if (failure := self._requests.obey(request, now=now)) is not None:
            self.emit("error", error_body(ErrorCode.NOT_SUPPORTED, failure))

    # --- the media

    def _change(self, change: LegChange, *, now: float) -> None:
        """Let new terms hold: at once, or, where they have another leg, when the worker agrees."""
        if not self._changes.begin(change):
            self._agree(change, now=now)

    def _agree(self, change: LegChange, *, now: float) -> None:
        self._negotiation.settle(change.terms)
        if change.answers_offer:
            self._agent.accept_offer(self.call, change.terms.description, now=now)
        self._start_media()

    def _leg_changed(self, change: LegChange, *, now: float) -> None:
        if not change.is_withdrawn:
            self._agree(change, now=now)
        self._changes.undo_withdrawn(self._negotiation.terms)

    def _leg_refused(self, change: LegChange, reason: str, *, now: float) -> None:
        if not change.answers_offer:
            self.give_up(reason, now=now)
        elif not change.is_withdrawn:
            headers = reason_headers(Cause.INCOMPATIBLE_DESTINATION, reason)
            self._agent.refuse_offer(self.call, 488, headers=headers, now=now)
        self._changes.undo_withdrawn(self._negotiation.terms)

    def _start_media(self) -> None:
        terms = self._negotiation.terms
        if self._media_is_due and terms is not None:
            receives = terms.receives and self._answered  # who has early media need not speak yet
            self._outbox.append(StartMedia(self.stream, terms.sends, receives))

    # --- what is said to the caller's side

    def _ring_with_media(self, *, now: float) -> None:
        """Send a 183, reliably if they can; where they cannot, it cannot carry our offer (RFC 3261, 13.2.1)."""
        body = b"" if self._is_late_offer and not self._takes_reliable else self._description()
        self._agent.respond(self.call, 183, body=body, now=now)
        self._begin_media()

    def _begin_media(self) -> None:
        self._media_is_due = True
        self._start_media()

    def _description(self) -> bytes:
        """Return what our response says of the media: the answer, or the offer, which is made once."""
        if not self._is_late_offer:
            assert self._negotiation.terms is not None
            return self._negotiation.terms.description
        return b"" if self._negotiation.has_offered else self._negotiation.offer()

    def _refuse(self, status: int, cause: int, why: str, *, now: float) -> None:
        headers = [*reason_headers(cause, why), *(RETRY_AFTER if status == 503 else ())]
        self._agent.respond(self.call, status, headers=headers, now=now)
        self._close_stream()

    def _hang_up(self, cause: int, why: str, *, now: float) -> None:
        self._agent.hang_up(self.call, headers=reason_headers(cause, why), now=now)
        self._close_stream()

    def _close_stream(self) -> None:
        if not self._closing and not self._stream_over:
            self._outbox.append(CloseStream(self.stream, *self._goodbye))
        self._closing = True
