"""Bots that misbehave, each in its way."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from random import Random

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.support.bots import Bot, BotCall

CLOSES = (1000, 1001, 1008, 1011, 1012, 1013, 4000)
TEXTS = ("", "{", '{"type":"answer"}', '{"type":"streamAudio"}', "[]", '"\\u0000"', "x" * 70_000)


class BotAtRandom(Bot):
    """Does a few things, each at random, and `pause` seconds between them at the most."""

    def __init__(self, random: Random, *, pause: float = 0.1) -> None:
        super().__init__()
        self._random = random
        self._pause = pause

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._random.random() < 0.1:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not now\n")
        return None

    async def listen(self, connection: ServerConnection, call: BotCall) -> None:
        if self._random.random() < 0.2:
            connection.transport.pause_reading()  # and no pong either
            await asyncio.sleep(self._random.uniform(self._pause, 10 * self._pause))
            connection.transport.abort()
            return
        async for _ in connection:
            pass

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        for _ in range(self._random.randrange(6)):
            await asyncio.sleep(self._random.uniform(0.0, self._pause))
            await self._do_something(connection)

    async def _do_something(self, connection: ServerConnection) -> None:
        random = self._random
        match random.randrange(7):
            case 0:
                connection.transport.abort()
            case 1:
                await connection.close(random.choice(CLOSES), "at random")
            case 2:
                connection.transport.write(random.randbytes(random.randrange(1, 200)))
            case 3:
                await connection.send(random.choice(TEXTS))
            case 4:
                await connection.send(random.randbytes(random.randrange(20_000)))
            case 5:
                await connection.send([random.randbytes(random.randrange(700)) for _ in range(5)])
            case _:
                await connection.ping()
