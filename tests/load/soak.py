"""Many calls for long: fails if the sidecar's memory grows, or if a socket is left when the calls have ended.

    python -m tests.load.soak --calls 300 --seconds 1200

Each call has a socket of its own, to its bot. Memory is compared from a quarter of the time on: until then pools and
tables find their size. Where the machine is too slow, frames are left out, and as much of what the bots have said waits
ever after, 640 bytes each: that is no leak, and the run says nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rtp.pcm import FRAMES_PER_SECOND
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.run import allow_descriptors
from sidecar.bench.served import served
from tests.load.talking import Talking, sockets_of, talking_calls

READINGS = 40
GROWTH_KIB = 4096
"""How much more the last quarter may need than the second."""

MOST_LOST = 0.002
"""Of all frames, on a machine that keeps up."""

GOODBYE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen at one moment; packets since the moment before."""

    seconds: float
    resident_kib: int
    sockets: int
    gap_p99_ms: float
    lost_frames: int

    @classmethod
    def take(cls, talking: Talking, processes: ProcessTree, seconds: float) -> Reading:
        """Look at a sidecar and its calls."""
        gap = talking.gap_ms
        return cls(
            seconds=seconds,
            resident_kib=processes.resident_kib(),
            sockets=sockets_of(processes),
            gap_p99_ms=gap.p99 if gap else 0.0,
            lost_frames=talking.lost_frames,
        )

    def __str__(self) -> str:
        state = f"{self.seconds:8.0f} {self.resident_kib:9d} {self.sockets:8d}"
        return f"{state} {self.gap_p99_ms:12.2f} {self.lost_frames:6d}"


async def soak(calls: int, seconds: float) -> list[str]:
    """Do it, print what is seen, and return what is wrong."""
    readings: list[Reading] = []
    async with served(max_calls=calls) as sidecar:
        processes = sidecar.processes
        sockets = sockets_of(processes)
        print(f" seconds  RSS, KiB  sockets  gap p99, ms   lost\n    idle {processes.resident_kib():9d} {sockets:8d}")
        async with talking_calls(calls, sidecar) as talking:
            started = time.monotonic()
            for _ in range(READINGS):
                talking.record()
                await asyncio.sleep(seconds / READINGS)
                readings.append(Reading.take(talking, processes, time.monotonic() - started))
                print(readings[-1], flush=True)
        left = await sockets_left(processes, sockets)
        print(f"   ended {processes.resident_kib():9d} {sockets + left:8d}")
    growth = growth_kib([reading.resident_kib for reading in readings])
    print(f"from the second quarter to the last, memory grew by {growth:.0f} KiB")
    lost = sum(reading.lost_frames for reading in readings) / (2 * calls * seconds * FRAMES_PER_SECOND)
    problems = [f"{left} sockets are left"] if left else []
    if growth > GROWTH_KIB:
        problems.append(f"memory grew by more than {GROWTH_KIB} KiB")
    if lost > MOST_LOST:
        problems.append(f"{100 * lost:.1f} % of the frames were lost: the machine is too slow, or does other things")
    return problems


async def sockets_left(processes: ProcessTree, idle: int) -> int:
    """Wait for the last goodbye; return how many sockets more there are than before all calls."""
    for _ in range(round(10 * GOODBYE_SECONDS)):
        if sockets_of(processes) <= idle:
            break
        await asyncio.sleep(0.1)
    return sockets_of(processes) - idle


def growth_kib(resident_kib: Sequence[int]) -> float:
    """Compare the last quarter of a soak with the second."""
    quarter = len(resident_kib) // 4
    return median(resident_kib[-quarter:]) - median(resident_kib[quarter : 2 * quarter])


def main() -> int:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=1200.0)
    arguments = parser.parse_args()
    allow_descriptors(arguments.calls + 100)
    problems = asyncio.run(soak(arguments.calls, arguments.seconds))
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
