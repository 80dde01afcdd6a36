"""Bots that misbehave at random, in every way at once: nothing may be left of any call.

`make misbehave` places 10,000 calls, and looks at the memory as well.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import structlog

from sidecar.io.caller import CallPlan, place_call
from sip import SipUri
from tests.integration.conftest import StartSidecar
from tests.support.bots_at_random import BotAtRandom
from tests.support.tones import make_tone

CALLS = int(os.environ.get("MISBEHAVING_CALLS", "120"))
AT_ONCE = 25
WARM_UP, GROWTH_KIB = 2000, 16 * 1024

TONE = make_tone(437.0, level_dbfs=-14.0, seconds=1.0, rate=8000)


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
