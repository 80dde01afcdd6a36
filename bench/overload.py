#!/usr/bin/env python3
"""Gives the sidecar half of the time that it needs, for ten seconds, and tells second by second how its calls fare.

    python -m bench.overload [calls]

It is the sidecar of `sidecar bench`. What it needs is measured first; then it is stopped and let go in turn, every
20 ms.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from rtp.pcm import FRAMES_PER_SECOND
from sidecar.bench.board import Board
from sidecar.bench.callers import open_callers
from sidecar.bench.plan import BenchPlan
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.programs import running_partners
from sidecar.bench.served import Served, served

_BEFORE, _OVERLOADED, _AFTER = 5, 10, 8  # seconds
_PERIOD = 0.020


async def _second(board: Board, sidecar: Served) -> float:
    """Let a second pass; print what became of it, and return the share of a core that was used."""
    board.forget()
    cpu, at = sidecar.processes.cpu_seconds(), time.monotonic()
    board["recording"] = 1
    await asyncio.sleep(1.0)
    board["recording"] = 0
    share = (sidecar.processes.cpu_seconds() - cpu) / (time.monotonic() - at)
    uplink, expected = board.span("uplink"), board["calls"] * FRAMES_PER_SECOND
    late = "none" if uplink is None else f"{uplink.p50:6.1f} {uplink.p99:6.1f}"
    up, down = board["messages"] / expected, board["received"] / expected
    print(f"{late:>14} ms   {up:6.1%} up   {down:6.1%} down   {share:.0%}")
    return share


async def _ration(processes: ProcessTree, share: float) -> None:
    """Let a process run for a share of the time."""
    try:
        while True:
            for what, part in ((signal.SIGSTOP, 1 - share), (signal.SIGCONT, share)):
                for process in processes.members():
                    os.kill(process, what)
                await asyncio.sleep(_PERIOD * part)
    finally:
        for process in processes.members():
            os.kill(process, signal.SIGCONT)


async def _run(plan: BenchPlan) -> None:
    async with (
        running_partners(plan) as partners,
        served(max_calls=plan.calls) as sidecar,
        open_callers(plan, partners.board) as callers,
    ):
        board = partners.board
        await callers.place(sidecar=sidecar.address, bots_port=partners.bots_port)
        board["running"] = 1
        print(f"{plan.calls} calls: uplink p50, p99; frames that arrived; share of a core")
        shares = [await _second(board, sidecar) for _ in range(_BEFORE)]
        share = sorted(shares)[_BEFORE // 2] / 2
        print(f"--- {share:.0%} of a core at the most")
        ration = asyncio.create_task(_ration(sidecar.processes, share))
        for _ in range(_OVERLOADED):
            await _second(board, sidecar)
        ration.cancel()
        await asyncio.wait([ration])
        print("--- as much as it wants")
        for _ in range(_AFTER):
            await _second(board, sidecar)
        board["running"] = 0
        await callers.hang_up()


if __name__ == "__main__":
    asyncio.run(_run(BenchPlan(int(sys.argv[1]) if len(sys.argv) > 1 else 300, 0.0)))
