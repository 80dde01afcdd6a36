"""Call control: what SIP and the media worker report becomes what each of them does next.

Sans-IO, like the cores it stands on: datagrams, messages and the time go in; datagrams, messages and events come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address
from random import Random
from typing import Any, assert_never

import msgspec

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_uri import parse_bot_uri
from sidecar.core.call_facts import facts_of
from sidecar.core.errors import ErrorCode
from sidecar.core.events import StreamEvent
from sidecar.core.link import (
    BotClosed,
    BotConnected,
    BotFailed,
    BotText,
    CloseStream,
    FromWorker,
    MediaLeg,
    OpenStream,
    PlaybackDrained,
    StartMedia,
    StreamEnded,
    StreamRefused,
    ToWorker,
    WorkerReady,
)
from sidecar.core.options import (
    AnswerMode,
    OptionError,
    Profile,
    StreamOptions,
    options_from_headers,
    resolve_options,
)
from sidecar.core.stream_session import BotState, StreamSession
from sip import (
    Address,
    CallEnded,
    CallReceived,
    CallRef,
    Codec,
    EndCause,
    Event,
    MediaCapabilities,
    Negotiated,
    NotAcceptable,
    OfferReceived,
    Origin,
    ReasonHeader,
    SessionDescription,
    SipError,
    SipUri,
    UserAgent,
    answer_offer,
)

CODECS = (Codec("PCMU", 8000), Codec("PCMA", 8000))

_NORMAL_CLEARING, _TEMPORARY_FAILURE, _INCOMPATIBLE = (
    16,
    41,
    88,
)  # Q.850 causes; FreeSWITCH makes its hang-up causes of them

_RETRY_AFTER_SECONDS = 5
_BROADCAST = ip_address("255.255.255.255")

Headers = Sequence[tuple[str, str]]


class _BotMessage(msgspec.Struct):
    """All that is read of a bot's message here."""

    type: str = ""


