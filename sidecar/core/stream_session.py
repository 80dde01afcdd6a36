"""One call and its stream: what happens on either side, and what it makes the other side do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rtp import DIGITS, LONGEST_MS, SHORTEST_MS
from sidecar.core.bot_messages import message_to_bot
from sidecar.core.bot_requests import BotRequests
from sidecar.core.bot_side import BotSide, BotState
from sidecar.core.bot_uri import public_url
from sidecar.core.call_media import CallMedia
from sidecar.core.cause import RETRY_AFTER, Cause, cause_of_close, reason_headers, refusal_status
from sidecar.core.errors import CommandError, ErrorCode, InvalidCommand, Overfull
from sidecar.core.event_body import EventBody
from sidecar.core.event_series import EventSeries
from sidecar.core.events import BotSaid, DigitPressed, Started, Stopped, StreamEvent, Transferring, body_told, failure
from sidecar.core.info_queue import DTMF_RELAY, InfoQueue, digit_body
from sidecar.core.link import (
    AskStats,
    BotClosed,
    BotConnected,
    BotFailed,
    BotLost,
    BotRequest,
    BotResumed,
    BotStalled,
    BotText,
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
    StatsTold,
    StreamEnded,
    StreamMessage,
    StreamRefused,
    StreamStats,
    StreamTold,
    TextUnsent,
    ToWorker,
)
from sidecar.core.media_negotiation import MediaNegotiation
from sidecar.core.options import AnswerMode, StreamOptions
from sidecar.core.stream_commands import StreamCommands
from sidecar.core.stream_snapshot import StreamSnapshot
from sip import CallReceived, EndCause, SipError, SipUri, UserAgent

Outbox = deque[StreamEvent | StatsTold | ToWorker]


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
        wall_clock: Callable[[], float],
        port: int | None = None,
        tells_by_info: bool = True,
    ) -> None:
        """`port` is that of its media, if it has one of its own; `wall_clock` counts seconds since 1970.

        `tells_by_info`: a FreeSWITCH hears of the events in the call itself.
        """
        self.stream = stream
        self.port = port
        self.call = received.call
        self.started_at = wall_clock()
        self._request = received.request
        self._options = options
        self._agent = agent
        self._outbox = outbox
        self._events = EventSeries(
            stream,
            options.call or received.request.call_id,
            wall_clock=wall_clock,
            tell=self._tell,
            quiet_texts=options.suppress_log,
        )
        self._bot = BotSide(options, self.emit)
        self.commands = StreamCommands(stream, options, call=self, bot=self._bot, emit=self.emit, say=outbox.append)
        self._requests = BotRequests(
            self, lambda kind, data: outbox.append(SendText(stream, message_to_bot(kind, data)))
        )
        self._answered = False
        self._confirmed = False  # by an ACK
        self.media = CallMedia(stream, received, negotiation, agent=agent, say=outbox.append)
        self._call_over = self._stream_over = False
        self._goodbye = (1000, "")  # to the bot: code and reason (RFC 6455, section 7.4.1)
        self._closing = False  # we have hung up, or they have, and the stream is to end
        self._stats_asked = 0  # how often, without an answer yet
        self._infos = InfoQueue()
        takes_info = "send_info" in (received.request.headers.get("X-FS-Support") or "")  # a FreeSWITCH
        self._is_told_by_info = tells_by_info and takes_info

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of either side."""
        return self._call_over and self._stream_over

    @property
    def is_ending(self) -> bool:
        """Whether it is too late to ask anything of it."""
        return self._closing or self._call_over

    def start(self, warnings: list[str], *, now: float) -> None:
        """Let the worker open the stream; `warnings` are about its options."""
        request, options = self._request, self._options
        self.emit(
            Started(
                request.call_id,
                str(request.from_.uri),
                str(request.to.uri),
                options.mix.value,
                options.rate,
                warnings,
            )
        )
        self._outbox.append(OpenStream(self.stream, self.media.leg, self._options, self.port))
        if self._options.answer is AnswerMode.IMMEDIATE:
            self.answer(now=now)
        elif self._options.answer is AnswerMode.EARLY:
            self.media.ring(now=now)

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
            self.media.answer(now=now)

    def transfer(self, to: str, *, now: float) -> None:
        """Ask the caller's side to call the SIP URI `to` instead (RFC 3515); events `transfer` say how that goes.

        Raise `CommandError` if that is no such URI, or if the call is not up.
        """
        try:
            target = SipUri.parse(to)
        except SipError as error:
            raise InvalidCommand(str(error), field="to") from None
        if not self._confirmed:
            raise CommandError("the call is not answered yet")
        self._agent.transfer(self.call, str(target), now=now)

    def send_digits(self, digits: str, *, duration_ms: int, now: float) -> None:
        """Let the caller hear digits, in RTP if it can, else by INFO; raise `CommandError` if that cannot be."""
        if unknown := set(digits) - set(DIGITS):
            raise InvalidCommand(f"{min(unknown)!r} is not a digit; digits are {DIGITS}", field="digits")
        if not SHORTEST_MS <= duration_ms <= LONGEST_MS:
            error = f"duration_ms is {duration_ms}; a digit lasts {SHORTEST_MS} to {LONGEST_MS} ms"
            raise InvalidCommand(error, field="duration_ms")
        if not self._confirmed:
            raise CommandError("the call is not answered yet")
        leg = self.media.leg
        if leg is not None and leg.send_telephone_event_payload_type is not None:
            self._outbox.append(SendDigits(self.stream, digits, duration_ms))
        elif self._infos.add(DTMF_RELAY, [digit_body(digit, duration_ms) for digit in digits]):
            self.send_infos(now=now)
        else:
            raise Overfull("too many digits wait to be sent")

    def emit(self, body: EventBody) -> None:
        """Tell the outside."""
        self._events.emit(body)

    def _tell(self, event: StreamEvent) -> None:
        self._outbox.append(event)
        if self._is_told_by_info and not self._closing:
            self._infos.tell(event)

    def ask_stats(self) -> None:
        """Let it be said, as `StatsTold`, what has passed through the stream so far."""
        if self._stream_over:
            raise CommandError("the stream is over")
        self._stats_asked += 1
        self._outbox.append(AskStats(self.stream))

    def _tell_stats(self, stats: StreamStats) -> None:
        if self._stats_asked:
            self._stats_asked -= 1
            self._outbox.append(StatsTold(self.stream, stats))

    def snapshot(self) -> StreamSnapshot:
        """Return how it is now."""
        options, leg = self._options, self.media.leg
        return StreamSnapshot(
            id=self.stream,
            call=self._events.call,
            call_id=self._request.call_id,
            state="ending" if self.is_ending else "up" if self._confirmed else "starting",
            bot=self._bot.state.value,
            paused=self.commands.paused,
            from_=str(self._request.from_.uri),
            to=str(self._request.to.uri),
            url=public_url(options.url),
            mix=options.mix.value,
            rate=options.rate,
            sample_rate=options.playback_rate,
            buffer_size=options.buffer_size,
            codec=None if leg is None else leg.codec,
            started_at=self.started_at,
            events=self._events.length,
        )

    def send_infos(self, *, now: float) -> None:
        """Send what waits to be told by INFO, when it is time."""
        if self._confirmed and not self._closing and (info := self._infos.take()) is not None:
            self._agent.send_info(self.call, *info, now=now)

    # --- what the caller's side does

    def confirmed(self, body: bytes, *, now: float) -> None:
        """The ACK came, with the answer if the offer was in our 200."""
        self._confirmed = True
        if not self.media.is_settled:
            self.offer_answered(body, now=now)

    def offer_answered(self, answer: bytes, *, now: float) -> None:
        """The answer to our offer came; without one that we can follow, there is no call."""
        try:
            self.media.offer_answered(answer, now=now)
        except SipError as error:
            if self._answered:
                self._hang_up(Cause.INCOMPATIBLE_DESTINATION, str(error), now=now)
            else:
                self._refuse(488, Cause.INCOMPATIBLE_DESTINATION, str(error), now=now)

    def receive_digit(self, digit: str, duration_ms: int) -> None:
        """A digit came in an INFO."""
        self.emit(DigitPressed(digit, duration_ms, "info"))

    def info_answered(self) -> None:
        """Our last INFO was answered, or never will be."""
        self._infos.answered()

    def transfer_progressed(self, status: int, *, is_final: bool, now: float) -> None:
        """The other side says how our REFER goes; whoever has been transferred does not need us any more."""
        self.emit(Transferring(status, is_final))
        self._requests.transfer_progressed(status, is_final=is_final)
        if is_final and 200 <= status < 300:
            self._hang_up(Cause.NORMAL_CLEARING, "transferred", now=now)

    def call_ended(self, cause: EndCause) -> None:
        """The call is over, whoever ended it: end the stream."""
        self._call_over = True
        self.commands.bot_gone()
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
                self.commands.send_waiting()
                if self._options.answer is AnswerMode.CONNECTED:
                    self.answer(now=now)
            case BotLost() | BotStalled():
                self._bot.receive_message(message)
            case BotResumed():
                self._bot.receive_message(message)
                self.commands.send_waiting()
            case BotFailed():
                self._bot_failed(message, now=now)
            case BotClosed(_, code, reason):
                self._bot.receive_message(message)
                self.commands.bot_gone()
                if not self._answered:
                    self.give_up(f"the bot closed before the call was answered: {code} {reason}", now=now)
            case PlaybackDrained():
                self._drained(now=now)
            case BotText(_, text):
                self.emit(BotSaid(text))
            case TextUnsent(_, text):
                self.commands.text_unsent(text)
            case StreamTold():
                self.emit(body_told(message))
            case StatsTold(_, stats):
                self._tell_stats(stats)
            case DigitHeard(_, digit, duration_ms, source):
                self.emit(DigitPressed(digit, duration_ms, source))
            case NothingHeard(_, expected, actual, why):
                error = f"nothing is heard from {expected}, while RTP comes from {actual}: {why}"
                self.emit(failure(ErrorCode.TIMEOUT, error))
            case MediaLost(_, seconds, ever):
                self._media_lost(seconds, ever=ever, now=now)
            case LegChanged():
                self.media.leg_changed(now=now)
            case LegRefused(_, reason):
                if not self.media.leg_refused(reason, now=now):
                    self.give_up(reason, now=now)
            case StreamRefused(_, reason):
                self._stream_over = True
                self.emit(failure(ErrorCode.IO, reason))
                self._stop(None)
                self.give_up(reason, now=now)
            case StreamEnded(_, stats):
                self._stream_over = True
                self._stop(stats)
            case _:
                self._asked(message, now=now)

    def worker_lost(self, why: str, *, now: float) -> None:
        """The worker is gone, and the stream with it."""
        self._stream_over = True
        if not self._call_over:
            self._bot.receive_message(BotFailed(self.stream, ErrorCode.IO, why))
        self._stop(None)
        self.give_up(why, now=now)

    def _stop(self, stats: StreamStats | None) -> None:
        self.emit(Stopped(stats))
        while self._stats_asked:
            self._tell_stats(stats or StreamStats())

    def _bot_failed(self, failed: BotFailed, *, now: float) -> None:
        was_connected = self._bot.was_connected
        self._bot.receive_message(failed)
        self.commands.bot_gone()
        if self._answered and self._bot.may_be_missed:
            return
        if failed.forbidden and not self._answered:
            self._refuse(403, Cause.CALL_REJECTED, failed.error, now=now)
        else:
            self.give_up(f"bot {'lost' if was_connected else 'unreachable'}: {failed.error}", now=now)

    def _media_lost(self, seconds: float, *, ever: bool, now: float) -> None:
        what = f"no RTP for {seconds:.0f} s" if ever else f"no RTP came at all, in {seconds:.0f} s"
        self.emit(failure(ErrorCode.TIMEOUT, what))
        self._hang_up(Cause.RECOVERY_ON_TIMER_EXPIRE, what, now=now)

    def _drained(self, *, now: float) -> None:
        """End the call if that is what the bot wanted, or if it has closed and the call is not to outlive it."""
        if not self._requests.drained(now=now) and self._bot.state is BotState.GONE and not self._bot.may_be_missed:
            self._hang_up(*cause_of_close(*self._bot.end), now=now)

    def _asked(self, request: BotRequest, *, now: float) -> None:
        if (error := self._requests.obey(request, now=now)) is not None:
            self.emit(failure(ErrorCode.NOT_SUPPORTED, error))

    # --- the end

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
