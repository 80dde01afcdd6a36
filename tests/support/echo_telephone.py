"""Takes calls as a telephone does: rings, answers or refuses, sends every RTP packet back, hangs up.

It is a second user agent of ours over real UDP, without sidecar, bot or WebSocket between.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import cast

from sidecar.io.agent_driver import AgentDriver
from sip import (
    Address,
    CallEnded,
    CallReceived,
    CallRef,
    Event,
    MediaCapabilities,
    OfferRefused,
    Origin,
    Request,
    SessionDescription,
    SipUri,
    UserAgent,
    answer_offer,
)
from sip import Codec as SdpCodec
from tests.support.ports import LOOPBACK


@dataclass(slots=True)
class Behaviour:
    """What the telephone does with calls."""

    status: int = 200  # 180 rings for ever, 100 not even that
    headers: tuple[tuple[str, str], ...] = ()  # of the final response
    hang_up_after: int | None = None  # packets
    answer_body: bytes | None = None  # in place of a proper answer
    returns_audio: bool = True


class _Echo(asyncio.DatagramProtocol):
    def __init__(self, telephone: EchoTelephone) -> None:
        self._telephone = telephone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is not derived from it

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._telephone.packets.append(data)
        if self._telephone.behaviour.returns_audio:
            self._transport.sendto(data, addr)
        if len(self._telephone.packets) == self._telephone.behaviour.hang_up_after:
            self._telephone.hang_up()


class _Driver(AgentDriver[Event]):
    def __init__(self, telephone: EchoTelephone) -> None:
        super().__init__(telephone.agent, telephone.on_event)
        self._telephone = telephone

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not self._telephone.deaf:
            super().datagram_received(data, addr)


@dataclass(slots=True)
class EchoTelephone:
    """What it was asked and sent."""

    agent: UserAgent
    behaviour: Behaviour
    uri: SipUri
    rtp_port: int = 0
    calls: list[CallRef] = field(default_factory=list)
    invites: list[Request] = field(default_factory=list)
    ended: list[CallEnded] = field(default_factory=list)
    offers_refused: list[int] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)
    deaf: bool = False  # no SIP gets through to it any more
    driver: AgentDriver[Event] | None = None

    def on_event(self, event: Event) -> None:
        """Do as it is told to do."""
        now = asyncio.get_running_loop().time()
        if isinstance(event, CallEnded):
            self.ended.append(event)
        if isinstance(event, OfferRefused):
            self.offers_refused.append(event.status)
        if not isinstance(event, CallReceived):
            return
        self.calls.append(event.call)
        self.invites.append(event.request)
        status, headers = self.behaviour.status, self.behaviour.headers
        if status == 200:
            self.agent.respond(event.call, 180, now=now)
            self.agent.answer(event.call, self._answer(event.request), headers=headers, now=now)
        elif status != 100:
            self.agent.respond(event.call, status, headers=headers, now=now)

    def hold(self) -> None:
        """Offer to put all calls on hold."""
        assert self.driver is not None
        for call, invite in zip(self.calls, self.invites, strict=True):
            held = self._answer(invite).replace(b"- 1 1 IN", b"- 1 2 IN") + b"a=sendonly\r\n"
            self.agent.reoffer(call, held, now=asyncio.get_running_loop().time())
        self.driver.drain()

    def hang_up(self) -> None:
        """Say BYE in all calls."""
        assert self.driver is not None
        for call in self.calls:
            self.agent.hang_up(call, now=asyncio.get_running_loop().time())
        self.driver.drain()

    def _answer(self, invite: Request) -> bytes:
        if self.behaviour.answer_body is not None:
            return self.behaviour.answer_body
        capabilities = MediaCapabilities(
            LOOPBACK, self.rtp_port, (SdpCodec("PCMU", 8000), SdpCodec("PCMA", 8000)), telephone_event=False
        )
        offer = SessionDescription.parse(invite.body)
        return bytes(answer_offer(offer, capabilities=capabilities, origin=Origin(1, 1, LOOPBACK)).description)


@asynccontextmanager
async def echo_telephone(behaviour: Behaviour | None = None) -> AsyncIterator[EchoTelephone]:
    """Take calls on a free port of loopback until the block ends."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((LOOPBACK, 0))
    contact: Address = sock.getsockname()
    telephone = EchoTelephone(UserAgent(contact=contact, random=Random(5)), behaviour or Behaviour(), SipUri(*contact))
    rtp, _ = await loop.create_datagram_endpoint(lambda: _Echo(telephone), local_addr=(LOOPBACK, 0))
    telephone.rtp_port = rtp.get_extra_info("sockname")[1]
    sip, telephone.driver = await loop.create_datagram_endpoint(lambda: _Driver(telephone), sock=sock)
    try:
        yield telephone
    finally:
        sip.close()
        rtp.close()
