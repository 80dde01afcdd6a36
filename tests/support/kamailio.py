"""Kamailio, with the configuration that we ship."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sip import Address
from tests.support.ports import LOOPBACK, free_port
from tests.support.serving import options_of

CONFIGURATION = Path(__file__).parent.parent.parent / "examples" / "kamailio" / "kamailio.cfg"
PROGRAM = shutil.which("kamailio") or "/usr/sbin/kamailio"  # users have no /usr/sbin in their path
READY_SECONDS = 15.0


@asynccontextmanager
async def dispatching(
    to: Sequence[Address],
    directory: Path,
    *,
    host: str = LOOPBACK,
    callers: str | None = None,
    inside: Sequence[str] = (),
) -> AsyncIterator[Address]:
    """Run a Kamailio that spreads calls over sidecars until the block ends; give where it takes them.

    `callers` is who may call, else those of the configuration; `inside` is the command that it is run by.
    """
    port, sidecars = free_port(), _write_list(to, directory)
    given = [f"LISTEN=udp:{host}:{port}", f'DISPATCHER_LIST="{sidecars}"']
    given += [f'CALLERS="{callers}"'] if callers else []
    with (directory / "log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(*inside, PROGRAM, "-f", str(CONFIGURATION), "-DD", "-E", "-n", "2", "-m", "32", "-M", "4"),
            *("-Y", str(directory), "-w", str(directory), "-P", str(directory / "pid")),
            *(argument for each in given for argument in ("-A", each)),
            stdout=output,
            stderr=output,
        )
    try:
        await _until_ready((host, port), process, directory / "log")
        yield host, port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _write_list(sidecars: Sequence[Address], directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "dispatcher.list"
    path.write_text("".join(f"1 sip:{host}:{port}\n" for host, port in sidecars))
    return path


async def _until_ready(there: Address, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until it says that there is a sidecar."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            assert process.returncode is None, _read(log)
            with suppress(TimeoutError, ConnectionRefusedError):  # it is starting
                if (await options_of(there, within=0.5)).status == 200:
                    return


def _read(path: Path) -> str:
    return path.read_text(errors="replace")
