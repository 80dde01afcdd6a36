"""A bot in a process of its own, that can be killed: it says nothing, and writes down what it hears as it comes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.tones import Pcm

_BOT = """
import asyncio, struct, sys
from websockets.asyncio.server import serve

async def main(host, port, directory):
    number = 0

    async def listen(connection):
        nonlocal number
        number += 1
        with open(f"{directory}/{number}", "ab", buffering=0) as file:
            async for data in connection:
                kind, data = ("T", data.encode()) if isinstance(data, str) else ("B", data)
                file.write(struct.pack("<cI", kind.encode(), len(data)) + data)

    async with serve(listen, host, int(port), compression=None, ping_interval=None):
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True)
class HeardByProcess:
    """What one connection has brought."""

    texts: list[str]
    pcm: Pcm


class BotProcess:
    """Listens on `port` as long as it runs; `connections` may be read at any time, and after its death."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self._process = process
        self._directory = directory

    @property
    def connections(self) -> list[HeardByProcess]:
        """What each has brought, in the order in which they came."""
        files = sorted(self._directory.iterdir(), key=lambda file: int(file.name))
        return [_read(file.read_bytes()) for file in files]

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        self._process.kill()
        self._process.wait()

    async def until_connected(self, connections: int, *, within: float = 5.0) -> None:
        """Wait until so many connections have come."""
        async with asyncio.timeout(within):
            while len(list(self._directory.iterdir())) < connections:  # noqa: ASYNC110  it is another process
                await asyncio.sleep(0.01)


@contextmanager
def bot_process(host: str, port: int, directory: Path, *, inside: Sequence[str] = ()) -> Iterator[BotProcess]:
    """Run one; `inside` is the command that it is run by."""
    directory.mkdir()
    command = [*inside, sys.executable, "-c", _BOT, host, str(port), str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield BotProcess(process, directory)
        finally:
            process.kill()


def _read(data: bytes) -> HeardByProcess:
    texts, audio, at = [], b"", 0
    while at + 5 <= len(data):
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "little")
        if data[at : at + 1] == b"T":
            texts.append(data[at + 5 : end].decode())
        else:
            audio += data[at + 5 : end]
        at = end
    return HeardByProcess(texts, np.frombuffer(audio, "<i2").astype(np.int16))
