"""A sidecar of the bench's own: the real command, in processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio import StreamReader
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sidecar.bench.errors import BenchError
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.programs import running
from sip import Address

_READY_SECONDS = 30.0
_LOCAL = {"HOST": "127.0.0.1", "PORT": "0"}


@dataclass(frozen=True, slots=True)
class Served:
    """A sidecar that takes calls."""

    address: Address
    processes: ProcessTree


@asynccontextmanager
async def served(*, max_calls: int, workers: int = 1, rtp_mode: str = "one") -> AsyncIterator[Served]:
    """Run a sidecar on loopback, with the environment's settings but for its own addresses, until the block ends.

    It takes all calls, however late it becomes: to see that is what a bench is for.
    """
    ours = [f"SIDECAR_{section}__{name}" for section in ("SIP", "RTP") for name in ("HOST", "PORT", "ADVERTISED")]
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {f"SIDECAR_{section}__{name}": value for section in ("SIP", "RTP") for name, value in _LOCAL.items()}
    environment |= {
        "SIDECAR_SIP__MAX_CALLS": str(max_calls),
        "SIDECAR_WORKERS": str(workers),
        "SIDECAR_RTP__MODE": rtp_mode,
        "SIDECAR_MAX_LATE_MS": "0",
        "SIDECAR_DRAIN_TIMEOUT": "0",
        "SIDECAR_API__ENABLED": "false",
    }
    async with serving(sys.executable, "-m", "sidecar", "serve", environment=environment) as sidecar:
        yield sidecar


@asynccontextmanager
async def serving(*command: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Served]:
    """Run what says in its log where it takes calls, until the block ends.

    Its log is read to the end: who waits for a process waits for its pipes.
    """
    reading: asyncio.Task[None] | None = None
    try:
        async with running(*command, environment=environment) as process:
            assert process.stderr is not None
            try:
                address = await asyncio.wait_for(_address(process.stderr), _READY_SECONDS)
            except TimeoutError:
                raise BenchError(f"not ready within {_READY_SECONDS:g} s: {' '.join(command)}") from None
            reading = asyncio.create_task(_read_on(process.stderr))
            yield Served(address, ProcessTree(process.pid))
    finally:
        if reading is not None:
            reading.cancel()


async def _address(log: StreamReader) -> Address:
    """Read the log of a sidecar until it says where it takes calls."""
    said = b""
    while line := await log.readline():
        said += line
        if line.startswith(b"{") and (told := json.loads(line)).get("event") == "ready":
            host, port = str(told["sip"]).removeprefix("sip:").split(":")
            return host, int(port)
    raise BenchError(f"the sidecar did not start: {said.decode(errors='replace').strip()}")


async def _read_on(log: StreamReader) -> None:
    while await log.read(1 << 16):
        pass
