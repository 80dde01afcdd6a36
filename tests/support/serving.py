"""`sidecar serve` in processes of its own, on free ports of loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sip import Address, Response, parse_message
from tests.support.sip_messages import request


class Serving:
    """A sidecar that runs by itself, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self._news = asyncio.Condition()

    @property
    def address(self) -> Address:
        """Where it takes SIP."""
        host, port = str(self.logged("ready")[0]["sip"]).removeprefix("sip:").split(":")
        return host, int(port)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log that tell of an event."""
        return [line for line in self.log if line["event"] == event]

    async def until_logged(self, event: str, *, times: int = 1, within: float = 30.0) -> dict[str, Any]:
        """Wait until the log has told of an event so often; return the last of these lines."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: len(self.logged(event)) >= times)
        return self.logged(event)[times - 1]

    def workers(self) -> list[int]:
        """Return the process ids of the media workers, the oldest first."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children if b"sidecar.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]

    async def until_workers(self, are_right: Callable[[list[int]], bool], *, within: float = 30.0) -> None:
        """Wait until the media workers are as they should be."""
        async with asyncio.timeout(within):
            while not are_right(self.workers()):  # noqa: ASYNC110  the kernel does not tell
                await asyncio.sleep(0.02)

    async def options(self) -> Response:
        """Ask what an INVITE would be told."""
        return await options_of(self.address)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def exit_code(self, *, within: float = 10.0) -> int:
        """Wait until it has ended."""
        return await asyncio.wait_for(self.process.wait(), within)

    async def read_log(self) -> None:
        """Read what it logs until it ends."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._news:
                self.log.append(json.loads(line) if line.startswith(b"{") else {"event": line.decode()})
                self._news.notify_all()


async def options_of(there: Address, *, within: float = 5.0) -> Response:
    """Ask what an INVITE would be told, there; raise TimeoutError if nobody says anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(there)
        host, port = sock.getsockname()
        via = f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-{os.urandom(8).hex()}"
        uri = f"sip:{there[0]}:{there[1]}"
        asked = request("OPTIONS", via=via, contact=None, call_id=os.urandom(8).hex(), uri=uri)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, asked)
        response = parse_message(await asyncio.wait_for(loop.sock_recv(sock, 65535), within))
    assert isinstance(response, Response)
    return response


@asynccontextmanager
async def serving(*inside: str, workers: int, bot: str, **settings: object) -> AsyncIterator[Serving]:
    """Run a sidecar for calls to one bot; kill what is left of it at the end.

    `settings` are spelled as in the environment, without the prefix; `inside` is the command that it is run by.
    """
    given = {
        "WORKERS": workers,
        "SIP__PORT": 0,
        "RTP__PORT": 0,
        "API__ENABLED": "false",  # others have its port
        "MAX_LATE_MS": 0,  # a machine that tests in parallel is late
        "STREAM__URL": bot,
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        *(*inside, sys.executable, "-m", "sidecar", "serve"),
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.getcwd(),
            **{f"SIDECAR_{name}": str(value) for name, value in given.items()},
        },
    )
    sidecar = Serving(process)
    reading = asyncio.create_task(sidecar.read_log())
    try:
        await sidecar.until_logged("ready")
        yield sidecar
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


def is_alive(process: int) -> bool:
    """Tell whether a process is there, and not only its entry in the table."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
