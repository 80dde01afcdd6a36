"""A receiver of webhooks: a real HTTP server that answers as a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import h11

from tests.support.ports import LOOPBACK

Answer = tuple[int, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Post:
    """One request."""

    headers: Mapping[str, str]
    body: bytes
    connection: int  # which one it came by

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebhookReceiver:
    """Takes posts, and answers each with what `answer` says of it; 0 closes the connection without an answer."""

    def __init__(
        self,
        answer: Callable[[Post], Answer] = lambda _: (204, {}),
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.posts: list[Post] = []
        self.delay = 0.0
        self._answer = answer
        self._port = port
        self._tls = tls
        self._connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self.port}/hook?a=b"

    @property
    def port(self) -> int:
        return self._port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, LOOPBACK, self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.drop()
        await asyncio.sleep(0.01)  # until connections know of it

    def drop(self) -> None:
        """Close all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def received(self, posts: int, *, within: float = 10.0) -> list[Post]:
        """Wait until so many posts have come; return all."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: len(self.posts) >= posts)
        return self.posts

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        self._writers.add(writer)
        http = h11.Connection(h11.SERVER)
        headers: dict[str, str] = {}
        body = b""
        try:
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(await reader.read(65536))
                elif isinstance(event, h11.Request):
                    assert (event.method, event.target) == (b"POST", b"/hook?a=b")
                    headers, body = {name.decode(): value.decode() for name, value in event.headers}, b""
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    await asyncio.sleep(self.delay)
                    if not await self._reply(http, writer, Post(headers, body, number)):
                        return
                    http.start_next_cycle()
                else:
                    return
        except (ConnectionError, h11.RemoteProtocolError):
            return
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _reply(self, http: h11.Connection, writer: asyncio.StreamWriter, post: Post) -> bool:
        """Answer; return whether the connection goes on."""
        status, headers = self._answer(post)
        if status:
            fields = [("content-length", "0"), *headers.items()] if status != 204 else [*headers.items()]
            for event in (h11.Response(status_code=status, headers=fields), h11.EndOfMessage()):
                writer.write(http.send(event) or b"")
            await writer.drain()
        async with self._news:
            self.posts.append(post)
            self._news.notify_all()
        return bool(status) and http.our_state is h11.DONE
