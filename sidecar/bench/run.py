"""Runs the bench: half of the floor, the sidecar, the other half of the floor, all with the same callers and bots."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rtp.pcm import FRAME_MS
from sidecar.bench.callers import open_callers
from sidecar.bench.errors import BenchError
from sidecar.bench.figures import Figures, Reading
from sidecar.bench.plan import BenchPlan
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.programs import Partners, program, running_partners
from sidecar.bench.served import Served, served

SETTLE_SECONDS = 2.0
"""Of talk before anything is counted."""

_OTHER_DESCRIPTORS = 100


async def run_bench(plan: BenchPlan, *, on_state: Callable[[str], None] = lambda _state: None) -> Figures:
    """Do all of it; raise BenchError if it cannot be done. `on_state` is told what is being done."""
    allow_descriptors(plan.descriptors + _OTHER_DESCRIPTORS)
    on_state("compiling")
    async with running_partners(plan) as partners:
        return await Bench(plan, partners, on_state).run()


class Bench:
    """One run."""

    def __init__(self, plan: BenchPlan, partners: Partners, on_state: Callable[[str], None]) -> None:
        self._plan = plan
        self._partners = partners
        self._board = partners.board
        self._on_state = on_state

    async def run(self) -> Figures:
        plan, before = self._plan, await self.measure_floor()
        async with served(max_calls=plan.calls, workers=plan.workers, rtp_mode=plan.rtp_mode) as sidecar:
            reading, kib_per_call, workers = await self.measure(sidecar)
        after = await self.measure_floor()
        if self._board["faults"]:
            raise BenchError(f"the callers and bots could not keep up: {self._board['faults']} failed system calls")
        return Figures(
            plan=plan,
            workers=workers,
            rss_kib_per_call=kib_per_call,
            sidecar=reading,
            floor_us_per_frame=1e6 * (before.cpu_seconds + after.cpu_seconds) / (before.frames + after.frames),
        )

    async def measure_floor(self) -> Reading:
        """Measure half of it, the same system calls with no work between them."""
        self._on_state("measuring the floor")
        arguments = (self._partners.bots_port, self._plan.message_bytes)
        async with program(self._partners.directory, "floor", self._board, *arguments) as (process, port):
            self._board.ports("target_port")[:] = int(port)
            async with self._talking():
                reading = await self._read(ProcessTree(process.pid), self._plan.seconds / 2)
        if not reading.frames:
            raise BenchError("the floor took no calls")
        return reading

    async def measure(self, sidecar: Served) -> tuple[Reading, float, int]:
        """Return what was measured, the KiB of a call, and the number of workers."""
        idle_kib = sidecar.processes.resident_kib()
        async with open_callers(self._plan, self._board) as callers:
            self._on_state("placing calls")
            await callers.place(sidecar=sidecar.address, bots_port=self._partners.bots_port)
            self._on_state("measuring the sidecar")
            async with self._talking():
                reading = await self._read(sidecar.processes, self._plan.seconds)
                busy_kib = sidecar.processes.resident_kib()
            self._on_state("hanging up")
            await callers.hang_up()
        ports = len(set(self._board.ports("target_port").tolist()))
        workers = max(1, self._plan.workers) if self._plan.rtp_mode == "ports" else ports  # each has one, of its own
        return reading, (busy_kib - idle_kib) / self._plan.calls, workers

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[None]:
        """Let the callers talk until the block ends; they have settled when it begins."""
        self._board["running"] = 1
        try:
            await asyncio.sleep(SETTLE_SECONDS)
            yield
        finally:
            self._board["running"] = 0

    async def _read(self, processes: ProcessTree, seconds: float) -> Reading:
        board = self._board
        board.forget()
        board["recording"] = 1
        cpu, at = processes.cpu_seconds(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, took = processes.cpu_seconds() - cpu, time.monotonic() - at
        board["recording"] = 0
        return Reading(
            cpu_seconds=cpu,
            seconds=took,
            frames=min(board["messages"], board["received"] * self._plan.ptime_ms // FRAME_MS),
            lost_up=board["lost_up"],
            lost_down=board["lost_down"],
            uplink_ms=board.span("uplink"),
            gap_ms=board.span("gaps"),
        )


def allow_descriptors(count: int) -> None:
    """Raise the limit of open files, which the programs inherit: each has a socket a call."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(f"{count} open files are needed, and {hard} allowed: raise `ulimit -n`")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
