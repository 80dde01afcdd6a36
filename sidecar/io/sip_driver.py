"""Drives a SIP agent over UDP, TCP and TLS at once."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sidecar.io.agent_driver import Agent, AgentDriver
from sidecar.io.network import mapped_host, plain_host
from sidecar.io.sip_connection import ConnectionLimits
from sidecar.io.sip_streams import SipStreams
from sidecar.io.tls_files import client_context
from sip import Address, StreamAddress

_E = TypeVar("_E", covariant=True)


class SipAgent(Agent[_E], Protocol[_E]):
    """An agent that knows of connections."""

    def connection_lost(self, address: StreamAddress, *, now: float) -> None:
        """A connection was closed, or could not be opened."""


class SipDriver(AgentDriver[_E]):
    """An `AgentDriver` whose agent may send to a `StreamAddress`: that goes by TCP or TLS, all else by UDP."""

    def __init__(
        self,
        agent: SipAgent[_E],
        on_event: Callable[[_E], None],
        *,
        allows: Callable[[str], bool] = lambda _host: True,  # whose connections are accepted
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008  frozen
        tls: Callable[[], ssl.SSLContext] = client_context,  # of the connections that we open
        tls_names: Mapping[str, str] | None = None,
        local_host: str | None = None,
    ) -> None:
        super().__init__(agent, on_event)
        self._sip_agent = agent
        self._is_ipv6 = False
        self.streams = SipStreams(
            on_message=self.receive,
            on_lost=self._lose,
            allows=allows,
            limits=limits,
            tls=tls,
            tls_names=tls_names,
            local_host=local_host,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The UDP socket is there."""
        self._is_ipv6 = transport.get_extra_info("socket").family == socket.AF_INET6
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The UDP socket is closed, and with it all connections."""
        super().connection_lost(exc)
        self.streams.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A datagram came in."""
        self.receive(data, (plain_host(addr[0]), addr[1]))

    def send(self, data: bytes, addr: Address) -> None:
        """Send one message by the transport of its address."""
        if isinstance(addr, StreamAddress):
            self.streams.send(data, addr)
        elif self._is_ipv6:
            super().send(data, (mapped_host(addr[0]), addr[1]))
        else:
            super().send(data, addr)

    def _lose(self, address: StreamAddress) -> None:
        self._sip_agent.connection_lost(address, now=self._loop.time())
        self.drain()
