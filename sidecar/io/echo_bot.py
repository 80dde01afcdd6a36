"""The simplest voice bot: whatever audio it hears, it says."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from types import TracebackType
from typing import Self

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

log = structlog.get_logger(__name__)

LARGEST_MESSAGE = 1 << 20  # bytes
MOST_CALLS = 1000
_LOGGED_CHARACTERS = 200


class EchoBot:
    """A WebSocket server that returns each binary message as it is, and logs text.

    async with EchoBot(port=0) as bot:
        ...  # bot.url is where it listens
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 8765, most_calls: int = MOST_CALLS) -> None:
        self._host = host
        self._port = port
        self._most_calls = most_calls
        self._server: Server | None = None
        self.calls = 0  # connected now
        self.messages_returned = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None, "it listens inside `async with` only"
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"

    async def __aenter__(self) -> Self:
        """Listen; raise OSError if the port is taken."""
        self._server = await serve(
            self._converse,
            self._host,
            self._port,
            process_request=self._refuse_when_full,
            compression=None,
            max_size=LARGEST_MESSAGE,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye to all (code 1001), and stop."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _refuse_when_full(self, connection: ServerConnection, _request: Request) -> Response | None:
        if self.calls < self._most_calls:
            return None
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many calls\n")

    async def _converse(self, connection: ServerConnection) -> None:
        self.calls += 1
        log.info("connected", calls=self.calls)
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in connection:
                    if isinstance(message, str):
                        log.info("text", text=message[:_LOGGED_CHARACTERS])
                    else:
                        await connection.send(message)
                        self.messages_returned += 1
        finally:
            self.calls -= 1
            log.info("disconnected", calls=self.calls)
