"""A telephone for tests and demos: places one call over SIP and RTP, talks, and keeps what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, TypeVar

from rtp import FRAME_MS, Codec, Pcm
from sidecar.core.talker import Line, Recording, TalkEnded, Talker
from sidecar.io.agent_driver import AgentDriver
from sidecar.io.network import bound_socket, own_address
from sidecar.io.sip_driver import SipAgent, SipDriver
from sidecar.io.tls_files import client_context
from sip import (
    Address,
    CallAnswered,
    CallEnded,
    CallProgress,
    CallReceived,
    CallRef,
    EndCause,
    Event,
    MediaCapabilities,
    NotAcceptable,
    OfferReceived,
    Origin,
    Response,
    SdpError,
    SessionDescription,
    SipError,
    SipUri,
    StreamAddress,
    UserAgent,
    accept_answer,
    make_offer,
    parse_message,
)
from sip import Codec as SdpCodec
from sip.grammar import format_host_port

DEFAULT_SIP_PORT, DEFAULT_TLS_PORT = 5060, 5061

_GRACE = 2.0  # seconds: how much longer than planned a call may take, for a stalled machine
_GOODBYE = 1.0  # seconds: how long the other side has to answer our BYE or CANCEL

_D = TypeVar("_D", bound=asyncio.DatagramProtocol)


class HungUpBy(Enum):
    """Who ended the call."""

    CALLER = "caller"  # we
    CALLEE = "callee"


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A call to be placed."""

    target: SipUri
    signal: Pcm  # what is said: int16[n] at 8 kHz; silence follows
    seconds: float  # from the answer to our BYE
    headers: Sequence[tuple[str, str]] = ()  # of the INVITE
    codec: Codec = Codec.PCMU
    setup_timeout: float = 10.0  # seconds from the INVITE to its answer
    user: str = "caller"  # of our own address
    tls_ca: Path | None = None  # who must have signed the other side's certificate; None: one the system trusts

    @property
    def transport(self) -> str:
        """UDP, TCP or TLS, as the target says."""
        if self.target.scheme == "sips":
            return "TLS"
        return (self.target.parameters.get("transport") or "udp").upper()


@dataclass(frozen=True, slots=True)
class CallResult:
    """What became of a call."""

    status: int  # of the final response; 408 and 503 also where none came (RFC 3261, 8.1.3.1)
    reason: str
    hung_up_by: HungUpBy | None = None  # None: it was never answered
    setup_seconds: float | None = None  # from the INVITE to its answer
    recording: Recording = field(default_factory=Recording)
    stopped: bool = False  # we were told to stop before the end

    @property
    def answered(self) -> bool:
        """Whether there was a call at all."""
        return self.hung_up_by is not None


_STOPPED_EARLY = CallResult(487, "stopped before there was an answer", stopped=True)


@dataclass(frozen=True, slots=True)
class CallState:
    """How a call goes, while it does."""

    phase: str  # calling; ringing or the like, as the other side says it; talking
    frames_sent: int = 0
    frames_heard: int = 0


async def place_call(
    plan: CallPlan,
    *,
    random: Random | None = None,
    on_state: Callable[[CallState], None] = lambda _state: None,
    stopped: asyncio.Event | None = None,
) -> CallResult:
    """Place a call, talk, and hang up, unless the other side does; once `stopped` is set, hang up at once.

    `on_state` is told whenever something changes, and with every frame that is sent.
    Raise OSError if this machine gives us no socket.
    """
    loop = asyncio.get_running_loop()
    stopped = stopped or asyncio.Event()
    target = plan.target
    try:
        port = target.port or (DEFAULT_TLS_PORT if plan.transport == "TLS" else DEFAULT_SIP_PORT)
        found = await loop.getaddrinfo(target.host, port, type=socket.SOCK_DGRAM)
        found.sort(key=lambda each: each[0] is socket.AF_INET6)  # a name of both families is called by IPv4
        peer = str(found[0][4][0])
    except OSError as error:
        return CallResult(503, f"{target.host}: {error.strerror or error}")
    if stopped.is_set():  # looking up a name may take long
        return _STOPPED_EARLY
    destination: Address = (
        (peer, port) if plan.transport == "UDP" else StreamAddress(peer, port, transport=plan.transport)
    )
    sip_host = own_address("::" if ":" in peer else "0.0.0.0", peer=peer)  # noqa: S104  only asked about
    rtp_host = own_address("0.0.0.0", peer=peer)  # noqa: S104
    with bound_socket(sip_host, 0) as sip_socket, bound_socket(rtp_host, 0) as rtp_socket:
        caller = _Caller(plan, destination, sip_socket, rtp_socket, random or SystemRandom(), on_state, stopped)
        return await caller.run()


