"""Kills one of three media workers while calls are up; fails if calls of the others notice, or BYEs are late.

    python -m tests.load.worker_dies --calls 300

Callers and bots are those of `sidecar bench`, all real. The calls of the worker that is killed are to get BYE within
a second, all others are to hear no gap beyond 40 ms (p99 of the seconds after it), and a new call is to be taken
within two. It ends by itself, after about 20 s; on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from sidecar.bench.callers import Callers
from sidecar.bench.run import allow_descriptors
from sidecar.bench.served import Served, served
from tests.load.talking import Talking, talking_calls

WORKERS = 3
AROUND_SECONDS = 4.0
MOST_GAP_MS, MOST_BYE_SECONDS, MOST_NEW_SECONDS = 40.0, 1.0, 2.0


def workers_of(sidecar: Served) -> list[int]:
    """Return the process ids of the media workers."""
    members = sidecar.processes.members()
    return [each for each in members if b"sidecar.worker" in Path(f"/proc/{each}/cmdline").read_bytes()]


async def seconds_until_ended(callers: Callers, count: int) -> float | None:
    """Return how long it took until so many calls had been ended by the sidecar; None: not in time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while callers.ended < count:
        if loop.time() - began > AROUND_SECONDS:
            return None
        await asyncio.sleep(0.005)
    return loop.time() - began


async def seconds_until_taken(talking: Talking, sidecar: Served) -> float | None:
    """Place a call again and again until it is answered; return how long that took; None: not in time."""
    loop, callers = asyncio.get_running_loop(), talking.callers
    began, answered = loop.time(), callers.answered
    while loop.time() - began < AROUND_SECONDS:
        callers.call(0, sidecar=sidecar.address, bots_port=talking.bots_port)
        for _ in range(20):
            await asyncio.sleep(0.005)
            if callers.answered > answered:
                return loop.time() - began
    return None


async def run(calls: int) -> bool:
    """Return whether all was as it is to be."""
    allow_descriptors(calls + 200)
    async with served(max_calls=calls, workers=WORKERS) as sidecar, talking_calls(calls, sidecar) as talking:
        callers = talking.callers
        talking.record()
        victim = workers_of(sidecar)[0]
        os.kill(victim, signal.SIGKILL)
        bye = await seconds_until_ended(callers, calls // WORKERS)
        taken = await seconds_until_taken(talking, sidecar)
        await asyncio.sleep(AROUND_SECONDS)
        gap, ended = talking.gap_ms, callers.ended
    print(f"worker {victim} killed: BYE to all of its calls after {bye} s, a new call taken after {taken} s")
    print(f"calls that ended: {ended} of {calls}; the others' gaps, p99: {gap.p99 if gap else None} ms")
    in_time = bye is not None and bye <= MOST_BYE_SECONDS and taken is not None and taken <= MOST_NEW_SECONDS
    return in_time and gap is not None and gap.p99 < MOST_GAP_MS and ended == calls // WORKERS


def main() -> None:
    """Exit with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="in all; a multiple of three")
    sys.exit(0 if asyncio.run(asyncio.wait_for(run(parser.parse_args().calls), 120)) else 1)


if __name__ == "__main__":
    main()
