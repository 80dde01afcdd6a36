"""The command line of mod_audio_stream: the Lua script, a sidecar, and a scripted FreeSWITCH."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.attaching import AttachRequest
from tests.integration.test_attaching import UUID, ann_and_bob, client, until
from tests.support.bots import Bot
from tests.support.freeswitch import LiveCall, ScriptedFreeSwitch, scripted_freeswitch
from tests.support.lua_script import run_script
from tests.support.ports import free_port
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test

OK, FAILED = "+OK Success\n", "-ERR Operation Failed\n"


class CommandLine:
    """The script beside one call."""

    def __init__(self, car: SidecarUnderTest, call: LiveCall) -> None:
        self._sidecar = f"http://127.0.0.1:{car.sidecar.api_port}"
        self._call = call
        self.variables: dict[str, str] = {"STREAM_INJECT": "none"}
        self.token_file: Path | None = None
        self.logged: list[str] = []

    async def __call__(self, *arguments: str) -> str:
        """Return the answer to a command."""
        answer, self.logged = await asyncio.to_thread(
            run_script,
            [self._call.uuid, *arguments],
            sidecar=self._sidecar,
            token_file=self.token_file,
            variables=self.variables,
        )
        return answer


@asynccontextmanager
async def command_line(
    peer: ScriptedFreeSwitch, *, tokens: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[SidecarUnderTest, CommandLine]]:
    settings: dict[str, Any] = {"freeswitch": {"main": {"port": peer.port, "password": peer.password}}}
    async with sidecar_under_test(**settings, api={"enabled": True, "port": 0, "tokens": tokens or {}}) as car:
        await until(lambda: client(car).is_ready)
        call = peer.begin(ann_and_bob())
        try:
            yield car, CommandLine(car, call)
        finally:
            if call.uuid in peer.calls:
                peer.end(call)
            await peer.until_no_legs()
            await car.until_no_calls()


async def test_a_stream_is_started_steered_and_stopped() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, command_line(peer) as (car, uuid_audio_stream):
        assert await uuid_audio_stream("start", bot.url, "mono", "16k", '{"who":', '"Ann"}') == OK
        await bot.received(10)
        assert await uuid_audio_stream("send_text", "hello", "there") == OK
        assert await uuid_audio_stream("start", bot.url, "mono", "8k") == FAILED
        assert "attached already" in uuid_audio_stream.logged[0]
        assert await uuid_audio_stream("pause") == OK
        await until(lambda: all(each.paused for each in car.sidecar.control.streams()))
        assert await uuid_audio_stream("resume") == OK
        assert await uuid_audio_stream("break") == OK
        assert await uuid_audio_stream("stop", "good", "bye") == OK
        await bot.closed()
    assert bot.call.texts == ['{"who": "Ann"}', "hello there", "good bye"]
    assert (bot.call.close_code, len(bot.call.binaries[0])) == (1000, 640)


async def test_a_stream_may_have_any_id() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, command_line(peer) as (car, uuid_audio_stream):
        await car.sidecar.attacher.attach(AttachRequest(UUID, {"url": bot.url, "mix": "mixed", "id": "a:b@c+d.e_f-g"}))
        assert await uuid_audio_stream("send_text", "hello") == OK
        assert await uuid_audio_stream("stop") == OK
        await bot.closed()
    assert bot.call.texts == ["hello"]


async def test_graceful_shutdown_leaves_the_last_word_to_the_bot() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, command_line(peer) as (car, uuid_audio_stream):
        assert await uuid_audio_stream("start", bot.url, "mixed") == OK
        assert await uuid_audio_stream("graceful-shutdown", "finish") == OK
        await until(lambda: all(each.paused for each in car.sidecar.control.streams()))
        await until(lambda: "finish" in bot.call.texts)
        assert bot.call.close_code is None
        await bot.hang_up()
        await bot.closed()
        await car.until_no_calls()
        assert await uuid_audio_stream("stop") == FAILED


async def test_variables_of_the_call_are_options(tmp_path: Path) -> None:
    token = "s3cret-" + "x" * 32
    (tmp_path / "token").write_text(token + "\n")
    metadata = 'say "grüß\\dich"\n, {now}'
    async with (
        scripted_freeswitch() as peer,
        Bot() as bot,
        command_line(peer, tokens={"freeswitch": token}) as (car, uuid_audio_stream),
    ):
        assert await uuid_audio_stream("start", bot.url, "mono") == FAILED
        assert "401" in uuid_audio_stream.logged[-1]
        uuid_audio_stream.token_file = tmp_path / "token"
        uuid_audio_stream.variables |= {
            "STREAM_METADATA": metadata,
            "STREAM_BUFFER_SIZE": "100",
            "STREAM_HEART_BEAT": "5",
            "STREAM_SUPPRESS_LOG": "1",
            "STREAM_EXTRA_HEADERS": '{"X-Who": "Ann, Bob"}',
            "STREAM_AUTH": "bearer t0ken",
            "STREAM_EVENTS": "call,dtmf",
            "STREAM_SAMPLE_RATE": "24k",
            "STREAM_ID": "ann-1",
        }
        assert await uuid_audio_stream("start", bot.url, "mono", "8000") == OK
        await bot.received(5)
        (stream,) = car.sidecar.control.streams()
        assert (stream.id, stream.sample_rate) == ("ann-1", 24_000)
    assert bot.call.texts[0] == metadata
    assert json.loads(bot.call.texts[1])["type"] == "call"
    assert bot.call.headers["X-Who"] == "Ann, Bob"
    assert bot.call.headers["Authorization"] == "Bearer t0ken"
    assert {len(each) for each in bot.call.binaries} == {1600}


async def test_a_bot_that_is_not_there_is_a_failure_that_is_logged() -> None:
    async with scripted_freeswitch() as peer, command_line(peer) as (_, uuid_audio_stream):
        assert await uuid_audio_stream("start", f"ws://127.0.0.1:{free_port()}/", "mono") == FAILED
        assert "502" in uuid_audio_stream.logged[-1]
        assert "Connection refused" in uuid_audio_stream.logged[-1]


@pytest.mark.parametrize(
    "arguments", [(), ("start",), ("start", "ws://x", "both"), ("send_text",), ("dance",), ("start", "ws://x")]
)
async def test_wrong_use_is_told(arguments: tuple[str, ...]) -> None:
    answer, _ = await asyncio.to_thread(run_script, [UUID, *arguments], sidecar="http://127.0.0.1:1")
    assert answer.startswith("-USAGE: ")