class CallControl:
    """Takes calls, gives each a stream, and ends the one when the other ends."""

    def __init__(
        self,
        agent: UserAgent,
        *,
        random: Random,
        media_address: str,
        profiles: Mapping[str, Profile],
        default_profile: Profile,
        bot_hosts: BotHosts,
        allow: Sequence[IPv4Network | IPv6Network],
    ) -> None:
        self._agent = agent
        self._random = random
        self._media_address = media_address
        self._profiles = profiles
        self._default_profile = default_profile
        self._bot_hosts = bot_hosts
        self._allow = allow
        self._media_port: int | None = None  # None: no worker is ready
        self._sessions: dict[str, StreamSession] = {}
        self._by_call: dict[CallRef, StreamSession] = {}
        self._events: deque[StreamEvent | ToWorker] = deque()
        self.dropped_sources = 0  # datagrams from addresses that are not allowed

    @property
    def calls(self) -> int:
        """How many calls are up or on their way."""
        return len(self._sessions)

    # --- the verbs of a core, and that of the link

    def receive_datagram(self, data: bytes, addr: Address, *, now: float) -> None:
        """Take a SIP message; who is not allowed gets no answer at all."""
        if not any(ip_address(addr[0]) in network for network in self._allow):
            self.dropped_sources += 1
            return
        self._agent.receive_datagram(data, addr, now=now)
        self._handle_sip_events(now=now)

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass."""
        self._agent.handle_timeout(now=now)
        self._handle_sip_events(now=now)

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` is to be called next."""
        return self._agent.next_timeout()

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return the SIP messages to send."""
        return self._agent.datagrams_to_send()

    def next_event(self) -> StreamEvent | ToWorker | None:
        """Return the next thing that the outside should know, or the next message to the worker."""
        return self._events.popleft() if self._events else None

    def receive_message(self, message: FromWorker, *, now: float) -> None:
        """Take a message of the worker."""
        if isinstance(message, WorkerReady):
            self._media_port = message.port
            return
        session = self._sessions.get(message.stream)
        if session is None or (session.call_over and not isinstance(message, StreamEnded | StreamRefused)):
            return  # no news any more
        match message:
            case BotConnected():
                self._bot_connected(session, now=now)
            case StreamRefused(_, reason):
                session.stream_over = True
                self._emit(session, "error", _error_body(ErrorCode.IO, reason))
                self._emit(session, "stop", {})
                self._give_up(session, reason, now=now)
                self._forget_if_over(session)
            case BotFailed(_, code, error):
                self._bot_failed(session, code, error, now=now)
            case BotClosed(_, code, reason):
                self._bot_gone(session, code, reason)
                if not session.answered:
                    self._give_up(session, f"the bot closed before the call was answered: {code} {reason}", now=now)
            case PlaybackDrained():
                self._hang_up(session, _NORMAL_CLEARING, "the bot has closed", now=now)
            case BotText(_, text):
                self._bot_said(session, text, now=now)
            case StreamEnded(_, stats):
                session.stream_over = True
                self._emit(session, "stop", msgspec.to_builtins(stats))
                self._forget_if_over(session)
            case _:
                assert_never(message)
        self._handle_sip_events(now=now)

    def hang_up_all(self, *, now: float) -> None:
        """End every call, and take no new ones: the sidecar stops."""
        self._agent.accepting = False
        for session in list(self._sessions.values()):
            self._give_up(session, "the sidecar stops", now=now)
        self._handle_sip_events(now=now)

    # --- calls

    def _handle_sip_events(self, *, now: float) -> None:
        while (event := self._agent.next_event()) is not None:
            self._handle_sip_event(event, now=now)

    def _handle_sip_event(self, event: Event, *, now: float) -> None:
        if isinstance(event, CallReceived):
            try:
                self._receive_call(event, now=now)
            except (OptionError, SipError) as error:
                self._reject(event, error, now=now)
        elif isinstance(event, OfferReceived):
            try:
                self._receive_offer(self._by_call[event.call], event.request.body, now=now)
            except SipError as error:
                headers = _reason(_INCOMPATIBLE, str(error))
                self._agent.refuse_offer(event.call, error.sip_status, headers=headers, now=now)
        elif isinstance(event, CallEnded):
            session = self._by_call.pop(event.call, None)
            if session is not None:
                self._call_ended(session, event.cause)

    def _receive_call(self, event: CallReceived, *, now: float) -> None:
        """Settle the options and the media of a call, and let the worker open its stream."""
        request = event.request
        if self._media_port is None:
            self._refuse(event.call, "no media worker", now=now)
            return
        user = SipUri.parse(request.uri).user or ""
        profiles = [self._profiles[user]] if user in self._profiles else []
        options, warnings = resolve_options(
            options_from_headers(request.headers),
            [*profiles, self._default_profile],
            facts=facts_of(request),
            hosts=self._bot_hosts,
        )
        host = parse_bot_uri(options.url).host
        if not self._bot_hosts.allows_host(host):
            raise OptionError("url", f"{host} is not an allowed bot host", sip_status=403)
        if not request.body:
            raise NotAcceptable("an INVITE without an offer is not supported yet")
        origin = Origin(self._random.getrandbits(62), 1, self._media_address)
        media = self._answer_to(request.body, origin)
        leg = _leg(media, event.source)
        if (leg.host, leg.port) == (self._media_address, self._media_port):
            raise NotAcceptable("the media address is our own")
        session = StreamSession(
            f"{self._random.getrandbits(64):016x}", event.call, request.call_id, options, media, origin, leg
        )
        self._sessions[session.stream] = self._by_call[event.call] = session
        self._emit(session, "start", _start_body(event, options, warnings))
        self._events.append(OpenStream(session.stream, leg, options))
        if options.answer is AnswerMode.IMMEDIATE:
            self._answer(session, now=now)
        elif options.answer is AnswerMode.EARLY:
            self._agent.respond(event.call, 183, body=bytes(media.description), now=now)
            self._start_media(session)

    def _answer_to(self, offer: bytes, origin: Origin) -> Negotiated:
        """Answer an offer with all we can do; raise `SipError` if nothing fits."""
        assert self._media_port is not None
        capabilities = MediaCapabilities(self._media_address, self._media_port, CODECS, telephone_event=False)
        return answer_offer(SessionDescription.parse(offer), capabilities=capabilities, origin=origin)

    def _receive_offer(self, session: StreamSession, offer: bytes, *, now: float) -> None:
        """Let the caller hold and resume (RFC 3264, section 8.4); another address or codec is refused, for now."""
        origin = replace(session.origin, version=session.origin.version + 1)
        media = self._answer_to(offer, origin)
        is_same = media.payload_type == session.media.payload_type and media.codec.matches(session.media.codec)
        to_same = (media.remote_address, media.remote_port) == (session.leg.host, session.leg.port)
        if not is_same or (media.direction.sends and not to_same):
            raise NotAcceptable("the codec and the address of a call cannot change yet")
        session.media, session.origin = media, origin
        self._agent.accept_offer(session.call, bytes(media.description), now=now)
        self._events.append(StartMedia(session.stream, media.direction.sends))

    def _reject(self, event: CallReceived, error: OptionError | SipError, *, now: float) -> None:
        """Refuse a call that cannot be taken as it is, and tell of it."""
        warning = ("Warning", f'399 {self._media_address} "{_quotable(str(error))}"')
        headers = [warning] if isinstance(error, OptionError) else [warning, *_reason(_INCOMPATIBLE, str(error))]
        self._agent.respond(event.call, error.sip_status, headers=headers, now=now)
        body = _error_body(ErrorCode.NOT_SUPPORTED, f"{error.sip_status}: {error}")
        self._events.append(StreamEvent("error", "", event.request.call_id, 1, body))

    def _call_ended(self, session: StreamSession, cause: EndCause) -> None:
        """The call is over, whoever ended it: end the stream."""
        session.call_over = True
        if session.bot is BotState.CONNECTED:
            self._bot_gone(session, 1000, cause.name.lower())
        self._close_stream(session)
        self._forget_if_over(session)

    def _answer(self, session: StreamSession, *, now: float) -> None:
        if not session.answered:
            session.answered = True
            self._agent.answer(session.call, bytes(session.media.description), now=now)
            self._start_media(session)

    def _start_media(self, session: StreamSession) -> None:
        if not session.media_started:
            session.media_started = True
            self._events.append(StartMedia(session.stream, session.media.direction.sends))

    def _give_up(self, session: StreamSession, why: str, *, now: float) -> None:
        """End the call because its bot cannot be had: 503 where it is not answered, so that a dialplan can go on."""
        if session.answered:
            self._hang_up(session, _TEMPORARY_FAILURE, why, now=now)
        else:
            self._refuse(session.call, why, now=now)
            self._close_stream(session)

    def _refuse(self, call: CallRef, why: str, *, now: float) -> None:
        headers = [*_reason(_TEMPORARY_FAILURE, why), ("Retry-After", str(_RETRY_AFTER_SECONDS))]
        self._agent.respond(call, 503, headers=headers, now=now)

    def _hang_up(self, session: StreamSession, cause: int, why: str, *, now: float) -> None:
        self._agent.hang_up(session.call, headers=_reason(cause, why), now=now)
        self._close_stream(session)

    def _close_stream(self, session: StreamSession) -> None:
        if not session.closing and not session.stream_over:
            session.closing = True
            self._events.append(CloseStream(session.stream))

    def _forget_if_over(self, session: StreamSession) -> None:
        if session.call_over and session.stream_over:
            self._sessions.pop(session.stream, None)

    # --- bots

    def _bot_connected(self, session: StreamSession, *, now: float) -> None:
        session.bot = BotState.CONNECTED
        self._emit(session, "connect", {"status": "connected"})
        if session.options.answer is AnswerMode.CONNECTED:
            self._answer(session, now=now)

    def _bot_failed(self, session: StreamSession, code: int, error: str, *, now: float) -> None:
        self._emit(session, "error", _error_body(code, error))
        if session.bot is BotState.CONNECTED:
            self._bot_gone(session, 1006, error)
            self._give_up(session, f"bot lost: {error}", now=now)
        else:
            session.bot = BotState.GONE
            self._give_up(session, f"bot unreachable: {error}", now=now)

    def _bot_gone(self, session: StreamSession, code: int, reason: str) -> None:
        session.bot = BotState.GONE
        body = {"status": "disconnected", "message": {"code": code, "reason": reason}}
        self._emit(session, "disconnect", body)

    def _bot_said(self, session: StreamSession, text: str, *, now: float) -> None:
        """A text message of the bot: `answer` is obeyed, and all are events."""
        try:
            kind = msgspec.json.decode(text, type=_BotMessage).type
        except msgspec.MsgspecError:
            kind = ""  # any text is legal: it is for whoever subscribes to the events
        if kind == "answer":
            self._answer(session, now=now)
        self._emit(session, "json", text)

    def _emit(self, session: StreamSession, kind: str, body: dict[str, Any] | str) -> None:
        session.events += 1
        quiet = kind == "json" and session.options.suppress_log
        self._events.append(StreamEvent(kind, session.stream, session.call_id, session.events, body, quiet))


def _leg(media: Negotiated, source: Address) -> MediaLeg:
    """Describe the telephone side to the worker; the media may also come from where the INVITE came from."""
    address = ip_address(media.remote_address)
    if address.version != 4:
        raise NotAcceptable("media on IPv6 is not supported yet")
    if media.direction.sends and (address.is_multicast or address.is_unspecified or address == _BROADCAST):
        raise NotAcceptable("the media address is not that of one peer")
    return MediaLeg(
        codec=media.codec.encoding.upper(),
        payload_type=media.receive_payload_type,
        send_payload_type=media.payload_type,
        host=media.remote_address,
        port=media.remote_port,
        sources=[source[0]] if source[0] != media.remote_address and ":" not in source[0] else [],
    )


def _error_body(code: int, error: str) -> dict[str, Any]:
    return {"status": "error", "message": {"code": code, "error": error}}


def _start_body(event: CallReceived, options: StreamOptions, warnings: list[str]) -> dict[str, Any]:
    return {
        "from": str(event.request.from_.uri),
        "to": str(event.request.to.uri),
        "mix": options.mix.value,
        "rate": options.rate,
        "warnings": warnings,
    }


def _reason(cause: int, text: str) -> Headers:
    """Make a Reason header; the text may hold what a bot has said."""
    return [("Reason", str(ReasonHeader("Q.850", cause, _quotable(text))))]


def _quotable(text: str) -> str:
    """Make a text of ours fit into a header: printable ASCII without quotes, of bounded length."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)[:200]
