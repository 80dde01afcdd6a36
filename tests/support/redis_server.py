"""A real Redis, that a test may stop and start again."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

READY_SECONDS = 10.0


class RedisServer:
    """Runs in the block; keeps nothing on disk, so that a restart forgets everything, unless its arguments say so."""

    def __init__(self, *arguments: str, inside: Sequence[str] = ()) -> None:
        """`inside` is the command that it is run by."""
        self._arguments = arguments
        self._inside = inside
        self._directory = TemporaryDirectory(prefix="redis")  # pytest's would be too long for a socket
        self._process: asyncio.subprocess.Process | None = None
        self._path = Path(self._directory.name) / "s"

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def path_of(self, client: str) -> Path:
        """Return a path to it for one client alone, that a test may take away."""
        path = self._path.with_name(client)
        path.symlink_to(self._path)
        return path

    def away(self, client: str) -> Callable[[], None]:
        """Take the path of one client away; return what brings it back."""
        path = self._path.with_name(client)
        path.unlink()
        return lambda: path.symlink_to(self._path)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        self._directory.cleanup()

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        program = shutil.which("redis-server")
        assert program is not None
        self._process = await asyncio.create_subprocess_exec(
            *(*self._inside, program, "--unixsocket", str(self._path), "--save", ""),
            *(self._arguments or ("--port", "0", "--appendonly", "no")),
            cwd=self._directory.name,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(READY_SECONDS):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_unix_connection(str(self._path))
                    writer.close()
                    return
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None
            self._path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Take away what it has kept on disk, while it is stopped."""
        shutil.rmtree(self._path.with_name("appendonlydir"), ignore_errors=True)

    def pause(self, *, going: bool = False) -> None:
        """From now on it does nothing, and says so to nobody; or it goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT if going else signal.SIGSTOP)
