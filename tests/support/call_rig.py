"""A caller and call control in virtual time, on a network that may lose things; the test plays the media worker."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from random import Random

from rtp import PortAllocator
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.call_control import CallControl
from sidecar.core.events import StreamEvent
from sidecar.core.freeswitch.tickets import Tickets
from sidecar.core.link import FromWorker, OpenStream, StatsTold, StreamEnded, StreamStats, ToWorker, WorkerReady
from sidecar.core.media_policy import MediaPolicy
from sidecar.core.options import Profile
from sip import (
    Address,
    AuthenticationFailed,
    CallRef,
    Codec,
    Credentials,
    Event,
    MediaCapabilities,
    Origin,
    SipUri,
    UserAgent,
    make_offer,
)
from tests.support.simulation import Link, Simulation

CALLER = ("127.0.0.1", 5060)
SIDECAR = ("127.0.0.1", 5070)
BOT = "ws://bot.example/"
WALL_CLOCK = 1_800_000_000.0
"""When the time of the test begins, in seconds since 1970."""


class CallRig:
    """One caller, one `CallControl`."""

    def __init__(
        self,
        *,
        seed: int = 0,
        loss: float = 0.0,
        profiles: Mapping[str, Profile] | None = None,
        default_profile: Profile | None = None,
        bot_hosts: BotHosts | None = None,
        ready: bool = True,
        ports: PortAllocator | None = None,
        tickets: Tickets | None = None,
        late_ms: float = 0.0,
        credentials: Credentials | None = None,
    ) -> None:
        self.simulation = Simulation(seed=seed)
        self.caller = UserAgent(contact=CALLER, random=Random(seed))
        self.agent = UserAgent(contact=SIDECAR, random=Random(seed + 1), credentials=credentials)
        self.control = CallControl(
            self.agent,
            random=Random(seed + 2),
            media_address=lambda _: "127.0.0.1",
            profiles=profiles or {},
            default_profile=default_profile or Profile(),
            bot_hosts=bot_hosts or BotHosts(),
            allow=[ip_network("127.0.0.0/8")],
            media=MediaPolicy(),
            wall_clock=lambda: WALL_CLOCK + self.simulation.now,
            ports=ports,
            tickets=tickets,
            late_ms=late_ms,
        )
        self.heard: list[Event] = []  # what the caller's side reports
        self.told: list[ToWorker] = []  # what the worker was told
        self.events: list[StreamEvent] = []
        self.answers: list[StatsTold] = []
        self.strangers: list[AuthenticationFailed] = []
        self._to_sidecar = Link(self.simulation, self._at_sidecar, jitter=0.01, loss=loss)
        self._to_caller = Link(self.simulation, self._at_caller, jitter=0.01, loss=loss)
        if ready:
            self.worker_says(WorkerReady(40000))

    def call(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        user: str = "any",
        codecs: tuple[Codec, ...] = (Codec("PCMU", 8000),),
        media_address: str = "127.0.0.1",
        body: bytes | None = None,
    ) -> CallRef:
        """Place a call, and let a second pass."""
        capabilities = MediaCapabilities(media_address, 30000, codecs, telephone_event=False)
        offer = make_offer(capabilities, origin=Origin(1, 1, media_address))
        call = self.caller.invite(
            SipUri("127.0.0.1", 5070, user),
            destination=SIDECAR,
            from_uri=SipUri("127.0.0.1", user="caller"),
            body=bytes(offer) if body is None else body,
            headers=list((headers or {}).items()),
            now=self.simulation.now,
        )
        self.run(1.0)
        return call

    def worker_says(self, message: FromWorker, *, worker: int = 0) -> None:
        """Give control a message of a worker, and let half a second pass."""
        self.control.receive_message(message, worker=worker, now=self.simulation.now)
        self.run(0.5)

    def end_stream(self) -> None:
        """Be a worker that closes the stream it was told to close."""
        self.worker_says(StreamEnded(self.stream, StreamStats()))

    @property
    def stream(self) -> str:
        """The name of the stream that was opened last."""
        return next(message.stream for message in reversed(self.told) if isinstance(message, OpenStream))

    def event_kinds(self) -> list[str]:
        """The kinds of the events so far."""
        return [event.kind for event in self.events]

    def hang_up(self, call: CallRef) -> None:
        """Let the caller hang up, and a second pass."""
        self.caller.hang_up(call, now=self.simulation.now)
        self.run(1.0)

    def from_elsewhere(self, data: bytes, address: Address) -> None:
        """Let a datagram come from another address."""
        self.control.receive_datagram(data, address, now=self.simulation.now)
        self.run(0.5)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._drain_caller()
        self._drain_sidecar()
        self.simulation.run(until=self.simulation.now + seconds)

    def _at_sidecar(self, data: bytes) -> None:
        self.control.receive_datagram(data, CALLER, now=self.simulation.now)
        self._drain_sidecar()

    def _at_caller(self, data: bytes) -> None:
        self.caller.receive_datagram(data, SIDECAR, now=self.simulation.now)
        self._drain_caller()

    def _drain_sidecar(self) -> None:
        for data, _ in self.control.datagrams_to_send():
            self._to_caller.send(data)
        while (event := self.control.next_event()) is not None:
            if isinstance(event, StreamEvent):
                self.events.append(event)
            elif isinstance(event, StatsTold):
                self.answers.append(event)
            elif isinstance(event, AuthenticationFailed):
                self.strangers.append(event)
            else:
                self.told.append(event)
        at = self.control.next_timeout()
        if at is not None:
            self.simulation.call_at(max(at, self.simulation.now), self._sidecar_timeout)

    def _sidecar_timeout(self) -> None:
        at = self.control.next_timeout()
        if at is not None and at <= self.simulation.now:
            self.control.handle_timeout(now=self.simulation.now)
            self._drain_sidecar()

    def _drain_caller(self) -> None:
        for data, _ in self.caller.datagrams_to_send():
            self._to_sidecar.send(data)
        while (event := self.caller.next_event()) is not None:
            self.heard.append(event)
        at = self.caller.next_timeout()
        if at is not None:
            self.simulation.call_at(max(at, self.simulation.now), self._caller_timeout)

    def _caller_timeout(self) -> None:
        at = self.caller.next_timeout()
        if at is not None and at <= self.simulation.now:
            self.caller.handle_timeout(now=self.simulation.now)
            self._drain_caller()
