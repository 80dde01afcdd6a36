"""Bots that misbehave at random, in every way at once: nothing may be left of any call.

`make misbehave` places 10,000 calls, and looks at the memory as well.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from sidecar.io.caller import CallPlan, place_call
from sip import SipUri
from tests.integration.conftest import StartSidecar
from tests.support.bots import Bot, BotCall
from tests.support.tones import make_tone

CALLS = int(os.environ.get("MISBEHAVING_CALLS", "120"))
AT_ONCE = 25
WARM_UP, GROWTH_KIB = 2000, 16 * 1024

TONE = make_tone(437.0, level_dbfs=-14.0, seconds=1.0, rate=8000)
CLOSES = (1000, 1001, 1008, 1011, 1012, 1013, 4000)
TEXTS = ("", "{", '{"type":"answer"}', '{"type":"streamAudio"}', "[]", '"\\u0000"', "x" * 70_000)


class BotAtRandom(Bot):
    """Does a few things, each at random."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._random.random() < 0.1:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not now\n")
        return None

    async def listen(self, connection: ServerConnection, call: BotCall) -> None:
        if self._random.random() < 0.2:
            connection.transport.pause_reading()  # and no pong either
            await asyncio.sleep(self._random.uniform(0.1, 1.0))
            connection.transport.abort()
            return
        async for _ in connection:
            pass

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        for _ in range(self._random.randrange(6)):
            await asyncio.sleep(self._random.uniform(0.0, 0.1))
            await self._do_something(connection)

    async def _do_something(self, connection: ServerConnection) -> None:
        random = self._random
        match random.randrange(7):
            case 0:
                connection.transport.abort()
            case 1:
                await connection.close(random.choice(CLOSES), "at random")
            case 2:
                connection.transport.write(random.randbytes(random.randrange(1, 200)))
            case 3:
                await connection.send(random.choice(TEXTS))
            case 4:
                await connection.send(random.randbytes(random.randrange(20_000)))
            case 5:
                await connection.send([random.randbytes(random.randrange(700)) for _ in range(5)])
            case _:
                await connection.ping()


def resident_kib() -> int:
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@contextmanager
def quiet_but_for_mistakes() -> Iterator[list[Any]]:
    """Log nothing; give what the sidecar takes for a mistake of its own."""
    mistakes: list[Any] = []

    def keep(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if method in ("error", "exception"):
            mistakes.append(event)
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]  # in place, as loggers have it already
    before = processors.copy()
    processors[:] = [structlog.processors.format_exc_info, keep]
    try:
        yield mistakes
    finally:
        processors[:] = before


async def test_nothing_is_left_of_calls_whose_bots_misbehave(start_sidecar: StartSidecar) -> None:
    random = Random(5)
    with quiet_but_for_mistakes() as mistakes:
        await place_calls(start_sidecar, random)
    assert mistakes == []


async def place_calls(start_sidecar: StartSidecar, random: Random) -> None:
    async with BotAtRandom(random) as bot, BotAtRandom(random) as spare:
        stream = {"url": bot.url, "reconnect_max": "1", "heart_beat": "1", "events": "call"}
        policies = ("hangup", "keep", f"fallback:{spare.url}")
        numbers, memory = iter(range(1, CALLS + 1)), dict[int, int]()

        async with start_sidecar(stream=stream) as car:

            async def call(number: int) -> None:
                headers = [
                    ("X-STREAM_ON_BOT_LOST", random.choice(policies)),
                    ("X-STREAM_ON_BOT_CLOSE", random.choice(("hangup", "keep"))),
                    ("X-STREAM_ANSWER", random.choice(("connected", "immediate"))),
                    ("X-STREAM_REPLAY", random.choice(("0", "200", "2000"))),
                    ("X-STREAM_MESSAGE_DEFLATE", random.choice(("true", "false"))),
                ]
                seconds = random.uniform(0.1, 1.0)
                target = SipUri(*car.sidecar.sip_address)
                await place_call(CallPlan(target, TONE, seconds, headers=headers))
                for each in (bot, spare):
                    each.calls.clear()
                if number % WARM_UP == 0:
                    memory[number] = resident_kib()

            async def call_on() -> None:
                for number in numbers:
                    await call(number)

            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(call_on())
            await car.until_no_calls()
    if CALLS > 2 * WARM_UP:
        memory[CALLS] = resident_kib()
        print(", ".join(f"{kib} KiB after {calls} calls" for calls, kib in memory.items()))  # noqa: T201  it is what is measured
        assert memory[CALLS] - memory[WARM_UP] < GROWTH_KIB
