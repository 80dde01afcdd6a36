"""A call that is up for as long as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from sidecar.io.caller import CallPlan, CallResult, place_call
from sip import SipUri
from tests.support.ports import LOOPBACK
from tests.support.sidecar import SidecarUnderTest
from tests.support.tones import Pcm

SILENCE: Pcm = np.zeros(8000, np.int16)


@dataclass(slots=True)
class LiveCall:
    """One call."""

    stream: str
    _placed: asyncio.Task[CallResult]
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def ended(self, *, within: float = 5.0) -> CallResult:
        """Wait until the other side has hung up."""
        return await asyncio.wait_for(asyncio.shield(self._placed), within)


@asynccontextmanager
async def live_call(
    car: SidecarUnderTest, *, signal: Pcm = SILENCE, headers: tuple[tuple[str, str], ...] = ()
) -> AsyncIterator[LiveCall]:
    """Place a call, and hang up at the end of the block, if it is still up."""
    steering = car.sidecar.steering
    before = {each.id for each in steering.streams()}
    stopped = asyncio.Event()
    port = car.sidecar.sip_address[1]
    plan = CallPlan(SipUri(LOOPBACK, port, "any"), signal, 600.0, headers)
    placed = asyncio.create_task(place_call(plan, stopped=stopped))
    try:
        async with asyncio.timeout(5):
            while not (new := [each for each in steering.streams() if each.id not in before and each.state == "up"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield LiveCall(new[0].id, placed, stopped)
    finally:
        stopped.set()
        await placed
