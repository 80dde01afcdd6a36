"""Whoever is parted from reads to the end what was said last, whatever it still sends; and not for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from sidecar.io.parting import MOST_UNHEARD, Parting
from sidecar.io.readiness import EpollReadiness, LoopReadiness, Readiness

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "portable"])
KINDS = pytest.mark.parametrize("kind", [EpollReadiness, LoopReadiness])
LAST = bytes(range(256)) * 4000  # more than a socket takes at once


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give the two ends of a connection of TCP; the second is the bot's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        far, _ = server.accept()
    near.setblocking(False)
    far.setblocking(False)
    yield near, far
    near.close()
    far.close()


class Scene:
    """One that is parted from."""

    def __init__(self, kind: type[Readiness], near: socket.socket, last: bytes) -> None:
        self.ended = asyncio.Event()
        self._readiness: Readiness = kind(asyncio.get_running_loop())  # type: ignore[call-arg]  # a protocol has none
        self._parting = Parting(near, last, self._readiness, on_end=self.ended.set)
        self._parting.begin()

    async def end(self) -> None:
        async with asyncio.timeout(10):
            await self.ended.wait()
        self._parting.close()
        self._readiness.close()


@KINDS
@LOOPS
async def test_who_floods_reads_what_was_said_last(
    line: tuple[socket.socket, socket.socket], kind: type[Readiness], loop: str
) -> None:
    near, far = line
    running, flood = asyncio.get_running_loop(), bytes(4 << 20)
    flooding = asyncio.create_task(running.sock_sendall(far, flood))
    await asyncio.sleep(0)
    scene, data = Scene(kind, near, LAST), b""
    async with asyncio.timeout(10):
        await flooding
        while more := await running.sock_recv(far, 1 << 20):
            data += more
    assert data == LAST
    far.shutdown(socket.SHUT_WR)
    await scene.end()


@KINDS
async def test_who_floods_for_ever_is_left(line: tuple[socket.socket, socket.socket], kind: type[Readiness]) -> None:
    near, far = line
    scene, sent = Scene(kind, near, b""), 0
    with pytest.raises(ConnectionError):  # noqa: PT012  it may be any of these
        async with asyncio.timeout(10):
            while True:
                await asyncio.get_running_loop().sock_sendall(far, bytes(1 << 20))
                sent += 1 << 20
                if scene.ended.is_set():
                    await scene.end()
    assert sent >= MOST_UNHEARD


@KINDS
async def test_who_is_gone_already_is_parted_from(
    line: tuple[socket.socket, socket.socket], kind: type[Readiness]
) -> None:
    near, far = line
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    far.close()
    await Scene(kind, near, b"last").end()
