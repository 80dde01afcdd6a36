"""Calls that talk all the time, both ways; their callers and bots are those of `sidecar bench`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar.bench.board import Board
from sidecar.bench.callers import Callers, open_callers
from sidecar.bench.plan import BenchPlan
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.programs import running_partners
from sidecar.bench.served import Served
from sidecar.core.listening import Span

SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Talking:
    """What is counted of the calls, and who places them."""

    board: Board
    callers: Callers
    bots_port: int

    def record(self) -> None:
        """Count anew."""
        self.board.forget()
        self.board["recording"] = 1

    @property
    def gap_ms(self) -> Span | None:
        """Between two packets that arrive at a caller, since it was counted anew."""
        return self.board.span("gaps")

    @property
    def lost_frames(self) -> int:
        return self.board["lost_up"] + self.board["lost_down"]

    @property
    def messages(self) -> int:
        """How many messages of audio the bots have got, each of 20 ms."""
        return self.board["messages"]


@asynccontextmanager
async def talking_calls(calls: int, sidecar: Served, *, loss_per_mille: int = 0) -> AsyncIterator[Talking]:
    """Place so many calls, and let them talk until the block ends; they have settled when it begins.

    So many of their packets are lost on the way to the sidecar.
    """
    plan = BenchPlan(calls=calls, seconds=0.0)
    async with running_partners(plan) as partners, open_callers(plan, partners.board) as callers:
        board = partners.board
        await callers.place(sidecar=sidecar.address, bots_port=partners.bots_port)
        board["loss_per_mille"] = loss_per_mille
        board["running"] = 1
        try:
            await asyncio.sleep(SETTLE_SECONDS)
            yield Talking(board, callers, partners.bots_port)
        finally:
            board["running"] = 0
            await callers.hang_up()


def sockets_of(processes: ProcessTree) -> int:
    """Return how many sockets they have: one for each call, and those for all."""
    directories = [Path(f"/proc/{process}/fd") for process in processes.members()]
    return sum(_is_socket(path) for directory in directories for path in directory.iterdir())


def _is_socket(path: Path) -> bool:
    try:
        return str(path.readlink()).startswith("socket:")
    except OSError:  # closed meanwhile
        return False
