"""Calls between two user agents over a network that loses, delays, repeats and reorders datagrams."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from sip import (
    Address,
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallProgress,
    CallReceived,
    CallRef,
    EndCause,
    Event,
    SipUri,
    Timers,
    UserAgent,
)
from tests.support.simulation import Link, Simulation

UAC: Address = ("192.0.2.1", 5060)
UAS: Address = ("192.0.2.2", 5070)
SDP = b"v=0\r\n"
TIMERS = Timers(c=60.0)


class Side:
    """A user agent, its end of the network, and the events that it told."""

    def __init__(self, simulation: Simulation, address: Address, seed: int, timers: Timers) -> None:
        self.agent = UserAgent(contact=(address[0], address[1]), random=Random(seed), timers=timers)
        self.events: list[Event] = []
        self.sent: list[bytes] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        self.address = address
        self.peer: Link | None = None
        self._simulation = simulation
        self._wake_at: float | None = None

    def receive(self, data: bytes, source: Address) -> None:
        """Take a datagram from the network."""
        self.agent.receive_datagram(data, source, now=self._simulation.now)
        self.drain()

    def drain(self) -> None:
        """Send what is to be sent, tell what is to be told, set the alarm."""
        while (event := self.agent.next_event()) is not None:
            self.events.append(event)
            self.on_event(event)
        assert self.peer is not None
        for data, _ in self.agent.datagrams_to_send():
            self.sent.append(data)
            self.peer.send(data)
        at = self.agent.next_timeout()
        if at is not None and at != self._wake_at:
            self._wake_at = at
            self._simulation.call_at(max(at, self._simulation.now), self._wake)

    def ends(self) -> list[CallEnded]:
        """Return how the calls ended."""
        return [event for event in self.events if isinstance(event, CallEnded)]

    def _wake(self) -> None:
        self._wake_at = None
        self.agent.handle_timeout(now=self._simulation.now)
        self.drain()


class World:
    """A caller, a callee, and the network between them."""

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        jitter: float = 0.0,
        duplication: float = 0.0,
        timers: Timers = TIMERS,
        uac: Address = UAC,
        uas: Address = UAS,
    ) -> None:
        self.target = SipUri(*UAS)
        self.simulation = Simulation(seed=seed)
        self.uac = Side(self.simulation, uac, 2 * seed, timers)
        self.uas = Side(self.simulation, uas, 2 * seed + 1, timers)
        for here, there in ((self.uac, self.uas), (self.uas, self.uac)):
            here.peer = Link(
                self.simulation,
                lambda data, here=here, there=there: there.receive(data, here.address),  # type: ignore[misc]
                loss=loss,
                jitter=jitter,
                duplication=duplication,
            )

    def invite(self) -> CallRef:
        """Place a call."""
        call = self.uac.agent.invite(
            SipUri(*UAS), destination=UAS, from_uri=SipUri(*UAC), body=SDP, now=self.simulation.now
        )
        self.uac.drain()
        return call

    def later(self, after: float, act: Callable[[float], None]) -> None:
        """Let one side do something."""

        def run() -> None:
            act(self.simulation.now)
            self.uac.drain()
            self.uas.drain()

        self.simulation.call_at(self.simulation.now + after, run)


def answer_after(world: World, delay: float) -> None:
    """Let the callee ring at once and answer later."""

    def on_event(event: Event) -> None:
        if isinstance(event, CallReceived):
            agent = world.uas.agent
            agent.respond(event.call, 180, now=world.simulation.now)
            world.later(delay, lambda now: agent.answer(event.call, SDP, now=now))

    world.uas.on_event = on_event


def hang_up_all(side: Side, now: float) -> None:
    """Hang up whatever this side knows of."""
    for event in list(side.events):
        side.agent.hang_up(event.call, now=now)


def test_a_call_over_a_perfect_network_is_answered_confirmed_and_ended() -> None:
    world = World(1)
    answer_after(world, 1.0)
    call = world.invite()
    world.later(3.0, lambda now: world.uac.agent.hang_up(call, now=now))
    world.simulation.run(until=100.0)
    assert [type(event) for event in world.uac.events] == [CallProgress, CallAnswered, CallEnded]
    assert [type(event) for event in world.uas.events] == [CallReceived, CallConfirmed, CallEnded]
    assert world.uac.ends()[0].cause is EndCause.LOCAL_BYE
    assert world.uas.ends()[0].cause is EndCause.REMOTE_BYE
    assert world.uac.agent.idle
    assert world.uas.agent.idle


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3, 0.5])
def test_every_call_ends_once_on_both_sides_and_leaves_nothing_behind(loss: float) -> None:
    for seed in range(100):
        world = World(seed, loss=loss, jitter=0.2, duplication=0.1)
        random = Random(seed)
        answer_after(world, random.choice([0.0, 0.1, 1.0, 5.0]))
        call = world.invite()
        moment = random.choice([0.0, 0.05, 0.1, 0.3, 1.05, 2.0, 20.0])
        if random.random() < 0.5:
            world.later(moment, lambda now, world=world, call=call: world.uac.agent.hang_up(call, now=now))  # type: ignore[misc]
        else:
            world.later(moment, lambda now, world=world: hang_up_all(world.uas, now))  # type: ignore[misc]
        for side in (world.uac, world.uas):  # what silence on the media would do
            world.later(120.0, lambda now, side=side: hang_up_all(side, now))  # type: ignore[misc]
        world.simulation.run(until=250.0)
        received = sum(isinstance(event, CallReceived) for event in world.uas.events)
        assert len(world.uac.ends()) == 1, f"seed {seed}"
        assert len(world.uas.ends()) == received <= 1, f"seed {seed}"
        assert world.uac.agent.idle, f"seed {seed}"
        assert world.uas.agent.idle, f"seed {seed}"
