from __future__ import annotations

import asyncio
import socket

import pytest

from sidecar.core.directory import DirectoryError
from sidecar.io.redis_client import answer, open_redis


async def test_a_redis_that_is_not_there_is_one_kind_of_error() -> None:
    redis = open_redis("unix:///nowhere/redis.sock")
    with pytest.raises(DirectoryError, match=r"^Redis: .*No such file"):
        await answer(redis.ping())
    await redis.aclose()


async def test_what_the_network_swallows_is_not_sent_again_when_nobody_waits_any_more() -> None:
    async def agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b"+OK\r\n" if line.startswith(b"*") else b"")
        writer.close()

    async with await asyncio.start_server(agree, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        redis = open_redis(f"redis://{host}:{port}")
        connection = await redis.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        sock = connection._writer.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2000
        await redis.connection_pool.release(connection)
        await redis.aclose()
