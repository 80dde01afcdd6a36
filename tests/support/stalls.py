"""Tells how late this machine is, so that a test can tell its own stalls from mistakes of the product.

A stall is what an empty program sees that wants to wake up every 5 ms: in the event loop of the test, and in a process
of its own, as the callers are. On an idle machine there is none, and nothing is forgiven.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

PERIOD = 0.005
STALL = 0.010
"""Seconds too late: half a frame."""

_BESIDE = f"""
import select, sys, time
at = time.monotonic()
while True:
    at += {PERIOD}
    if select.select([sys.stdin], [], [], max(0.0, at - time.monotonic()))[0]:
        break
    late = time.monotonic() - at
    if late > {STALL}:
        print(late)
        at += late
"""


@dataclass(slots=True)
class Stalls:
    """The stalls of a block of a test, in seconds; whole when the block has ended."""

    lengths: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        return max(self.lengths, default=0.0)

    @property
    def total(self) -> float:
        return sum(self.lengths)

    @property
    def forgiven(self) -> int:
        """How many holes or splices they may have made: one each, at the most two where audio starts again."""
        return 2 * len(self.lengths)


@contextlib.contextmanager
def stalls_beside() -> Iterator[Stalls]:
    """Measure until the block ends, in a process of its own alone: the machine's stalls, and none of the product's."""
    stalls = Stalls()
    beside = subprocess.Popen(
        [sys.executable, "-ISc", _BESIDE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield stalls
    finally:
        output, _ = beside.communicate()
        stalls.lengths += map(float, output.split())


@contextlib.asynccontextmanager
async def measured_stalls() -> AsyncIterator[Stalls]:
    """Measure until the block ends."""
    with stalls_beside() as stalls:
        watch = asyncio.create_task(_watch(stalls))
        try:
            yield stalls
        finally:
            watch.cancel()


async def _watch(stalls: Stalls) -> None:
    loop = asyncio.get_running_loop()
    at = loop.time()
    while True:
        at += PERIOD
        await asyncio.sleep(at - loop.time())
        late = loop.time() - at
        if late > STALL:
            stalls.lengths.append(late)
            at += late
