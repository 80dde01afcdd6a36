"""Calls that talk all the time, both ways; their callers and bots are those of `sidecar bench`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sidecar.bench.board import Board, open_board
from sidecar.bench.callers import open_callers
from sidecar.bench.plan import BenchPlan
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.programs import compile_programs, program
from sidecar.bench.served import Served
from sidecar.core.listening import Span

SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Talking:
    """What is counted of the calls."""

    board: Board

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
    with TemporaryDirectory() as directory, open_board(calls) as board:
        await compile_programs(Path(directory))
        async with (
            program(Path(directory), "load", board),
            program(Path(directory), "bots", board, plan.answer) as (_, bots_port),
            open_callers(plan, board) as callers,
        ):
            await callers.place(sidecar=sidecar.address, bots_port=int(bots_port))
            board["loss_per_mille"] = loss_per_mille
            board["running"] = 1
            try:
                await asyncio.sleep(SETTLE_SECONDS)
                yield Talking(board)
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
