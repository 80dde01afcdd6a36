"""Replaces two sidecars by others while calls come and go; fails if a single call is cut, refused or has a gap.

    python -m tests.load.rolling_restart --calls 200

sipp places calls of 30 s through Kamailio, with a tone; bots write down what they hear. One sidecar gets SIGTERM, a
third starts; then the second gets SIGTERM. Both are to end by themselves once their calls are over. It ends by itself,
after about a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sidecar.bench.run import allow_descriptors
from tests.support import sipp
from tests.support.bots import Bot, BotCall
from tests.support.capture import rtp_packets
from tests.support.kamailio import dispatching
from tests.support.ports import LOOPBACK, free_port
from tests.support.serving import Serving, serving
from tests.support.tones import gaps, make_tone

CALL_SECONDS = 30.0
CALLS_A_SECOND = 10.0
TONE_HZ = 437.0
FIRST_AT, SECOND_AT = 0.5, 0.8  # of the time in which calls are placed


@asynccontextmanager
async def one_sidecar(bot: Bot, port: int) -> AsyncIterator[Serving]:
    drain = CALL_SECONDS + 30.0
    async with serving(workers=1, bot=bot.url, SIP__PORT=port, DRAIN_TIMEOUT=drain) as sidecar:
        yield sidecar


def is_whole(call: BotCall) -> bool:
    """Tell whether the bot has heard the tone from the beginning to the end."""
    heard = call.heard
    said = round((CALL_SECONDS - 1.0) * 8000)
    return len(heard) >= said and gaps(heard[1600 : said - 1600], 8000) == []


async def restart(calls: int) -> list[str]:
    """Do it, print what is seen, and return what is wrong."""
    ports = [free_port() for _ in range(3)]
    tone = make_tone(TONE_HZ, level_dbfs=-14.0, seconds=CALL_SECONDS - 1.0, rate=8000)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        bot = await stack.enter_async_context(Bot())
        first, second = [await stack.enter_async_context(one_sidecar(bot, port)) for port in ports[:2]]
        there = [(LOOPBACK, port) for port in ports]
        host, port = await stack.enter_async_context(dispatching(there, directory / "kamailio"))
        placing = asyncio.create_task(
            sipp.run(
                "call_with_pcap",
                f"{host}:{port}",
                directory / "sipp",
                packets=rtp_packets(tone),
                calls=calls,
                rate=CALLS_A_SECOND,
                seconds=CALL_SECONDS,
                within=calls / CALLS_A_SECOND + CALL_SECONDS + 30.0,
            )
        )
        placing_seconds = calls / CALLS_A_SECOND
        await asyncio.sleep(FIRST_AT * placing_seconds)
        first.terminate()
        third = await stack.enter_async_context(one_sidecar(bot, ports[2]))
        await asyncio.sleep((SECOND_AT - FIRST_AT) * placing_seconds)
        second.terminate()
        outcome = await placing
        codes = [await sidecar.exit_code(within=10.0) for sidecar in (first, second)]
        spread = [len(sidecar.logged("start")) for sidecar in (first, second, third)]
        whole = sum(is_whole(call) for call in bot.calls)
    print(f"calls of {CALL_SECONDS:g} s: {outcome.successful} went well, {outcome.failed} did not; at each: {spread}")
    print(f"heard whole: {whole} of {len(bot.calls)}; the first two ended with {codes}")
    problems = []
    if outcome.failed:
        problems.append(f"calls were refused or cut: {outcome.failures}")
    if whole < calls:
        problems.append("calls have gaps")
    if any(codes) or not all(spread):
        problems.append("a sidecar did not drain, or had no calls")
    return problems


def main() -> int:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    arguments = parser.parse_args()
    allow_descriptors(arguments.calls + 200)
    problems = asyncio.run(restart(arguments.calls))
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
