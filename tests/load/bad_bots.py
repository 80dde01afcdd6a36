"""Good calls beside calls whose bots misbehave: what good callers hear, and the memory that a bad bot takes.

    python -m tests.load.bad_bots stalled --good 99 --bad 1
    python -m tests.load.bad_bots flooding --good 10 --bad 20

`quiet` bots are good, for comparison: they listen, and say nothing. Memory is the most that the sidecar's processes had
while the bad calls were up, less what they had with the good calls alone. It fails if that is more than the bounds
allow, or if good callers wait longer for packets than they should, and than they did without the bad calls.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection

from sidecar.bench.errors import BenchError
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.run import allow_descriptors
from sidecar.bench.served import Served, served
from sidecar.core.listening import Span
from sidecar.io.caller import CallPlan, place_call
from sip import SipUri
from tests.load.talking import talking_calls
from tests.support.bots import Bot, BotCall, StallingBot
from tests.support.tones import make_tone

RATE = 16000
PLAYBACK_MAX_SECONDS = 60
REPLAY_SECONDS = 10
GAP_P99_MS = 25.0
NOISE = 1.2  # how much p99 may differ between two looks at the same calls

# What docs/architecture.md lets wait for one bot: 2 s that it does not read, PLAYBACK_MAX that it says too much, REPLAY
# while it is away. Allocators may keep as much again; then there is what any call has.
SECOND_KIB = 2 * RATE / 1024
WAITING_SECONDS = {"quiet": 0, "stalled": 2, "flooding": PLAYBACK_MAX_SECONDS, "reconnecting": 2 + REPLAY_SECONDS}
A_CALL_KIB, ALL_CALLS_KIB = 150, 4096
TONE = make_tone(437.0, level_dbfs=-14.0, seconds=60.0, rate=8000)


class QuietBot(Bot):
    """Listens, keeps nothing, and says nothing."""

    async def listen(self, connection: ServerConnection, call: BotCall) -> None:
        async for _ in connection:
            pass


class FloodingBot(QuietBot):
    """Sends audio as fast as it is taken."""

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        second = bytes(2 * RATE)
        while True:
            await connection.send(second)
            await asyncio.sleep(0)  # also where there is always room


class ReconnectingBot(QuietBot):
    """Says something, and is gone; so each time that it is called again."""

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        await connection.send(bytes(2 * RATE))
        await asyncio.sleep(0.2)
        connection.transport.abort()


def make_bot(kind: str) -> Bot:
    match kind:
        case "stalled":
            return StallingBot(receive_buffer=4096)
        case "flooding":
            return FloodingBot()
        case "reconnecting":
            return ReconnectingBot()
    return QuietBot()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen. Gaps are between two packets that arrive at a good caller."""

    before: Span
    beside: Span
    lost_frames: int
    grown_kib: int

    def problems(self, kind: str, bad: int) -> list[str]:
        """Say what is wrong."""
        found = []
        bound = ALL_CALLS_KIB + bad * (A_CALL_KIB + 2 * WAITING_SECONDS[kind] * SECOND_KIB)
        if self.grown_kib > bound:
            found.append(f"memory grew by more than {bound:.0f} KiB")
        if self.beside.p99 >= GAP_P99_MS and self.beside.p99 > NOISE * self.before.p99:
            found.append("good callers wait longer for packets")
        return found


async def measure(kind: str, *, good: int, bad: int, seconds: float) -> Outcome:
    """Let good calls talk alone, then beside bad ones."""
    async with served(max_calls=good + bad) as sidecar, talking_calls(good, sidecar) as talking:
        talking.record()
        await asyncio.sleep(seconds / 2)
        before, resident = talking.gap_ms, sidecar.processes.resident_kib()
        async with bad_calls(kind, bad, seconds + 10.0, sidecar):
            talking.record()
            most = await most_resident_kib(sidecar.processes, seconds)
            beside = talking.gap_ms
        if before is None or beside is None:
            raise BenchError("the good callers heard nothing")
        return Outcome(before, beside, talking.lost_frames, most - resident)


@asynccontextmanager
async def bad_calls(kind: str, count: int, seconds: float, sidecar: Served) -> AsyncIterator[None]:
    """Place calls with such bots, until the block ends."""
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(make_bot(kind))
        headers = [
            ("X-STREAM_URL", bot.url),
            ("X-STREAM_RATE", str(RATE)),
            ("X-STREAM_PLAYBACK_MAX", str(PLAYBACK_MAX_SECONDS)),
            ("X-STREAM_REPLAY", str(1000 * REPLAY_SECONDS)),
        ]
        plan = CallPlan(SipUri(*sidecar.address), TONE, seconds, headers=headers)
        calls = [asyncio.create_task(place_call(plan)) for _ in range(count)]
        await bot.connected(count)
        yield
        if over := [call for call in calls if call.done()]:
            raise BenchError(f"{len(over)} of the bad calls have ended: {over[0].result()}")
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


async def most_resident_kib(processes: ProcessTree, seconds: float) -> int:
    """Look at the memory for so long."""
    most = 0
    for _ in range(round(4 * seconds)):
        await asyncio.sleep(0.25)
        most = max(most, processes.resident_kib())
    return most


def main() -> int:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=WAITING_SECONDS)
    parser.add_argument("--good", type=int, default=99)
    parser.add_argument("--bad", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    allow_descriptors(2 * (arguments.good + arguments.bad) + 100)
    outcome = asyncio.run(measure(arguments.kind, good=arguments.good, bad=arguments.bad, seconds=arguments.seconds))
    print(f"{arguments.bad} {arguments.kind}: {outcome.grown_kib / arguments.bad:.0f} KiB each")
    for what, gap in (("alone", outcome.before), (f"beside {arguments.bad} {arguments.kind}", outcome.beside)):
        print(f"{arguments.good} good calls {what}: {gap.p50:.2f}, {gap.p99:.2f} ms between packets (p50, p99)")
    print(f"{outcome.lost_frames} frames of good calls lost beside them")
    problems = outcome.problems(arguments.kind, arguments.bad)
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
