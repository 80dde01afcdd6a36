"""The C programs of the bench: compiled into a directory of their own, run until a block ends."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

from sidecar.bench.board import Board, open_board
from sidecar.bench.errors import BenchError
from sidecar.bench.plan import BenchPlan

PROGRAMS = ("load", "bots", "floor")

_READY_SECONDS = 30.0
_GOODBYE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Partners:
    """The sound of callers, and their bots: two programs that run."""

    board: Board
    bots_port: int
    directory: Path  # of all programs, compiled


@asynccontextmanager
async def running_partners(plan: BenchPlan) -> AsyncIterator[Partners]:
    """Compile the programs, and have callers and bots for the calls of a plan until the block ends."""
    with TemporaryDirectory() as name, open_board(plan.calls, ptime_ms=plan.ptime_ms, noisy=plan.deflate) as board:
        directory = Path(name)
        await _compile_programs(directory)
        async with (
            program(directory, "load", board),
            program(directory, "bots", board, plan.answer) as (_, port),
        ):
            yield Partners(board, int(port), directory)


async def _compile_programs(directory: Path) -> None:
    """Compile all programs into `directory`; raise BenchError if there is no compiler, or it fails."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BenchError("there is no C compiler (cc): install one, such as Debian's package gcc, or name it in CC")
    with as_file(files("sidecar.bench")) as sources:
        commands = [
            (compiler, "-std=gnu11", "-O2", "-o", str(directory / name), str(sources / f"{name}.c"), "-ldl")
            for name in PROGRAMS
        ]
        await asyncio.gather(*(_compile(*command) for command in commands))


@asynccontextmanager
async def running(
    *command: str, board: Board | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run a program until the block ends; `board` is handed down to it by its descriptor."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=PIPE if board is not None else DEVNULL,
        stderr=None if board is not None else PIPE,
        pass_fds=(board.descriptor,) if board is not None else (),
        env=environment,
    )
    try:
        yield process
    finally:
        await _end(process)


@asynccontextmanager
async def program(directory: Path, name: str, board: Board, *arguments: object) -> AsyncIterator[tuple[Process, str]]:
    """Run one of the programs; give it, and what it said when it was ready."""
    command = (str(directory / name), str(board.descriptor), *map(str, arguments))
    async with running(*command, board=board) as process:
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS)
        except TimeoutError:
            raise BenchError(f"the program {name} is not ready within {_READY_SECONDS:g} s") from None
        if not line:
            raise BenchError(f"the program {name} has ended: its error is above")
        yield process, line.decode().strip()


async def _compile(*command: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from None
    _, errors = await process.communicate()
    if process.returncode:
        raise BenchError(f"{' '.join(command)}: {errors.decode(errors='replace').strip()}")


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GOODBYE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
