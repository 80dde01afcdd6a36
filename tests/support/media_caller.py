"""A caller whose RTP and RTCP a test writes and reads itself, packet by packet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom

from rtp import RtpPacket
from sidecar.io.agent_driver import AgentDriver
from sip import (
    Address,
    CallAnswered,
    CallEnded,
    Codec,
    MediaCapabilities,
    Negotiated,
    Origin,
    SessionDescription,
    SipUri,
    UserAgent,
    accept_answer,
    make_offer,
)
from tests.support.ports import LOOPBACK

PCMU = (Codec("PCMU", 8000),)


class CallRefused(Exception):
    """The call was not answered; carries the status."""


@dataclass(slots=True)
class MediaCaller:
    """One call."""

    rtp: socket.socket
    rtcp: socket.socket
    media: Negotiated
    ended: asyncio.Future[CallEnded]
    sequence_number: int = 0
    timestamp: int = 0

    def packet(self, payload: bytes = b"\xff" * 160) -> bytes:
        """Make the next audio packet."""
        packet = RtpPacket(self.media.payload_type, self.sequence_number, self.timestamp, 7, payload)
        self.sequence_number = (self.sequence_number + 1) % (1 << 16)
        self.timestamp += len(payload)
        return bytes(packet)

    @property
    def there(self) -> Address:
        """Where the sidecar takes RTP."""
        return self.media.remote_address, self.media.remote_port

    @property
    def there_reports(self) -> Address:
        """Where it takes RTCP."""
        return self.media.remote_address, self.media.remote_rtcp_port

    async def talk(self, seconds: float, *, by: socket.socket | None = None, payload: bytes = b"\xff" * 160) -> None:
        """Send audio, 50 packets a second."""
        for _ in range(round(seconds * 50)):
            (by or self.rtp).sendto(self.packet(payload), self.there)
            await asyncio.sleep(0.02)

    def received(self, sock: socket.socket | None = None) -> list[tuple[bytes, Address]]:
        """Return what has come to the RTP socket, or another, since the last time."""
        datagrams = []
        while True:
            try:
                datagrams.append((sock or self.rtp).recvfrom(2048))
            except BlockingIOError:
                return datagrams


@asynccontextmanager
async def media_caller(
    target: Address,
    *,
    telephone_event: bool = True,
    rtcp_mux: bool = False,
    said_port: int | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> AsyncIterator[MediaCaller]:
    """Place a call, and hang up at the end of the block; `said_port` is what SDP says
    of our RTP port, if not the truth. Raise `CallRefused` with the status."""
    loop = asyncio.get_running_loop()
    rtp, rtcp = bound_pair()
    port: int = said_port or rtp.getsockname()[1]
    capabilities = MediaCapabilities(LOOPBACK, port, PCMU, telephone_event=telephone_event, rtcp_mux=rtcp_mux)
    offer = make_offer(capabilities, origin=Origin(1, 1, LOOPBACK))
    sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sip.setblocking(False)
    sip.bind((LOOPBACK, 0))
    agent = UserAgent(contact=sip.getsockname(), random=SystemRandom())
    answered: asyncio.Future[bytes] = loop.create_future()
    ended: asyncio.Future[CallEnded] = loop.create_future()

    def on_event(event: object) -> None:
        if isinstance(event, CallAnswered):
            answered.set_result(event.response.body)
        elif isinstance(event, CallEnded):
            ended.set_result(event)
            if not answered.done():
                answered.set_exception(CallRefused(str(event.status)))

    transport, driver = await loop.create_datagram_endpoint(lambda: AgentDriver(agent, on_event), sock=sip)
    try:
        call = agent.invite(
            SipUri(*target),
            destination=target,
            from_uri=SipUri(LOOPBACK),
            body=bytes(offer),
            headers=headers,
            now=loop.time(),
        )
        driver.drain()
        body = await asyncio.wait_for(answered, 5.0)
        yield MediaCaller(rtp, rtcp, accept_answer(offer, SessionDescription.parse(body)), ended)
        agent.hang_up(call, now=loop.time())
        driver.drain()
        await asyncio.wait_for(ended, 5.0)
    finally:
        transport.close()
        rtp.close()
        rtcp.close()


def bound_pair() -> tuple[socket.socket, socket.socket]:
    """Bind an even port and the next one."""
    for _ in range(100):
        rtp, rtcp = new_socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtcp.setblocking(False)
        port = rtp.getsockname()[1]
        try:
            if port % 2 == 0:
                rtcp.bind((LOOPBACK, port + 1))
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
    raise AssertionError("no pair of ports is free")


def new_socket() -> socket.socket:
    """Bind a UDP socket to any port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((LOOPBACK, 0))
    return sock
