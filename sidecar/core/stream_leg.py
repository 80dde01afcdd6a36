"""One SIP call of a stream: how far it has come, and what it is told."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.core.call_media import CallMedia
from sidecar.core.cause import RETRY_AFTER, reason_headers
from sidecar.core.digits import check_digits
from sidecar.core.errors import CommandError, InvalidCommand, Overfull
from sidecar.core.info_queue import DTMF_RELAY, InfoQueue, digit_body
from sidecar.core.link import SendDigits, ToWorker
from sidecar.core.media_negotiation import MediaNegotiation
from sidecar.core.options import Track
from sip import CallReceived, SipError, SipUri, UserAgent


class StreamLeg:
    """A call that carries a voice of a stream, most often its only one."""

    def __init__(
        self,
        name: str,
        track: Track,
        received: CallReceived,
        negotiation: MediaNegotiation,
        *,
        agent: UserAgent,
        say: Callable[[ToWorker], None],
        now: float,
        port: int | None = None,
        tells_by_info: bool = True,
    ) -> None:
        """`name` is what the worker knows it by; `port` is that of its media, if it has one of its own.

        `tells_by_info`: a FreeSWITCH hears of the events in the call itself.
        """
        self.name = name
        self.track = track
        self.port = port
        self.call = received.call
        self.request = received.request
        self.media = CallMedia(name, received, negotiation, agent=agent, say=say)
        self.received_at = now
        self.answered_at: float | None = None
        self.is_joined = False  # the worker has it
        self.is_confirmed = False  # by an ACK
        self.is_ended = False  # by us
        self.has_left = False  # the stream, which goes on
        self.is_over = False
        self.infos = InfoQueue()
        takes_info = "send_info" in (received.request.headers.get("X-FS-Support") or "")  # a FreeSWITCH
        self.is_told_by_info = tells_by_info and takes_info
        self._agent = agent
        self._say = say

    @property
    def is_answered(self) -> bool:
        """Whether it has been answered."""
        return self.answered_at is not None

    @property
    def is_live(self) -> bool:
        """Whether it has not begun to end."""
        return not (self.is_ended or self.is_over)

    def answer(self, *, now: float) -> None:
        """Answer the call, unless it is answered."""
        if not self.is_answered:
            self.answered_at = now
            self.media.answer(now=now)

    def end(self, status: int, cause: int, why: str, *, now: float) -> None:
        """Hang up; or refuse the call with `status`, if it is not answered yet."""
        headers = reason_headers(cause, why)
        if self.is_answered:
            self._agent.hang_up(self.call, headers=headers, now=now)
        else:
            retry = RETRY_AFTER if status == 503 else ()
            self._agent.respond(self.call, status, headers=[*headers, *retry], now=now)
        self.is_ended = True

    def transfer(self, to: str, *, now: float) -> None:
        """Ask the other side to call the SIP URI `to` instead (RFC 3515); raise `CommandError` if that cannot be."""
        try:
            target = SipUri.parse(to)
        except SipError as error:
            raise InvalidCommand(str(error), field="to") from None
        if not self.is_confirmed:
            raise CommandError("the call is not answered yet")
        self._agent.transfer(self.call, str(target), now=now)

    def send_digits(self, digits: str, *, duration_ms: int, now: float) -> None:
        """Let digits be heard, in RTP if it can be, else by INFO; raise `CommandError` if that cannot be."""
        check_digits(digits, duration_ms)
        if not self.is_confirmed:
            raise CommandError("the call is not answered yet")
        leg = self.media.leg
        if leg is not None and leg.send_telephone_event_payload_type is not None:
            self._say(SendDigits(self.name, digits, duration_ms))
        elif self.infos.add(DTMF_RELAY, [digit_body(digit, duration_ms) for digit in digits]):
            self.send_infos(now=now)
        else:
            raise Overfull("too many digits wait to be sent")

    def send_infos(self, *, now: float) -> None:
        """Send what waits to be told by INFO, when it is time."""
        if self.is_confirmed and self.is_live and (info := self.infos.take()) is not None:
            self._agent.send_info(self.call, *info, now=now)
