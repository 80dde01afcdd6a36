"""The Kamailio configuration of examples/kamailio, on a real Kamailio in front of real sidecars."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support import sipp
from tests.support.bots import EchoBot
from tests.support.kamailio import dispatching
from tests.support.media_caller import CallRefused, media_caller
from tests.support.serving import Serving, options_of, serving

pytestmark = pytest.mark.peer("kamailio")


async def sidecars(stack: AsyncExitStack, bot: EchoBot, count: int) -> list[Serving]:
    """Start so many."""
    starting = (stack.enter_async_context(serving(workers=0, bot=bot.url)) for _ in range(count))
    return [await each for each in starting]


def calls_of(sidecar: Serving) -> Counter[str]:
    """Return how many streams began and ended there."""
    return Counter(line["event"] for line in sidecar.log if line["event"] in ("start", "stop"))


async def test_calls_are_spread_and_the_legs_of_a_stream_stay_together(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(EchoBot())
        cars = await sidecars(stack, bot, 2)
        host, port = there = await stack.enter_async_context(dispatching([car.address for car in cars], tmp_path / "k"))
        # sipp sends ACK and BYE to where it sent the INVITE.
        outcome = await sipp.run("call", f"{host}:{port}", tmp_path / "sipp", calls=12, rate=20.0, seconds=0.3)
        outcome.assert_all_successful(12)
        assert [calls_of(car)["start"] for car in cars] == [6, 6]
        for name in ("one", "two", "three"):
            leg = [("X-STREAM_ID", name), ("X-STREAM_MIX", "stereo")]
            async with (
                media_caller(there, headers=[*leg, ("X-STREAM_TRACK", "caller")]),
                media_caller(there, headers=[*leg, ("X-STREAM_TRACK", "callee")]),
            ):
                pass
        assert sum(calls_of(car)["start"] for car in cars) == 12 + 3
        assert sum(len(car.logged("leg")) for car in cars) >= 3


async def test_a_sidecar_that_drains_costs_no_call_and_one_that_dies_its_own(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(EchoBot())
        drained, killed, left = cars = await sidecars(stack, bot, 3)
        there = await stack.enter_async_context(dispatching([car.address for car in cars], tmp_path))
        live = [await stack.enter_async_context(media_caller(there)) for _ in range(3)]
        assert [calls_of(car)["start"] for car in cars] == [1, 1, 1]

        drained.terminate()
        for _ in range(4):  # before it is known, and after
            async with media_caller(there):
                pass
        assert not any(call.ended.done() for call in live)
        assert calls_of(drained)["start"] == 1

        os.kill(killed.process.pid, signal.SIGKILL)
        before, loop = calls_of(left)["start"], asyncio.get_running_loop()
        began = loop.time()
        for _ in range(4):
            async with media_caller(there):
                pass
        assert loop.time() - began < 5.0
        assert calls_of(left)["start"] == before + 4

        left.terminate()
        async with asyncio.timeout(10.0):  # it asks each second
            while (await options_of(there)).status != 503:  # noqa: ASYNC110  it does not tell
                await asyncio.sleep(0.1)
        with pytest.raises(CallRefused, match="503"):
            async with media_caller(there):
                pass
        assert not live[0].ended.done()
        assert not live[2].ended.done()
        for car in (drained, left):  # let go of their calls
            car.terminate()
            assert await car.exit_code() == 0
