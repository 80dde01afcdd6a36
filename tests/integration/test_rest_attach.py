"""Streams attached to live calls over REST, and by the script that has the command line of mod_audio_stream."""

from __future__ import annotations

import asyncio

from tests.integration.test_rest import MANY, ODD, is_unicode
from tests.support.bots import Bot
from tests.support.freeswitch import LiveCall, ScriptedFreeSwitch, scripted_freeswitch
from tests.support.live_call import SILENCE
from tests.support.lua_script import run_script
from tests.support.ports import LOOPBACK
from tests.support.rest import Reply, ask, listening
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test

UUID = "eb46e254-1a8e-4cfc-bb83-dd8ead7cdd8c"


async def until_logged_in(car: SidecarUnderTest) -> None:
    """Wait until the event socket can be used: until then attaching is refused."""
    async with asyncio.timeout(5):
        while (await attach(car, "0" * 8 + UUID[8:], "ws://127.0.0.1:9/")).status != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def attach(car: SidecarUnderTest, call: str, url: str, **options: object) -> Reply:
    return await ask(car.sidecar.api_port, "POST", "/v1/streams", {"call": call, "url": url, **options})


def server(peer: ScriptedFreeSwitch) -> dict[str, dict[str, object]]:
    return {"main": {"port": peer.port, "password": peer.password}}


async def test_a_stream_is_attached_seen_and_ended() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, sidecar_under_test(api={}, freeswitch=server(peer)) as car:
        await until_logged_in(car)
        call = peer.begin(LiveCall(UUID, says=SILENCE, hears=SILENCE))
        async with listening(car.sidecar.api_port) as listener:
            attached = await attach(car, UUID, bot.url, mix="mixed", rate=16000, metadata="first")
            assert attached.status == 201, attached.body
            start = await listener.until("start")
        assert start.data["call"] == UUID
        found = (await ask(car.sidecar.api_port, "GET", f"/v1/streams?call={UUID}")).json["streams"]
        assert [(each["mix"], each["rate"]) for each in found] == [("mixed", 16000)]
        assert (await ask(car.sidecar.api_port, "DELETE", f"/v1/streams/{found[0]['id']}")).status == 202
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()
        peer.end(call)
    assert bot.call.texts == ["first"]


async def test_what_cannot_be_attached_is_said() -> None:
    async with scripted_freeswitch() as peer, sidecar_under_test(api={}, freeswitch=server(peer)) as car:
        await until_logged_in(car)
        replies = [
            await attach(car, "nonsense", "ws://127.0.0.1:9/"),
            await attach(car, UUID, "ws://127.0.0.1:9/", freeswitch="other"),
            await attach(car, UUID, "ws://127.0.0.1:9/", rate="11k"),
            await attach(car, UUID, "ws://127.0.0.1:9/", auth="env:HOME"),
        ]
    assert [reply.status for reply in replies] == [404, 503, 422, 403]
    assert [error["field"] for error in replies[3].json["errors"]] == ["auth"]


async def test_odd_text_in_any_option_is_taken_or_refused_by_its_name() -> None:
    async with scripted_freeswitch() as peer, sidecar_under_test(api=MANY, freeswitch=server(peer)) as car:
        await until_logged_in(car)
        document = (await ask(car.sidecar.api_port, "GET", "/openapi.json")).json
        properties = document["components"]["schemas"]["AttachBody"]["properties"]
        texts = [name for name, schema in properties.items() if {"type": "string"} in schema.get("anyOf", [])]
        assert {"metadata", "auth", "id", "on_bot_lost", "tls_ca_file"} <= set(texts)
        named = ("call", "url", "freeswitch", "profile", *texts)
        tried: list[tuple[str, dict[str, object]]] = [(name, {name: odd}) for name in named for odd in ODD]
        tried += [("extra_headers", {"extra_headers": {"X-Odd": odd}}) for odd in ODD]
        tried += [("extra_headers", {"extra_headers": {odd: "x"}}) for odd in ODD]
        for name, odd in tried:
            body = {"call": UUID, "url": "ws://127.0.0.1:9/", **odd}
            reply = await ask(car.sidecar.api_port, "POST", "/v1/streams", body)
            if reply.status in (403, 422):
                assert [error["field"] for error in reply.json["errors"]] == [name], (body, reply)
            else:
                assert reply.status in (404, 503), (body, reply)
                assert is_unicode(odd), (body, reply)


async def test_the_command_line_of_the_module_works() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, sidecar_under_test(api={}, freeswitch=server(peer)) as car:
        await until_logged_in(car)
        call = peer.begin(LiveCall(UUID, says=SILENCE, hears=SILENCE))

        async def script(*arguments: str) -> str:
            url = f"http://{LOOPBACK}:{car.sidecar.api_port}"
            answer, _ = await asyncio.to_thread(run_script, [UUID, *arguments], sidecar=url)
            return answer

        assert await script("start", bot.url, "mixed", "16k", "the", "metadata") == "+OK Success\n"
        assert await script("start", bot.url, "mixed", "16k") == "-ERR Operation Failed\n"
        assert await script("send_text", "hello") == "+OK Success\n"
        assert await script("pause") == "+OK Success\n"
        assert await script("resume") == "+OK Success\n"
        assert await script("break") == "+OK Success\n"
        assert await script("stop", "goodbye") == "+OK Success\n"
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()
        assert await script("stop") == "-ERR Operation Failed\n"
        peer.end(call)
    assert [each.texts for each in bot.calls] == [["the metadata", "hello", "goodbye"]]