class _Caller:
    """One call, from the INVITE to what follows the BYE."""

    def __init__(
        self,
        plan: CallPlan,
        destination: Address,
        sip_socket: socket.socket,
        rtp_socket: socket.socket,
        random: Random,
        on_state: Callable[[CallState], None],
        stopped: asyncio.Event,
    ) -> None:
        self._plan = plan
        self._destination = destination
        self._sip_socket, self._rtp_socket = sip_socket, rtp_socket
        self._loop = asyncio.get_running_loop()
        self._on_state = on_state
        self._stopped = stopped
        self._call: CallRef | None = None  # ours; those of strangers have others
        self._hung_up = False
        self._contact: Address = sip_socket.getsockname()[:2]
        self._agent = UserAgent(contact=self._contact, random=random)
        self._talker = _ReportingTalker(plan, random=random, on_state=on_state)
        self._answered: asyncio.Future[CallAnswered] = self._loop.create_future()
        self._ended: asyncio.Future[CallEnded] = self._loop.create_future()
        self._talked: asyncio.Future[TalkEnded] = self._loop.create_future()
        self._offer = self._make_offer(rtp_socket.getsockname(), random)

    async def run(self) -> CallResult:
        """Do all of it."""
        async with (
            _driven(AgentDriver(self._talker, self._on_talk), self._rtp_socket) as rtp,
            _driven(self._sip_driver(), self._sip_socket) as sip,
        ):
            try:
                return await self._converse(sip, rtp)
            finally:
                await self._hang_up(sip)

    def _sip_driver(self) -> _SipDriver:
        plan = self._plan
        return _SipDriver(
            self._agent,
            self._on_event,
            tls=partial(client_context, plan.tls_ca),
            tls_names={self._destination[0]: plan.target.host.strip("[]")},
        )

    async def _converse(self, sip: _SipDriver, rtp: AgentDriver[TalkEnded]) -> CallResult:
        placed_at = self._loop.time()
        self._on_state(CallState("calling"))
        self._invite(now=placed_at)
        sip.drain()
        await self._first_of(self._answered, self._ended, timeout=self._plan.setup_timeout)
        if not self._answered.done():
            return await self._unanswered(sip)
        setup_seconds = self._loop.time() - placed_at
        answer = self._answered.result().response
        try:
            line = self._line(answer)
        except (SdpError, NotAcceptable) as error:
            return CallResult(488, f"the answer has no audio for us: {error}")
        self._talker.start(line, now=self._loop.time())
        rtp.drain()
        await self._first_of(self._talked, self._ended, timeout=self._plan.seconds + _GRACE)
        return CallResult(
            answer.status,
            answer.reason,
            HungUpBy.CALLEE if self._ended.done() else HungUpBy.CALLER,
            setup_seconds,
            self._talker.recording(),
            stopped=self._stopped.is_set() and not (self._ended.done() or self._talked.done()),
        )

    def _invite(self, *, now: float) -> None:
        contact_host, contact_port = self._contact
        self._call = self._agent.invite(
            self._plan.target,
            destination=self._destination,
            from_uri=SipUri(contact_host, contact_port, self._plan.user),
            body=bytes(self._offer),
            headers=self._plan.headers,
            now=now,
        )

    async def _unanswered(self, sip: _SipDriver) -> CallResult:
        """Give up on the call, and say why it came to nothing."""
        if self._ended.done():
            return _refused(self._ended.result(), self._plan.transport)
        if self._stopped.is_set():
            return _STOPPED_EARLY
        if sip.heard:
            what = "no answer"
        else:
            what = f"nothing came back from {format_host_port(*self._destination)}"
            await self._hang_up(sip, goodbye=0.0)
        return CallResult(408, f"{what} within {self._plan.setup_timeout:g} s")

    async def _first_of(self, *futures: asyncio.Future[Any], timeout: float) -> None:  # noqa: ASYNC109
        """Wait for one of these, or to be stopped."""
        stopped = self._loop.create_task(self._stopped.wait())
        try:
            await asyncio.wait((*futures, stopped), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    async def _hang_up(self, sip: _SipDriver, *, goodbye: float = _GOODBYE) -> None:
        """Say BYE, or CANCEL, whichever fits, and give the other side `goodbye` seconds to hear it."""
        if self._call is None or self._ended.done() or self._hung_up:
            return
        self._hung_up = True
        self._agent.hang_up(self._call, now=self._loop.time())
        sip.drain()
        # A BYE is over when it is answered, a CANCEL once the INVITE has its 487.
        over = sip.bye_answered if self._answered.done() else self._ended
        await asyncio.wait((over,), timeout=goodbye)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, CallReceived):  # nobody is to call us
            self._agent.respond(event.call, 486, now=self._loop.time())
        elif event.call != self._call:
            return
        elif isinstance(event, CallProgress):
            self._on_state(CallState(event.response.reason or str(event.response.status)))
        elif isinstance(event, CallAnswered):
            self._answered.set_result(event)
        elif isinstance(event, CallEnded):
            self._ended.set_result(event)
        elif isinstance(event, OfferReceived):  # the session stays as it is
            self._agent.refuse_offer(event.call, now=self._loop.time())

    def _on_talk(self, event: TalkEnded) -> None:
        self._talked.set_result(event)

    def _make_offer(self, rtp_address: Address, random: Random) -> SessionDescription:
        host, port = rtp_address
        codecs = (SdpCodec(self._plan.codec.name, 8000),)
        session = random.getrandbits(31)
        return make_offer(
            MediaCapabilities(host, port, codecs, telephone_event=False), origin=Origin(session, session, host)
        )

    def _line(self, response: Response) -> Line:
        negotiated = accept_answer(self._offer, SessionDescription.parse(response.body))
        remote = (negotiated.remote_address, negotiated.remote_port)
        return Line(remote, self._plan.codec, negotiated.payload_type, negotiated.receive_payload_type)


