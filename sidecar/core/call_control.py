"""Call control: what SIP and the media worker report becomes what each of them does next.

Sans-IO, like the cores it stands on: datagrams, messages and the time go in; datagrams, messages and events come out.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from random import Random

from rtp import PortAllocator
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.call_facts import facts_of
from sidecar.core.call_figures import CallFigures
from sidecar.core.cause import Cause, reason_headers
from sidecar.core.commands import Command
from sidecar.core.errors import CommandError, NoSuchStream
from sidecar.core.event_series import EventSeries
from sidecar.core.events import Failure, StreamEvent
from sidecar.core.freeswitch.tickets import Tickets
from sidecar.core.intake import Asked, Intake
from sidecar.core.joining import Owner, check_join
from sidecar.core.link import (
    FromWorker,
    LegRefused,
    StatsTold,
    StreamRefused,
    ToWorker,
    WorkerLoad,
    WorkerReady,
)
from sidecar.core.media_policy import MediaPolicy
from sidecar.core.new_legs import NewLegs
from sidecar.core.options import OptionError, Profile, Track
from sidecar.core.stream_session import Outbox, StreamSession
from sidecar.core.stream_snapshot import StreamSnapshot
from sidecar.core.worker_counts import WorkerCounted
from sidecar.core.workers import Readiness, Workers
from sip import (
    Address,
    AuthenticationFailed,
    CallConfirmed,
    CallEnded,
    CallReceived,
    CallRef,
    DigitReceived,
    Event,
    InfoAnswered,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
    OfferWithdrawn,
    SipError,
    StreamAddress,
    TransferProgress,
    UserAgent,
)
from sip.admission import Bucket


class CallControl:
    """Takes calls, and gives each a stream. No call is taken before a worker is ready."""

    def __init__(
        self,
        agent: UserAgent,
        *,
        random: Random,
        media_address: Callable[[str], str],  # ours, as the host of a peer reaches it
        profiles: Mapping[str, Profile],
        default_profile: Profile,
        bot_hosts: BotHosts,
        allow: Sequence[IPv4Network | IPv6Network],
        media: MediaPolicy,
        wall_clock: Callable[[], float],
        ports: PortAllocator | None = None,
        tickets: Tickets | None = None,
        tells_by_info: bool = True,
        late_ms: float = 0.0,
    ) -> None:
        """`media_address` says where a host sends its media to: the address that it finds in our SDP.

        `wall_clock` counts seconds since 1970, for events; `ports` are those that calls get, if each has its own.
        Who is late by more than `late_ms` gets no calls. `tickets` are those of the legs that we have asked for.
        `tells_by_info`: a FreeSWITCH hears of the events of its calls in the calls themselves.
        """
        self.intake = Intake(
            agent,
            profiles=profiles,
            default_profile=default_profile,
            bot_hosts=bot_hosts,
            tickets=tickets,
            own_host=media_address,
        )
        self._agent = agent
        self._random = random
        self._bot_hosts = bot_hosts
        self._allow = allow
        self._wall_clock = wall_clock
        self.workers = Workers(late_ms=late_ms)
        self.figures = CallFigures()
        self._sessions: dict[str, StreamSession] = {}
        self._legs: dict[str, StreamSession] = {}  # by the names of legs that have joined one
        self._by_call: dict[CallRef, StreamSession] = {}
        self._outbox: Outbox = deque()
        self._new_legs = NewLegs(
            agent,
            random=random,
            media_address=media_address,
            media=media,
            ports=ports,
            tells_by_info=tells_by_info,
            say=self._outbox.append,
        )
        self._draining = False
        self._open_or_close()
        self._told_failures = Bucket(1.0, 10)  # of authentication; more are counted alone
        self.dropped_sources = 0  # datagrams from addresses that are not allowed
        self.last_dropped_source = ""
        self.ignored_infos = 0  # INFOs that hold no digit

    @property
    def calls(self) -> int:
        """How many calls are up or on their way."""
        return len(self._sessions)

    def allows(self, host: str) -> bool:
        """Whether a host, an IP address, may send SIP at all."""
        return any(ip_address(host) in network for network in self._allow)

    # --- the verbs of a core, and that of the link

    def receive_datagram(self, data: bytes, addr: Address, *, now: float) -> None:
        """Take a SIP message; who is not allowed gets no answer at all."""
        if not self.allows(addr[0]):
            self.dropped_sources += 1
            self.last_dropped_source = addr[0]
            return
        self._agent.receive_datagram(data, addr, now=now)
        self._handle_sip_events(now=now)

    def connection_lost(self, address: StreamAddress, *, now: float) -> None:
        """Take note that a connection of SIP is closed, or could not be opened."""
        self._agent.connection_lost(address, now=now)
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

    def next_event(self) -> StreamEvent | StatsTold | ToWorker | AuthenticationFailed | None:
        """Return the next thing that the outside should know or has asked for, or the next message to the worker."""
        event = self._outbox.popleft() if self._outbox else None
        if isinstance(event, StreamEvent) and isinstance(event.body, Failure):
            self.figures.errors[event.body.message.code] += 1
        return event

    def receive_message(self, message: FromWorker, *, worker: int = 0, now: float) -> None:
        """Take a message of a worker."""
        if isinstance(message, WorkerReady):
            self.workers.ready(worker, message.port)
            self._open_or_close()
            return
        if isinstance(message, WorkerLoad):
            self.workers.loaded(worker, message, now=now)
            self._open_or_close()
            return
        if isinstance(message, WorkerCounted):
            self.workers.totals.add(worker, message)
            return
        session = self._sessions.get(message.stream) or self._legs.get(message.stream)
        if session is not None:  # else it is no news any more
            self.figures.legs_refused += isinstance(message, StreamRefused | LegRefused)
            session.receive_message(message, now=now)
            session.send_infos(now=now)
            self._handle_sip_events(now=now)
            self._forget_if_over(session, now=now)

    def worker_lost(self, worker: int, why: str, *, now: float) -> None:
        """A worker is no more: its calls end, the others hear nothing of it."""
        streams = self.workers.lost(worker)
        self._open_or_close()
        for session in [self._sessions[stream] for stream in streams if stream in self._sessions]:
            session.worker_lost(why, now=now)
            self._forget_if_over(session, now=now)
        self._handle_sip_events(now=now)

    # --- what the outside may ask for

    def readiness(self) -> Readiness:
        """Tell whether a new call would be taken, and why not."""
        return Readiness(
            why_not=self._agent.unavailable or ("Too many calls" if self._agent.is_full else None),
            draining=self._draining,
            calls=self._agent.calls,
            max_calls=self._agent.max_calls,
            late_ms=self.workers.late_ms,
            workers=self.workers.readings(),
        )

    def drain(self) -> None:
        """Take no new calls; let those that are up end by themselves."""
        self._draining = True
        self._open_or_close()

    def _open_or_close(self) -> None:
        self._agent.unavailable = "Draining" if self._draining else self.workers.why_not

    def streams(self) -> list[StreamSnapshot]:
        """Return how all streams are, the oldest first."""
        return [session.snapshot() for session in self._sessions.values()]

    def page(self, *, after: str, most: int, call: str | None) -> list[StreamSnapshot]:
        """Return how the streams are whose ids come after `after`, in that order, at most so many.

        Those of `call` alone, if that is given. Who goes on after the last id sees each stream that stays once.
        """
        named = (stream for stream, session in self._sessions.items() if call is None or session.call_name == call)
        return [self._sessions[stream].snapshot() for stream in sorted(each for each in named if each > after)[:most]]

    def stream(self, stream: str) -> StreamSnapshot:
        """Return how a stream is; raise `NoSuchStream` if there is none."""
        return self._session(stream).snapshot()

    def obey(self, stream: str, command: Command, *, now: float) -> list[str]:
        """Do what is asked of a stream, and return warnings; raise `CommandError` if that cannot be."""
        session = self._session(stream)
        if session.is_ending:
            raise CommandError("the stream is ending")
        warnings = session.commands.obey(command, now=now)
        self._handle_sip_events(now=now)
        return warnings

    def ask_stats(self, stream: str) -> None:
        """Let `next_event` give, as `StatsTold`, what has passed through a stream; raise `CommandError` if it cannot.

        Each time it is asked, it is answered once, be it when the stream is over.
        """
        self._session(stream).stats.ask()

    def has(self, stream: str) -> bool:
        """Whether there is such a stream."""
        return stream in self._sessions

    def _session(self, stream: str) -> StreamSession:
        session = self._sessions.get(stream)
        if session is None:
            raise NoSuchStream("there is no such stream")
        return session

    def states(self) -> Counter[str]:
        """Return how many streams are starting, up and ending."""
        return Counter(session.state for session in self._sessions.values())

    @property
    def infos_refused(self) -> int:
        """How many INFOs to callers were too many, or too long."""
        live = sum(leg.infos.refused for session in self._sessions.values() for leg in session.legs)
        return self.figures.infos_refused + live

    @property
    def ports_refused(self) -> int:
        """How many calls found no port that was free."""
        return self._new_legs.ports_refused

    def hang_up_all(self, *, now: float) -> None:
        """End every call, and take no new ones: the sidecar stops."""
        self.drain()
        for session in list(self._sessions.values()):
            session.stop("the sidecar stops", now=now)
        self._handle_sip_events(now=now)

    # --- calls

    def _handle_sip_events(self, *, now: float) -> None:
        while (event := self._agent.next_event()) is not None:
            if isinstance(event, CallReceived):
                asked = self.intake.read(event, now=now)
                try:
                    self._take_call(event, asked, now=now)
                except (OptionError, SipError) as error:
                    self.figures.refused[error.sip_status] += 1
                    self._refuse_call(event, asked, error, now=now)
                continue
            if isinstance(event, CallEnded):
                self.figures.ended[event.cause.name.lower()] += 1
            if (session := self._by_call.get(event.call)) is not None:
                self._handle_call_event(session, event, now=now)
                session.send_infos(now=now)
        while (failed := self._agent.next_failed_authentication()) is not None:
            if self._told_failures.take(now=now):
                self._outbox.append(failed)

    def _handle_call_event(self, session: StreamSession, event: Event, *, now: float) -> None:
        leg = session.legs.of(event.call)
        match event:
            case OfferReceived(call, request):
                try:
                    leg.media.receive_offer(request.body, now=now)
                except SipError as error:
                    headers = reason_headers(Cause.INCOMPATIBLE_DESTINATION, str(error))
                    self._agent.refuse_offer(call, error.sip_status, headers=headers, now=now)
            case OfferWithdrawn():
                leg.media.offer_withdrawn()
            case OfferAnswered(_, answer):
                session.offer_answered(leg, answer, now=now)
            case CallConfirmed(_, answer):
                assert leg.answered_at is not None
                self.figures.set_up.observe(leg.answered_at - leg.received_at)
                session.confirmed(leg, answer, now=now)
            case DigitReceived(_, digit, duration_ms):
                session.receive_digit(leg, digit, duration_ms)
            case InfoAnswered():
                leg.infos.answered()
            case InfoReceived():
                self.ignored_infos += 1
            case TransferProgress(_, status, is_final):
                session.transfer_progressed(leg, status, is_final=is_final, now=now)
            case _:
                assert isinstance(event, CallEnded), "we place no calls, and neither offer nor ask by ourselves"
                del self._by_call[event.call]
                session.call_ended(leg, event.cause)
                self._forget_if_over(session, now=now)

    def _take_call(self, event: CallReceived, asked: Asked, *, now: float) -> None:
        """Settle the options and the media of a call, and let a worker open its stream, or join one that is there."""
        if asked.has_bad_ticket:
            raise OptionError("ticket", "not one of ours, used before, or too old", sip_status=403)
        profile = self.intake.profile_of(event)
        owner = Owner(event.source[0], profile)
        joined = self._sessions.get(asked.given.get("id", "").strip())
        if joined is not None:
            self._join(joined, event, asked, owner, now=now)
            return
        options, warnings = self.intake.resolve(asked.given, profile, facts_of(event.request))
        stream = options.id or f"{self._random.getrandbits(64):016x}"
        if stream in self._sessions:
            raise OptionError("id", "there is such a stream already", sip_status=486)
        worker = self.workers.choose()
        assert worker is not None, "else the agent takes no calls"
        leg = self._new_legs.make(stream, options.track or Track.CALLER, event, self.workers.port(worker), now=now)
        session = StreamSession(
            stream,
            leg,
            options,
            owner=owner,
            outbox=self._outbox,
            bot_hosts=self._bot_hosts,
            wall_clock=self._wall_clock,
            now=now,
        )
        self.workers.place(stream, worker)
        self._sessions[stream] = self._by_call[event.call] = session
        session.start(warnings, now=now)

    def _refuse_call(self, event: CallReceived, asked: Asked, error: OptionError | SipError, *, now: float) -> None:
        """Refuse a call that cannot be taken as it is, and tell of it.

        Whose stream it was to be is told where we have asked for the call: others may name any.
        """
        told = self.intake.refuse(event, error, now=now)
        session = self._sessions.get(asked.stream)
        if session is not None and not session.is_ending:
            session.emit(told)
            return
        stream = "" if session is not None else asked.stream  # it has told of its end
        EventSeries(stream, asked.call, wall_clock=self._wall_clock, tell=self._outbox.append).emit(told)

    def _join(self, session: StreamSession, event: CallReceived, asked: Asked, owner: Owner, *, now: float) -> None:
        """Let a call be the other leg of a stream."""
        profiles = self.intake.profiles_of(owner.profile)
        track, warnings = check_join(session.joinable, asked.given, profiles, owner=owner, now=now)
        worker = self.workers.choose(beside=session.stream)
        if session.is_ending or worker is None:
            raise OptionError("id", "the stream is ending", sip_status=486)
        name = f"{session.stream} {track.value}"  # no stream has such an ID
        leg = self._new_legs.make(name, track, event, self.workers.port(worker), now=now)
        self.workers.place(name, worker)
        self._legs[name] = self._by_call[event.call] = session
        session.join(leg, warnings)

    def _forget_if_over(self, session: StreamSession, *, now: float) -> None:
        if session.is_over and self._sessions.pop(session.stream, None) is not None:
            for leg in session.legs:
                self.figures.infos_refused += leg.infos.refused
                self._legs.pop(leg.name, None)
                self.workers.forget(leg.name)
                self._new_legs.give_back(leg.port, now=now)
