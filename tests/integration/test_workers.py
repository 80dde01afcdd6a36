"""Media workers in processes of their own: they die, hang and are late, and the sidecar drains and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from rtp import RtpPacket
from sip import Address, CallEnded, EndCause, Request
from tests.support.bots import Bot, EchoBot
from tests.support.media_caller import CallRefused, MediaCaller, media_caller
from tests.support.serving import Serving, is_alive, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@asynccontextmanager
async def talking(count: int, there: Address) -> AsyncIterator[list[MediaCaller]]:
    """Place calls that talk until the block ends."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        callers = [await stack.enter_async_context(media_caller(there)) for _ in range(count)]
        talk = [tasks.create_task(caller.talk(60.0)) for caller in callers]
        yield callers
        for task in talk:
            task.cancel()


def goodbye(caller: MediaCaller) -> str | None:
    """Return why a call was hung up."""
    ended = caller.ended.result()
    assert isinstance(ended, CallEnded)
    assert ended.cause is EndCause.REMOTE_BYE
    assert isinstance(ended.message, Request)
    return ended.message.headers.get("Reason")


def assert_no_packet_is_missing(caller: MediaCaller, *, seconds: float) -> None:
    """Require that what the caller has heard is whole."""
    packets = [RtpPacket.parse(data) for data, _ in caller.received()]
    numbers = [packet.sequence_number for packet in packets]
    assert numbers == [(numbers[0] + at) % (1 << 16) for at in range(len(numbers))]
    assert len(numbers) >= 50 * seconds


async def until_a_call_is_taken(sidecar: Serving, *, within: float) -> None:
    async with asyncio.timeout(within):
        while True:
            with suppress(CallRefused):
                async with media_caller(sidecar.address):
                    return
            await asyncio.sleep(0.05)


async def test_calls_are_spread_over_workers_with_ports_of_their_own() -> None:
    async with EchoBot() as bot, serving(workers=2, bot=bot.url) as sidecar:
        assert len(sidecar.workers()) == 2
        async with talking(4, sidecar.address) as callers:
            await bot.received(4 * 25)
            ports = [caller.media.remote_port for caller in callers]
            assert ports[:2] == ports[2:]
            assert ports[0] != ports[1]
            for caller in callers:
                assert_no_packet_is_missing(caller, seconds=0.1)
        sidecar.terminate()
        assert await sidecar.exit_code() == 0
        assert [call.close_code for call in bot.calls] == [1000] * 4


async def test_a_worker_that_is_killed_takes_its_own_calls_along_and_no_other() -> None:
    async with EchoBot() as bot, serving(workers=2, bot=bot.url) as sidecar:
        async with talking(4, sidecar.address) as callers:
            await bot.received(4 * 25)
            loop, (first, second) = asyncio.get_running_loop(), sidecar.workers()
            killed_at = loop.time()
            os.kill(first, signal.SIGKILL)
            dead, alive = (callers[0], callers[2]), (callers[1], callers[3])
            await asyncio.wait([caller.ended for caller in dead], timeout=5.0)
            assert loop.time() - killed_at < 1.0
            assert [goodbye(caller) for caller in dead] == ['Q.850;cause=41;text="the media worker died"'] * 2
            async with media_caller(sidecar.address) as new:  # at once
                assert new.media.remote_port == alive[0].media.remote_port
                assert loop.time() - killed_at < 2.0
            await sidecar.until_workers(lambda now: len(now) == 2 and second in now and first not in now)
            await asyncio.sleep(1.0)
            for caller in alive:
                assert not caller.ended.done()
                assert_no_packet_is_missing(caller, seconds=1.5)
        told = [line["event"] for line in sidecar.log if line.get("call") and line["event"] in ("error", "stop")]
        assert told.count("error") == 2
        lost = sidecar.logged("worker_lost")
        assert [(line["worker"], line["why"]) for line in lost] == [(0, "signal 9")]


async def test_the_only_worker_is_replaced_on_the_same_port() -> None:
    async with EchoBot() as bot, serving(workers=1, bot=bot.url) as sidecar:
        async with media_caller(sidecar.address) as caller:
            port = caller.media.remote_port
            os.kill(sidecar.workers()[0], signal.SIGKILL)
            await asyncio.wait_for(caller.ended, 1.0)
            assert (await sidecar.options()).status == 503
        await until_a_call_is_taken(sidecar, within=10.0)
        async with talking(1, sidecar.address) as callers:
            assert callers[0].media.remote_port == port
            await bot.received(sum(len(call.messages) for call in bot.calls) + 25)


async def test_a_worker_that_hangs_is_killed() -> None:
    async with EchoBot() as bot, serving(workers=2, bot=bot.url) as sidecar, talking(2, sidecar.address) as callers:
        hung = sidecar.workers()[0]
        os.kill(hung, signal.SIGSTOP)
        await asyncio.wait_for(callers[0].ended, 10.0)
        assert goodbye(callers[0]) == 'Q.850;cause=41;text="the media worker hung"'
        assert (await sidecar.until_logged("worker_lost"))["why"] == "it hung"
        await sidecar.until_workers(lambda now: len(now) == 2 and hung not in now)
        assert not callers[1].ended.done()


