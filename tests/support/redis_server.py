"""A real Redis, that a test may stop and start again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

READY_SECONDS = 10.0


class RedisServer:
    """Runs in the block; keeps nothing on disk, so that a restart forgets everything."""

    def __init__(self) -> None:
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
            *(program, "--port", "0", "--unixsocket", str(self._path), "--save", "", "--appendonly", "no"),
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
