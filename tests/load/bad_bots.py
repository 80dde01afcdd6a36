"""Good calls beside calls whose bots misbehave: what good callers hear, and the memory that a bad bot takes.

    python -m tests.load.bad_bots stalled --good 99 --bad 1
    python -m tests.load.bad_bots flooding --good 10 --bad 20

`quiet` bots are good, for comparison: they listen, and say nothing. Memory is the most that the sidecar's processes had
while the bad calls were up, less what they had with the good calls alone. Fails if it is more than the bounds allow, or
if a good caller waits too long for a packet.
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
GAP_P99_MS = 25.0

# What docs/architecture.md lets one bot have wait, in KiB: 2 s for a bot that does not read; PLAYBACK_MAX of one that
# says too much; REPLAY for one that is away. And as much for what any call has, and for what an allocator keeps.
SECOND_KIB = 2 * RATE / 1024
ANY_CALL_KIB = 300
BOUND_KIB = {
    "quiet": ANY_CALL_KIB,
    "stalled": ANY_CALL_KIB + 2 * 2 * SECOND_KIB,
    "flooding": ANY_CALL_KIB + 2 * PLAYBACK_MAX_SECONDS * SECOND_KIB,
    "reconnecting": ANY_CALL_KIB + 2 * 10 * SECOND_KIB,
}
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
    """What was seen."""

    kind: str
    gap_ms: Span | None
    lost_frames: int
    kib_per_bot: float

    def problems(self) -> list[str]:
        """Say what is wrong."""
        found = []
        if self.kib_per_bot > BOUND_KIB[self.kind]:
            found.append(f"{self.kib_per_bot:.0f} KiB a bot, more than {BOUND_KIB[self.kind]:.0f}")
        if self.gap_ms is None or self.gap_ms.p99 >= GAP_P99_MS:
            found.append(f"{self.gap_ms} between packets of good calls: p99 is not under {GAP_P99_MS} ms")
        return found


async def measure(kind: str, *, good: int, bad: int, seconds: float) -> Outcome:
    """Let good and bad calls talk side by side."""
    async with served(max_calls=good + bad) as sidecar, talking_calls(good, sidecar) as talking:
        before = sidecar.processes.resident_kib()
        async with bad_calls(kind, bad, seconds + 10.0, sidecar):
            await asyncio.sleep(1.0)  # of setting up
            talking.record()
            most = await most_resident_kib(sidecar.processes, seconds)
            return Outcome(kind, talking.gap_ms, talking.lost_frames, (most - before) / bad)


@asynccontextmanager
async def bad_calls(kind: str, count: int, seconds: float, sidecar: Served) -> AsyncIterator[None]:
    """Place calls with such bots, until the block ends."""
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(make_bot(kind))
        headers = [
            ("X-STREAM_URL", bot.url),
            ("X-STREAM_RATE", str(RATE)),
            ("X-STREAM_PLAYBACK_MAX", str(PLAYBACK_MAX_SECONDS)),
            ("X-STREAM_REPLAY", "10000"),
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
    parser.add_argument("kind", choices=BOUND_KIB)
    parser.add_argument("--good", type=int, default=99)
    parser.add_argument("--bad", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    allow_descriptors(2 * (arguments.good + arguments.bad) + 100)
    outcome = asyncio.run(measure(arguments.kind, good=arguments.good, bad=arguments.bad, seconds=arguments.seconds))
    gap = outcome.gap_ms
    print(
        f"{arguments.good} good calls beside {arguments.bad} {arguments.kind}: {outcome.kib_per_bot:.0f} KiB a bot;"
        f" {'no' if gap is None else f'{gap.p50:.2f}, {gap.p99:.2f}'} ms between packets (p50, p99),"
        f" {outcome.lost_frames} frames lost"
    )
    print("\n".join(outcome.problems()) or "ok")
    return 1 if outcome.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