async def test_a_worker_that_is_late_gets_no_calls_until_it_is_in_time_again() -> None:
    async with EchoBot() as bot, serving(workers=1, bot=bot.url, MAX_LATE_MS=30) as sidecar:
        (worker,) = sidecar.workers()
        async with talking(1, sidecar.address) as (caller,):
            async with asyncio.timeout(15.0):
                while (answer := await sidecar.options()).status == 200:
                    os.kill(worker, signal.SIGSTOP)
                    await asyncio.sleep(0.08)
                    os.kill(worker, signal.SIGCONT)
                    await asyncio.sleep(0.005)
            assert (answer.status, answer.reason, answer.headers.get("Retry-After")) == (503, "Overloaded", "5")
            with pytest.raises(CallRefused, match="503"):
                async with media_caller(sidecar.address):
                    pass
            await until_a_call_is_taken(sidecar, within=30.0)
            assert not caller.ended.done()


async def test_draining_lets_live_calls_end_by_themselves_and_refuses_new_ones() -> None:
    async with EchoBot() as bot, serving(workers=2, bot=bot.url) as sidecar:
        async with talking(2, sidecar.address) as callers:
            await bot.received(2 * 10)
            sidecar.terminate()
            await sidecar.until_logged("draining")
            answer = await sidecar.options()
            assert (answer.status, answer.reason) == (503, "Draining")
            with pytest.raises(CallRefused, match="503"):
                async with media_caller(sidecar.address):
                    pass
            heard = sum(len(call.messages) for call in bot.calls)
            await bot.received(heard + 2 * 50)
            for caller in callers:
                assert not caller.ended.done()
                assert_no_packet_is_missing(caller, seconds=1.0)
        assert await sidecar.exit_code() == 0
        assert [call.close_code for call in bot.calls] == [1000] * 2


@pytest.mark.parametrize("workers", [0, 2])
async def test_calls_that_outlast_the_drain_are_hung_up_and_bots_are_told(workers: int) -> None:
    async with EchoBot() as bot, serving(workers=workers, bot=bot.url, DRAIN_TIMEOUT=1) as sidecar:
        async with talking(2, sidecar.address) as callers:
            await bot.received(2 * 10)
            sidecar.terminate()
            await asyncio.wait([caller.ended for caller in callers], timeout=5.0)
            assert [goodbye(caller) for caller in callers] == ['Q.850;cause=41;text="the sidecar stops"'] * 2
        assert await sidecar.exit_code() == 0
        await bot.closed(2)
        assert [(call.close_code, call.close_reason) for call in bot.calls] == [(1001, "the sidecar stops")] * 2


async def test_a_second_signal_ends_the_drain() -> None:
    async with Bot() as bot, serving(workers=2, bot=bot.url) as sidecar:
        async with talking(2, sidecar.address) as callers:
            sidecar.terminate()
            await sidecar.until_logged("draining")
            assert not any(caller.ended.done() for caller in callers)
            sidecar.terminate()
            await asyncio.wait([caller.ended for caller in callers], timeout=5.0)
        assert await sidecar.exit_code() == 0
        await bot.closed(2)
        assert [call.close_code for call in bot.calls] == [1001] * 2


async def test_signals_to_all_processes_are_for_control_alone() -> None:
    async with EchoBot() as bot, serving(workers=2, bot=bot.url) as sidecar:
        async with talking(2, sidecar.address) as callers:
            for process in sidecar.workers():
                os.kill(process, signal.SIGINT)
                os.kill(process, signal.SIGTERM)
            sidecar.terminate()
            await sidecar.until_logged("draining")
            await bot.received(2 * 50)
            assert not any(caller.ended.done() for caller in callers)
        assert await sidecar.exit_code() == 0
        assert not sidecar.logged("worker_lost")


async def test_workers_end_with_control() -> None:
    async with EchoBot() as bot, serving(workers=2, bot=bot.url) as sidecar:
        with suppress(TimeoutError):  # nobody is there to hang up to
            async with media_caller(sidecar.address), media_caller(sidecar.address):
                workers = sidecar.workers()
                sidecar.process.kill()
                await bot.closed(2)
        assert [call.close_code for call in bot.calls] == [1001] * 2
        async with asyncio.timeout(10.0):
            while any(map(is_alive, workers)):  # noqa: ASYNC110  the kernel does not tell
                await asyncio.sleep(0.02)


async def test_each_call_has_a_port_of_its_own_whatever_worker_it_is_on() -> None:
    ports = {"RTP__MODE": "ports", "RTP__PORT_MIN": 19000, "RTP__PORT_MAX": 19099}
    async with EchoBot() as bot, serving(workers=2, bot=bot.url, **ports) as sidecar:
        async with talking(4, sidecar.address) as callers:
            await bot.received(4 * 25)
            assert [caller.media.remote_port for caller in callers] == [19000, 19002, 19004, 19006]
            for caller in callers:
                assert_no_packet_is_missing(caller, seconds=0.1)
