"""Gives a protocol core its datagrams, its time and its owner: input, drain, re-arm, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, cast

Address = tuple[str, int]

_E = TypeVar("_E", covariant=True)


class Agent(Protocol[_E]):
    """A protocol core: no I/O, no clock, five verbs."""

    def receive_datagram(self, data: bytes, addr: Address, *, now: float) -> None:
        """Bytes came in."""

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""

    def next_timeout(self) -> float | None:
        """Return when to be called next, in seconds of the loop's clock."""

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent, and forget it."""

    def next_event(self) -> _E | None:
        """Return the next thing that the owner should know."""


class AgentDriver(asyncio.DatagramProtocol, Generic[_E]):
    """Drives an agent over one UDP socket, in the event loop that runs when it is made.

    `on_event` may call methods of the agent, and need not drain: what they lead to is sent in the same round.
    Whoever calls a method of the agent from elsewhere calls `drain()` after it.
    """

    def __init__(self, agent: Agent[_E], on_event: Callable[[_E], None]) -> None:
        self._agent = agent
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self.send_errors = 0  # datagrams that could not be sent, or that nobody took

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; what has waited for it is sent."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's does not inherit from it
        self.drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed; the agent is not called any more."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Bytes came in."""
        self.receive(data, addr[:2])

    def receive(self, data: bytes, addr: Address) -> None:
        """Give the agent what came in, and do what follows."""
        self._agent.receive_datagram(data, addr, now=self._loop.time())
        self.drain()

    def send(self, data: bytes, addr: Address) -> None:
        """Send one datagram; what cannot be sent is counted."""
        if self._transport is None:
            return
        try:
            self._transport.sendto(data, addr)
        except ValueError:  # an address of the other family
            self.send_errors += 1

    def error_received(self, exc: Exception) -> None:
        """An earlier datagram came to nothing (ICMP); the agent's own timers take care of it."""
        self.send_errors += 1

    def drain(self) -> None:
        """Send all that waits, tell all that happened, then set the timer anew."""
        if self._draining or self._transport is None:
            return  # the round that is under way, or `connection_made`, does it
        self._draining = True
        try:
            self._send()
            while (event := self._agent.next_event()) is not None:
                self._on_event(event)
                self._send()
        finally:
            self._draining = False
            self._arm()

    def _send(self) -> None:
        for data, addr in self._agent.datagrams_to_send():
            self.send(data, addr)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self._agent.next_timeout()
        self._timer = None if at is None or self._transport is None else self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._agent.handle_timeout(now=self._loop.time())
        self.drain()
