"""One stream and its calls: what happens on either side, and what it makes the other side do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_messages import message_to_bot
from sidecar.core.bot_requests import BotRequests
from sidecar.core.bot_side import BotSide, BotState
from sidecar.core.bot_teller import BotTeller
from sidecar.core.bot_uri import public_url
from sidecar.core.call_news import CallAnswered, CallHeld, CallTransferring, CallUnheld
from sidecar.core.cause import Cause, cause_of_close, refusal_status
from sidecar.core.errors import ErrorCode
from sidecar.core.event_body import EventBody
from sidecar.core.event_series import EventSeries
from sidecar.core.events import (
    BotSaid,
    DigitPressed,
    JoinedLeg,
    LeftLeg,
    Started,
    Stopped,
    StreamEvent,
    Transferring,
    body_told,
    failure,
)
from sidecar.core.joining import JOIN_SECONDS, Joinable, Owner
from sidecar.core.link import (
    AnswerAsked,
    BotClosed,
    BotConnected,
    BotFailed,
    BotLost,
    BotRequest,
    BotResumed,
    BotSpoke,
    BotStalled,
    BotText,
    CloseStream,
    DigitHeard,
    DigitsAsked,
    HangupAsked,
    LegChanged,
    LegJoined,
    LegLeft,
    LegMessage,
    LegRefused,
    MediaLost,
    NothingHeard,
    OpenStream,
    PlaybackDrained,
    SendText,
    StatsTold,
    StreamEnded,
    StreamMessage,
    StreamRefused,
    StreamStats,
    StreamTold,
    TextUnsent,
    ToWorker,
    TransferAsked,
)
from sidecar.core.options import AnswerMode, EventKind, StreamOptions
from sidecar.core.stats_requests import StatsRequests
from sidecar.core.stream_commands import StreamCommands
from sidecar.core.stream_leg import StreamLeg
from sidecar.core.stream_legs import StreamLegs
from sidecar.core.stream_snapshot import StreamSnapshot
from sip import AuthenticationFailed, EndCause, SipError

Outbox = deque[StreamEvent | StatsTold | ToWorker | AuthenticationFailed]


class StreamSession:
    """One stream with one call, or two that carry a voice each. It ends when the calls and the worker's stream have."""

    def __init__(
        self,
        stream: str,
        first: StreamLeg,
        options: StreamOptions,
        *,
        owner: Owner,
        outbox: Outbox,
        bot_hosts: BotHosts,
        wall_clock: Callable[[], float],
        now: float,
    ) -> None:
        """`wall_clock` counts seconds since 1970."""
        self.stream = stream
        self.legs = StreamLegs(stream, first, options.answer, say=outbox.append)
        first.media.on_hold = self._held
        self._options = options
        self.started_at = wall_clock()
        self._owner = owner
        self._joinable_until = now + JOIN_SECONDS
        self._outbox = outbox
        self._events = EventSeries(
            stream,
            options.call or first.request.call_id,
            wall_clock=wall_clock,
            tell=self._tell,
            quiet_texts=options.suppress_log,
        )
        self._bot = BotSide(options, self.emit)
        self.commands = StreamCommands(
            stream, options, call=self, bot=self._bot, emit=self.emit, say=outbox.append, bot_hosts=bot_hosts
        )
        self._requests = BotRequests(
            self, lambda kind, data: outbox.append(SendText(stream, message_to_bot(kind, data)))
        )
        self._teller = BotTeller(stream, options.events, self._bot, say=outbox.append)
        self.stats = StatsRequests(stream, say=outbox.append)
        self._stream_over = False
        self._goodbye = (1000, "")  # to the bot: code and reason (RFC 6455, section 7.4.1)
        self._closing = False  # we have hung up, or they have, and the stream is to end

    @property
    def call_name(self) -> str:
        """What events call its call by."""
        return self._events.call

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of either side."""
        return self.legs.are_over and self._stream_over

    @property
    def is_ending(self) -> bool:
        """Whether it is too late to ask anything of it."""
        return self._closing or self.legs.are_over

    @property
    def state(self) -> str:
        """How far it is: starting, up, ending."""
        return "ending" if self.is_ending else "up" if self.legs.leading.is_confirmed else "starting"

    @property
    def joinable(self) -> Joinable:
        """What decides whether another leg may join."""
        return Joinable(self._owner, self._options, self._joinable_until, frozenset(self.legs.tracks))

    def start(self, warnings: list[str], *, now: float) -> None:
        """Let the worker open the stream; `warnings` are about its options."""
        self.emit(Started.of(self.snapshot(), warnings))
        first = self.legs.first
        self._outbox.append(OpenStream(self.stream, first.media.leg, self._options, first.port))
        self.legs.start(now=now)

    def join(self, leg: StreamLeg, warnings: list[str]) -> None:
        """Let another call carry a voice of the stream."""
        request = leg.request
        self.emit(JoinedLeg(leg.track.value, request.call_id, str(request.from_.uri), str(request.to.uri), warnings))
        self.legs.add(leg)

    def give_up(self, why: str, *, now: float) -> None:
        """End the calls because their bot cannot be had: 503 before the answer, so that a dialplan can go on."""
        self._end(503, Cause.NORMAL_TEMPORARY_FAILURE, why, now=now)

    def stop(self, why: str, *, now: float) -> None:
        """End the calls because the sidecar goes away, and tell the bot so."""
        self._goodbye = 1001, why
        self.give_up(why, now=now)

    def end(self, cause: int, why: str, *, now: float) -> None:
        """Hang up, or refuse the calls if they are not answered yet."""
        self._end(refusal_status(cause), cause, why, now=now)

    def answer(self, *, now: float) -> None:
        """Answer the calls, unless they are answered."""
        self.legs.answer(now=now)

    def transfer(self, to: str, *, now: float) -> None:
        """See `StreamLeg.transfer`; events `transfer` say how that goes."""
        self.legs.leading.transfer(to, now=now)

    def send_digits(self, digits: str, *, duration_ms: int, now: float) -> None:
        """See `StreamLeg.send_digits`."""
        self.legs.leading.send_digits(digits, duration_ms=duration_ms, now=now)

    def emit(self, body: EventBody) -> None:
        """Tell the outside."""
        self._events.emit(body)

    def _tell(self, event: StreamEvent) -> None:
        self._outbox.append(event)
        leg = self.legs.leading
        if leg.is_told_by_info and not self._closing:
            leg.infos.tell(event)

    def snapshot(self) -> StreamSnapshot:
        """Return how it is now."""
        options, leg = self.commands.options, self.legs.leading
        return StreamSnapshot(
            id=self.stream,
            call=self._events.call,
            call_id=leg.request.call_id,
            state=self.state,
            bot=self._bot.state.value,
            paused=self.commands.paused,
            from_=str(leg.request.from_.uri),
            to=str(leg.request.to.uri),
            url=public_url(options.url),
            mix=options.mix.value,
            rate=options.rate,
            sample_rate=options.playback_rate,
            buffer_size=options.buffer_size,
            codec=None if leg.media.leg is None else leg.media.leg.codec,
            started_at=self.started_at,
            events=self._events.length,
        )

    def send_infos(self, *, now: float) -> None:
        """Send what waits to be told by INFO, when it is time."""
        if not self._closing:
            self.legs.send_infos(now=now)

    # --- what the callers' side does

    def confirmed(self, leg: StreamLeg, body: bytes, *, now: float) -> None:
        """The ACK came, with the answer if the offer was in our 200."""
        leg.is_confirmed = True
        if leg is self.legs.first:
            self._teller.tell(EventKind.CALL, CallAnswered())
        if not leg.media.is_settled:
            self.offer_answered(leg, body, now=now)

    def offer_answered(self, leg: StreamLeg, answer: bytes, *, now: float) -> None:
        """The answer to our offer came; without one that we can follow, there is no call."""
        try:
            leg.media.offer_answered(answer, now=now)
        except SipError as error:
            self._end_leg(leg, 488, Cause.INCOMPATIBLE_DESTINATION, str(error), now=now)

    def receive_digit(self, leg: StreamLeg, digit: str, duration_ms: int, source: str = "info") -> None:
        """A digit came."""
        pressed = DigitPressed(digit, duration_ms, source, leg.track.value)
        self.emit(pressed)
        self._teller.tell(EventKind.DTMF, pressed)

    def _held(self, is_held: bool) -> None:
        self._teller.tell(EventKind.CALL, CallHeld() if is_held else CallUnheld())

    def transfer_progressed(self, leg: StreamLeg, status: int, *, is_final: bool, now: float) -> None:
        """The other side says how our REFER goes; whoever has been transferred does not need us any more."""
        self.emit(Transferring(status, is_final))
        self._teller.tell(EventKind.CALL, CallTransferring(status, is_final))
        self._requests.transfer_progressed(status, is_final=is_final)
        if is_final and 200 <= status < 300:
            self._end_leg(leg, 480, Cause.NORMAL_CLEARING, "transferred", now=now)

    def call_ended(self, leg: StreamLeg, cause: EndCause) -> None:
        """A call is over, whoever ended it: so is the stream, unless another call is left."""
        leg.is_over = True
        if self.legs.live and not self._closing:
            self._leave(leg)
            return
        self.commands.bot_gone()
        self._bot.call_ended(cause.name.lower(), code=self._goodbye[0])
        self._close_stream()

    # --- what the worker says

    def receive_message(self, message: StreamMessage, *, now: float) -> None:
        """Take a message of the worker; once the calls are over, there is news of the stream's end alone."""
        if self.legs.are_over and not isinstance(message, StreamEnded | StreamRefused | LegLeft):
            return
        match message:
            case BotConnected():
                self._bot_there(message)
                if self._options.answer is AnswerMode.CONNECTED:
                    self.answer(now=now)
            case BotLost() | BotStalled():
                self._bot.receive_message(message)
            case BotResumed():
                self._bot_there(message)
            case BotFailed():
                self._bot_failed(message, now=now)
            case BotClosed(_, code, reason):
                self._bot.receive_message(message)
                self.commands.bot_gone()
                if not self.legs.is_answered:
                    self.give_up(f"the bot closed before the call was answered: {code} {reason}", now=now)
            case PlaybackDrained():
                self._drained(now=now)
            case BotSpoke():
                pass  # for traces alone
            case BotText(_, text):
                self.emit(BotSaid(text))
            case TextUnsent(_, text):
                self.commands.text_unsent(text)
            case StreamTold():
                self.emit(body_told(message))
            case StatsTold(_, stats):
                self.stats.told(stats)
            case StreamEnded(_, stats):
                self._stream_over = True
                self._stop(stats)
            case StreamRefused(name, reason) if name == self.stream:
                self._stream_over = True
                self.emit(failure(ErrorCode.IO, reason))
                self._stop(None)
                self.give_up(reason, now=now)
            case AnswerAsked() | HangupAsked() | TransferAsked() | DigitsAsked():
                self._asked(message, now=now)
            case _:
                self._receive_of_leg(message, now=now)

    def _receive_of_leg(self, message: LegMessage, *, now: float) -> None:
        leg = self.legs.named(message.stream)
        match message:
            case LegJoined():
                self.legs.joined(leg, now=now)
            case LegLeft(_, stats):
                self.emit(LeftLeg(leg.track.value, stats))
            case LegChanged():
                leg.media.leg_changed(now=now)
            case LegRefused(_, reason):
                if not leg.media.leg_refused(reason, now=now):
                    self._end_leg(leg, 503, Cause.NORMAL_TEMPORARY_FAILURE, reason, now=now)
            case DigitHeard(_, digit, duration_ms, source):
                self.receive_digit(leg, digit, duration_ms, source)
            case NothingHeard():
                self.emit(failure(ErrorCode.TIMEOUT, str(message)))
            case MediaLost():
                self.emit(failure(ErrorCode.TIMEOUT, str(message)))
                self._end_leg(leg, 480, Cause.RECOVERY_ON_TIMER_EXPIRE, str(message), now=now)
            case _:
                self.emit(failure(ErrorCode.IO, f"the {leg.track.value}'s leg: {message.reason}"))
                leg.end(503, Cause.NORMAL_TEMPORARY_FAILURE, message.reason, now=now)

    def _bot_there(self, message: BotConnected | BotResumed) -> None:
        self._bot.receive_message(message)
        first = self.legs.first
        self._teller.introduce(self.snapshot(), is_answered=first.is_confirmed, is_held=first.media.is_held)
        self.commands.send_waiting()

    def worker_lost(self, why: str, *, now: float) -> None:
        """The worker is gone, and the stream with it."""
        if not self._stream_over:  # else its end is told, and only its calls are left
            self._stream_over = True
            if not self.legs.are_over:
                self._bot.receive_message(BotFailed(self.stream, ErrorCode.IO, why))
            self._stop(None)
        self.give_up(why, now=now)

    def _stop(self, stats: StreamStats | None) -> None:
        self.emit(Stopped(stats))
        self.stats.end(stats)

    def _bot_failed(self, failed: BotFailed, *, now: float) -> None:
        was_connected = self._bot.was_connected
        self._bot.receive_message(failed)
        self.commands.bot_gone()
        if self.legs.is_answered and self._bot.may_be_missed:
            return
        if failed.forbidden and not self.legs.is_answered:
            self._end(403, Cause.CALL_REJECTED, failed.error, now=now)
        else:
            self.give_up(f"bot {'lost' if was_connected else 'unreachable'}: {failed.error}", now=now)

    def _drained(self, *, now: float) -> None:
        """End the calls if that is what the bot wanted, or if it has closed and they are not to outlive it."""
        if not self._requests.drained(now=now) and self._bot.state is BotState.GONE and not self._bot.may_be_missed:
            self.end(*cause_of_close(*self._bot.end), now=now)

    def _asked(self, request: BotRequest, *, now: float) -> None:
        if (error := self._requests.obey(request, now=now)) is not None:
            self.emit(failure(ErrorCode.NOT_SUPPORTED, error))

    # --- the end

    def _end_leg(self, leg: StreamLeg, status: int, cause: int, why: str, *, now: float) -> None:
        """End one call, and the stream if there is no other."""
        leg.end(status, cause, why, now=now)
        if self.legs.live:
            self._leave(leg)
        else:
            self._close_stream()

    def _end(self, status: int, cause: int, why: str, *, now: float) -> None:
        """Hang up; refuse with `status` what is not answered yet."""
        self.legs.end(status, cause, why, now=now)
        self._close_stream()

    def _leave(self, leg: StreamLeg) -> None:
        """Let the stream go on without a leg; of one that has joined the worker will tell."""
        if leg is self.legs.first and not leg.has_left:
            self.emit(LeftLeg(leg.track.value, None))
        self.legs.leave(leg)

    def _close_stream(self) -> None:
        if not self._closing and not self._stream_over:
            self._outbox.append(CloseStream(self.stream, *self._goodbye))
        self._closing = True
