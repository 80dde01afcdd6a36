"""Sidecars that know of each other's streams by a real Redis: real processes, real calls."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.support.bots import Bot, EchoBot
from tests.support.media_caller import MediaCaller, media_caller
from tests.support.redis_server import RedisServer
from tests.support.rest import ask, listening
from tests.support.serving import Serving, serving

pytestmark = pytest.mark.peer("redis-server")

LEASE_SECONDS = 3.0  # the shortest


@asynccontextmanager
async def sidecars(bot: Bot, redis: RedisServer, *names: str) -> AsyncIterator[list[Serving]]:
    async with AsyncExitStack() as stack:
        cars = []
        for name in names:
            directory = {"DIRECTORY__URL": redis.url, "DIRECTORY__NAME": name, "DIRECTORY__LEASE": LEASE_SECONDS}
            api = {"API__ENABLED": "true", "API__PORT": 0}
            running = serving(workers=0, bot=bot.url, **directory, **api)
            cars.append(await stack.enter_async_context(running))
        for car in cars:
            await car.until_logged("directory found")
        yield cars


def api_port(car: Serving) -> int:
    return int(car.logged("ready")[0]["api_port"])


async def pods(car: Serving) -> tuple[list[str], str | None]:
    """Return which sidecars have the streams that one lists, and what it does not see."""
    page = (await ask(api_port(car), "GET", "/v1/streams")).json
    return sorted(each.get("pod", "") for each in page["streams"]), page.get("unseen")


async def until_listed(car: Serving, wanted: list[str], *, within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while await pods(car) != (wanted, None):  # noqa: ASYNC110  it is told by another process
            await asyncio.sleep(0.05)


async def the_stream(car: Serving) -> dict[str, Any]:
    (only,) = (await ask(api_port(car), "GET", "/v1/streams")).json["streams"]
    return dict(only)


async def hang_up(caller: MediaCaller) -> None:
    await asyncio.wait_for(caller.ended, 5.0)


async def test_any_sidecar_lists_steers_and_tells_of_the_streams_of_all() -> None:
    async with RedisServer() as redis, EchoBot() as bot, sidecars(bot, redis, "one", "two") as (one, two):
        async with listening(api_port(two)) as listener, media_caller(one.address) as caller:
            assert (await listener.next()).kind == "start"
            connected = await listener.until("connect")
            await until_listed(two, ["one"])
            stream = (await the_stream(two))["id"]
            seen = await ask(api_port(two), "GET", f"/v1/streams/{stream}")
            assert (seen.json["stream"]["pod"], seen.json["stats"]["packets_lost"]) == ("one", 0)
            wrong = await ask(api_port(two), "POST", f"/v1/streams/{stream}/dtmf", {"digits": "x"})
            assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "digits")
            assert (await ask(api_port(two), "POST", f"/v1/streams/{stream}/text", {"text": "hello"})).status == 202
            async with asyncio.timeout(5.0):
                while bot.calls[0].texts != ["hello"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            nobody = await ask(api_port(two), "GET", "/v1/streams/nobody")
            assert (nobody.status, nobody.json["type"]) == (404, "/problems#no-such-stream")
            async with listening(api_port(one), headers={"Last-Event-ID": connected.id}) as other:
                assert (await ask(api_port(two), "DELETE", f"/v1/streams/{stream}")).status == 202
                await hang_up(caller)
                assert (await other.until("stop")).id == (await listener.until("stop")).id
        await until_listed(two, [])


async def test_a_sidecar_that_dies_is_forgotten_and_redis_may_go_and_come_back() -> None:
    async with RedisServer() as redis, EchoBot() as bot, sidecars(bot, redis, "one", "two") as (one, two):
        async with media_caller(two.address) as caller:
            talking = asyncio.create_task(caller.talk(60.0))
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(media_caller(one.address))
                await until_listed(two, ["one", "two"])
                stream = next(
                    each["id"]
                    for each in (await ask(api_port(two), "GET", "/v1/streams")).json["streams"]
                    if each["pod"] == "one"
                )
                os.kill(one.process.pid, signal.SIGKILL)
                await one.exit_code()
                dead = await ask(api_port(two), "GET", f"/v1/streams/{stream}")
                assert (dead.status, dead.headers["retry-after"]) == (503, "1")
                await until_listed(two, ["two"], within=3 * LEASE_SECONDS)
                stack.pop_all()  # nobody answers its BYE

            await redis.stop()
            listed, unseen = await pods(two)
            assert listed == ["two"]
            assert unseen is not None
            assert "Redis" in unseen
            away = await ask(api_port(two), "GET", f"/v1/streams/{stream}")
            assert (away.status, away.json["type"]) == (503, "/problems#unavailable")
            async with listening(api_port(two)) as listener:
                async with media_caller(two.address):
                    assert (await listener.next()).kind == "start"  # its own are heard
            await redis.start()
            await until_listed(two, ["two"])
            assert not caller.ended.done()
            talking.cancel()
