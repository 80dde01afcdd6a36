"""The echo bot, as a WebSocket client meets it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sidecar.io.echo_bot import LARGEST_MESSAGE, EchoBot


async def test_it_returns_each_binary_message_as_it_is_and_answers_no_text() -> None:
    with capture_logs() as logs:
        async with EchoBot(port=0) as bot, connect(bot.url) as client:
            await client.send("hello")
            for message in (b"", b"\x01", bytes(range(256)) * 10, bytes(LARGEST_MESSAGE)):
                await client.send(message)
                assert await client.recv() == message
            assert (bot.calls, bot.messages_returned) == (1, 4)
    assert {"event": "text", "text": "hello", "log_level": "info"} in logs


async def test_it_refuses_what_is_too_large_and_calls_that_are_too_many() -> None:
    async with EchoBot(port=0, most_calls=1) as bot:
        async with connect(bot.url) as client:
            with pytest.raises(InvalidStatus) as refused:
                await connect(bot.url)
            assert refused.value.response.status_code == 503
            await client.send(bytes(LARGEST_MESSAGE + 1))
            with pytest.raises(ConnectionClosed):
                await client.recv()
        async with connect(bot.url) as client:
            await client.send(b"again")
            assert await client.recv() == b"again"


async def test_it_says_goodbye_when_it_stops() -> None:
    async with EchoBot(port=0) as bot:
        client = await connect(bot.url)
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert client.close_code == 1001


async def test_a_port_that_is_taken_is_an_os_error() -> None:
    async with EchoBot(port=0) as bot:
        port = int(bot.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address"):
            await EchoBot(port=port).__aenter__()


async def test_it_listens_on_ipv6_too() -> None:
    async with EchoBot(host="::1", port=0) as bot, connect(bot.url) as client:
        assert bot.url.startswith("ws://[::1]:")
        await client.send(b"six")
        assert await client.recv() == b"six"
