from __future__ import annotations

import asyncio
from http import HTTPStatus

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from tests.support.bots import (
    Bot,
    ClosingBot,
    EchoBot,
    GarbageServer,
    OpeningBot,
    RawServer,
    RefusingBot,
    StallingBot,
    ToneBot,
)
from tests.support.tones import find_tone, gaps, make_tone, splices


async def test_a_bot_keeps_the_handshake_and_all_messages_with_their_times() -> None:
    async with Bot(subprotocols=["audio.drachtio.org"]) as bot:
        headers = {"Authorization": "Bearer t"}
        async with connect(bot.url, additional_headers=headers, subprotocols=["audio.drachtio.org"]) as client:  # type: ignore[list-item]
            assert client.subprotocol == "audio.drachtio.org"
            await client.send("metadata")
            await client.send(b"\x01\x00\xff\xff")
            await client.send(b"\x02\x00")
            await bot.received(3)
            await client.close(4001, "enough")
        await bot.closed()
    call = bot.call
    assert call.path == "/ws"
    assert call.headers["authorization"] == "Bearer t"
    assert (call.texts, call.binaries) == (["metadata"], [b"\x01\x00\xff\xff", b"\x02\x00"])
    assert call.heard.tolist() == [1, -1, 2]
    assert call.messages[0].at >= call.connected_at
    assert len(call.intervals_ms) == 1
    assert (call.close_code, call.close_reason) == (4001, "enough")


async def test_a_bot_says_what_it_waited_for_in_vain() -> None:
    async with Bot() as bot, connect(bot.url) as client:
        await client.send("hello")
        await bot.connected()
        with pytest.raises(AssertionError, match=r"not within 0\.05 s.*\[\(1, 0, None\)\]"):
            await bot.received(2, within=0.05)


async def test_an_echo_comes_back() -> None:
    async with EchoBot() as bot, connect(bot.url) as client:
        await client.send("metadata")
        await client.send(b"\x01\x02")
        assert await client.recv() == b"\x01\x02"


async def test_a_tone_is_said_as_time_goes_by_while_the_bot_listens() -> None:
    tone = make_tone(437.0, level_dbfs=-12.0, seconds=0.5, rate=16000)
    async with ToneBot(tone, rate=16000) as bot, connect(bot.url) as client:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await client.send(b"\x07\x00")
        frames = [await client.recv() for _ in range(25)]
        took = loop.time() - start
    assert {len(frame) for frame in frames} == {640}
    assert 0.45 < took < 0.75
    heard = np.frombuffer(b"".join(f for f in frames if isinstance(f, bytes)), dtype="<i2").astype(np.int16)
    assert abs(find_tone(heard, 16000).frequency_hz - 437.0) < 1.0
    assert gaps(heard, 16000) == []
    assert splices(heard, 16000) == []
    assert bot.call.heard.tolist() == [7]


async def test_a_bot_may_open_with_texts_and_with_one_very_long_message() -> None:
    minute = bytes(60 * 16000)
    async with OpeningBot(["{}", minute]) as bot, connect(bot.url, max_size=None) as client:
        assert await client.recv() == "{}"
        assert await client.recv() == minute


async def test_a_command_is_json_of_the_native_dialect() -> None:
    async with Bot() as bot, connect(bot.url) as client:
        await bot.connected()
        await bot.send_command("mark", name="m1")
        assert await client.recv() == '{"type": "mark", "data": {"name": "m1"}}'


@pytest.mark.parametrize("status", [HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR])
async def test_a_handshake_is_refused_as_often_as_told(status: HTTPStatus) -> None:
    async with RefusingBot(status, times=1) as bot:
        with pytest.raises(InvalidStatus, match=str(status.value)):
            await connect(bot.url)
        assert len(bot.refused_at) == 1
        assert bot.calls == []
        async with connect(bot.url):
            await bot.connected()


async def test_a_call_is_closed_with_the_code_after_so_many_messages() -> None:
    async with ClosingBot(4000, after=2, reason="tired") as bot, connect(bot.url) as client:
        await client.send("one")
        await client.send("two")
        with pytest.raises(ConnectionClosedError):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4000, "tired")
        await bot.closed()
    assert bot.call.texts == ["one", "two"]


async def test_a_call_is_closed_at_once() -> None:
    async with ClosingBot(1000) as bot, connect(bot.url) as client:
        with pytest.raises(ConnectionClosedOK):
            await client.recv()
    assert bot.call.close_code == 1000


async def test_a_call_is_cut_without_a_word_and_the_bot_comes_back_on_the_same_port() -> None:
    async with Bot() as bot, connect(bot.url) as client:
        await bot.connected()
        bot.drop()
        with pytest.raises(ConnectionClosedError):
            await client.recv()
        assert client.close_code == 1006
        await bot.closed()
    port = int(bot.url.split(":")[2].split("/")[0])
    async with Bot(port=port) as again, connect(again.url):
        assert again.url == bot.url
        await again.connected()


async def test_a_bot_that_stalls_lets_the_buffers_fill_up_and_answers_no_ping() -> None:
    async with StallingBot(after=1) as bot, connect(bot.url, ping_interval=None) as client:
        await client.send(b"one")
        await bot.received()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await client.ping(), 0.1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.send([bytes(1024 * 1024)] * 100), 0.5)
        client.transport.abort()  # a close frame could not be written
    assert len(bot.call.messages) == 1


async def test_a_handshake_is_never_answered() -> None:
    async with RawServer() as server:
        with pytest.raises(TimeoutError):
            await connect(server.url, open_timeout=0.1)
        assert server.connections[0].received.startswith(b"GET /ws HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("garbage", "close_code"),
    [
        (GarbageServer.RESERVED_OPCODE, 1002),
        (GarbageServer.RESERVED_BIT, 1002),
        (GarbageServer.MASKED, 1002),
        (GarbageServer.LONG_PING, 1002),
        (GarbageServer.BAD_CLOSE_CODE, 1002),
        (GarbageServer.BAD_UTF8, 1007),
    ],
)
async def test_invalid_frames_follow_a_valid_handshake(garbage: bytes, close_code: int) -> None:
    async with GarbageServer(garbage) as server, connect(server.url) as client:
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.sent is not None
        assert caught.value.sent.code == close_code


async def test_no_task_outlives_a_bot() -> None:
    before = asyncio.all_tasks()
    tone = make_tone(437.0, level_dbfs=-12.0, seconds=5.0, rate=8000)
    async with ToneBot(tone, rate=8000) as bot:
        client = await connect(bot.url)
        await client.recv()
    await client.close()
    assert asyncio.all_tasks() == before
