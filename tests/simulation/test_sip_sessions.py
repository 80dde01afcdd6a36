"""Calls that are held, moved, refreshed and transferred over a network that loses, delays and reorders."""

from __future__ import annotations

import os
from random import Random

import pytest

from sip import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallReceived,
    CallRef,
    EndCause,
    Event,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    StreamAddress,
    Timers,
    UserAgent,
)
from tests.simulation.test_sip_calls import SDP, UAC, UAS, Side, World

SEEDS = int(os.environ.get("SIP_SEEDS", "200"))
TIMERS = Timers(c=60.0, session_expires=90)
BROKEN = (EndCause.NO_ACK, EndCause.GONE, EndCause.EXPIRED, EndCause.TIMEOUT)


class Party:
    """One side of a call: answers what comes, and remembers the session as it sees it."""

    def __init__(self, world: World, side: Side, name: str) -> None:
        self.world, self.side, self.name = world, side, name
        self.call: CallRef | None = None
        self.is_up = False
        self.number = 0
        self.offered = b""  # the last of ours
        self.session: tuple[bytes, bytes] = (b"", b"")  # ours and theirs, as last agreed
        side.on_event = self.on_event

    def describe(self) -> bytes:
        """Return a session description that was not there before."""
        self.number += 1
        return SDP + f"o={self.name} {self.number}\r\n".encode()

    def on_event(self, event: Event) -> None:
        """Behave as an owner would."""
        agent, now = self.side.agent, self.world.simulation.now
        if isinstance(event, CallReceived):
            self.call = event.call
            mine = self.describe()
            self.session = (mine, event.request.body)
            self.offered = mine
            agent.respond(event.call, 183, body=mine, now=now)
            agent.answer(event.call, mine, now=now)
        elif isinstance(event, CallAnswered):
            self.session = (self.offered, event.response.body)
            self.is_up = True
        elif isinstance(event, CallConfirmed):
            self.is_up = True
        elif isinstance(event, OfferReceived):
            mine = self.describe()
            self.session = (mine, event.request.body)
            agent.accept_offer(event.call, mine, now=now)
        elif isinstance(event, OfferAnswered):
            self.session = (self.offered, event.body)
        elif isinstance(event, CallEnded):
            self.is_up = False

    def act(self, what: str, now: float) -> None:
        """Do something with the call, if it is up."""
        if self.call is None or not self.is_up:
            return
        agent = self.side.agent
        if what == "hold":
            self._offer(agent, "INVITE", now)
        elif what == "update":
            self._offer(agent, "UPDATE", now)
        elif what == "info":
            agent.send_info(self.call, "application/dtmf-relay", b"Signal=1\r\nDuration=100\r\n", now=now)
        elif what == "transfer":
            agent.transfer(self.call, "sip:1000@pbx", now=now)
        else:
            agent.hang_up(self.call, now=now)

    def _offer(self, agent: UserAgent, method: str, now: float) -> None:
        assert self.call is not None
        self.offered = self.describe()
        agent.reoffer(self.call, self.offered, method=method, now=now)


def play(seed: int, loss: float, *, calm: bool = False, stream: bool = False) -> tuple[World, Party, Party]:
    """Run one call in which both sides do things at random."""
    random = Random(seed)
    if stream:
        uac, uas = StreamAddress(*UAC, connection=1), StreamAddress(*UAS, connection=1)
        world = World(seed, timers=TIMERS, uac=uac, uas=uas)
    else:
        world = World(seed, loss=loss, jitter=0.2, duplication=0.1, timers=TIMERS)
    caller, callee = Party(world, world.uac, "caller"), Party(world, world.uas, "callee")
    caller.offered = caller.describe()
    caller.call = world.uac.agent.invite(
        world.target, destination=world.uas.address, from_uri=world.target, body=caller.offered, now=0.0
    )
    world.uac.drain()
    for _ in range(random.randrange(6)):
        party = random.choice([caller, callee])
        what = random.choice(["hold", "update", "info", "hold", "update"] + ([] if calm else ["transfer", "end"]))
        world.later(random.uniform(0.0, 20.0), lambda now, party=party, what=what: party.act(what, now))  # type: ignore[misc]
    return world, caller, callee


def finish(world: World, caller: Party, callee: Party, seed: int) -> None:
    """Hang up what is still up, and see that nothing is left."""

    def hang_up(now: float) -> None:  # what silence on the media would do
        for party in (caller, callee):
            if party.call is not None:
                party.side.agent.hang_up(party.call, now=now)

    world.later(150.0 - world.simulation.now, hang_up)
    world.simulation.run(until=150.0 + 65.0)
    received = sum(isinstance(event, CallReceived) for event in callee.side.events)
    assert len(caller.side.ends()) == 1, f"seed {seed}"
    assert len(callee.side.ends()) == received <= 1, f"seed {seed}"
    assert caller.side.agent.idle, f"seed {seed}"
    assert callee.side.agent.idle, f"seed {seed}"


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.25, 0.5])
def test_whatever_is_done_with_a_call_both_sides_end_it_and_nothing_is_left(loss: float) -> None:
    for seed in range(SEEDS // 4):
        world, caller, callee = play(seed, loss)
        finish(world, caller, callee, seed)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.25])
def test_a_call_that_stays_up_has_the_same_session_on_both_sides(loss: float) -> None:
    for seed in range(SEEDS // 4):
        world, caller, callee = play(seed, loss, calm=True)
        world.simulation.run(until=140.0)
        broken = [end for party in (caller, callee) for end in party.side.ends()]
        refused = [event for p in (caller, callee) for event in p.side.events if isinstance(event, OfferRefused)]
        if not broken and not refused:
            assert caller.session == callee.session[::-1], f"seed {seed}"
        assert loss > 0 or not broken, f"seed {seed}"
        assert all(end.cause in (*BROKEN, EndCause.REMOTE_BYE, EndCause.REJECTED) for end in broken), f"seed {seed}"
        finish(world, caller, callee, seed)


def test_over_a_stream_it_is_the_same_and_nothing_is_sent_twice() -> None:
    for seed in range(SEEDS // 4):
        world, caller, callee = play(seed, 0.0, calm=True, stream=True)
        world.simulation.run(until=140.0)
        assert caller.session == callee.session[::-1], f"seed {seed}"
        finish(world, caller, callee, seed)
        for party in (caller, callee):
            assert len(set(party.side.sent)) == len(party.side.sent), f"seed {seed}"