class _ReportingTalker(Talker):
    """A talker that tells how it goes on with every frame that is due."""

    def __init__(self, plan: CallPlan, *, random: Random, on_state: Callable[[CallState], None]) -> None:
        super().__init__(plan.signal, frames=round(plan.seconds * 1000 / FRAME_MS), random=random)
        self._on_state = on_state

    def handle_timeout(self, *, now: float) -> None:
        super().handle_timeout(now=now)
        self._on_state(CallState("talking", self.frames_sent, self.frames_heard))


class _SipDriver(SipDriver[Event]):
    """Knows whether anything came in at all, and whether a BYE was answered."""

    def __init__(self, agent: SipAgent[Event], on_event: Callable[[Event], None], **options: Any) -> None:
        super().__init__(agent, on_event, **options)
        self.heard = False
        self.bye_answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def receive(self, data: bytes, addr: Address) -> None:
        super().receive(data, addr)
        self.heard = True
        if not self.bye_answered.done() and _answers_bye(data):
            self.bye_answered.set_result(None)


def _answers_bye(data: bytes) -> bool:
    try:
        message = parse_message(data)
    except SipError:
        return False
    return isinstance(message, Response) and message.status >= 200 and message.cseq.method == "BYE"


@contextlib.asynccontextmanager
async def _driven(driver: _D, sock: socket.socket) -> AsyncIterator[_D]:
    """Let a driver have a socket until the block ends."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: driver, sock=sock)
    try:
        yield driver
    finally:
        transport.close()


def _refused(ended: CallEnded, transport: str) -> CallResult:
    """Say why a call was not answered."""
    if isinstance(ended.message, Response):
        return CallResult(ended.message.status, _explained(ended.message))
    if ended.cause is EndCause.TIMEOUT:
        return CallResult(408, f"nobody there answers SIP over {transport}")
    return CallResult(ended.status or 500, ended.cause.value)


def _explained(response: Response) -> str:
    """Return the reason phrase, and the `Warning` or `Reason` that says more."""
    more = [value for name in ("Warning", "Reason") if (value := response.headers.get(name))]
    return "; ".join([response.reason, *more])
