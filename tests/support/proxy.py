"""An HTTP proxy for tests: every name it is asked for is on loopback."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK


class ConnectProxy:
    """Opens tunnels (CONNECT), or answers with something else."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n") -> None:
        self.requests: list[str] = []
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, LOOPBACK, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request)
        writer.write(self._answer)
        if not self._answer.startswith(b"HTTP/1.1 200") or not self._answer.endswith(b"\r\n\r\n"):
            writer.close()
            return
        port = int(request.split()[1].rpartition(":")[2])
        bot_reader, bot_writer = await asyncio.open_connection(LOOPBACK, port)
        for pipe in (_pipe(reader, bot_writer), _pipe(bot_reader, writer)):
            task = asyncio.create_task(pipe)
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()
