"""What subscribers of a FreeSWITCH get to hear of streams, over a scripted event socket."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from sidecar.core.attaching import AttachRequest
from sidecar.core.events import BotSaid, StreamEvent
from sidecar.core.freeswitch.custom_event import CustomEvent
from sidecar.core.freeswitch.event_backlog import MOST_BYTES
from sidecar.io.event_socket_client import EventSocketClient
from tests.integration.test_attaching import UUID, ann_and_bob, beside, client, until, wanted
from tests.support.bots import Bot, ClosingBot
from tests.support.freeswitch import FiredEvent, ScriptedFreeSwitch, scripted_freeswitch
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test


def kinds(events: list[FiredEvent]) -> list[str]:
    return [event.headers["event-subclass"].removeprefix("mod_audio_stream::") for event in events]


def scripted_kinds(peer: ScriptedFreeSwitch) -> list[str]:
    return [re.findall(r"095stream\\058\\058([a-z]+)", script)[0] for script in peer.scripts]


async def a_stream_that_ends(car: SidecarUnderTest, peer: ScriptedFreeSwitch, bot: Bot) -> None:
    call = peer.begin(ann_and_bob())
    await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed"))
    await bot.closed()
    await peer.until_no_legs()
    peer.end(call)
    await car.until_no_calls()


async def test_events_are_fired_by_lua_where_there_is_lua() -> None:
    async with scripted_freeswitch() as peer, ClosingBot(1000, after=20) as bot, beside(peer) as car:
        await a_stream_that_ends(car, peer, bot)
        await peer.until_fired(4)
        assert scripted_kinds(peer) == ["start", "connect", "disconnect", "stop"]
        assert all(f'"{UUID}"'.replace("-", "\\045") in script for script in peer.scripts)
        assert not peer.fired


async def test_without_lua_no_event_is_lost_to_the_session_it_is_about() -> None:
    async with scripted_freeswitch(has_lua=False) as peer, ClosingBot(1000, after=20) as bot, beside(peer) as car:
        await a_stream_that_ends(car, peer, bot)
        await peer.until_fired(4)
        assert kinds(peer.fired) == ["start", "connect", "disconnect", "stop"]
        assert not peer.lost
        connected, disconnected = peer.fired[1:3]
        assert connected.body == '{"status":"connected"}'
        assert disconnected.body.startswith('{"status":"disconnected","message":{"code":1000,')
        assert [event.headers["stream-sequence"] for event in peer.fired] == ["1", "2", "3", "4"]
        assert {event.headers["unique-id"].lower() for event in peer.fired} == {UUID}


async def test_who_may_not_run_lua_does_without() -> None:
    async with scripted_freeswitch() as peer, ClosingBot(1000, after=20) as bot, beside(peer) as car:
        peer.forbids_lua = True
        await a_stream_that_ends(car, peer, bot)
        await peer.until_fired(4)
        assert kinds(peer.fired) == ["start", "connect", "disconnect", "stop"]


async def test_what_the_bot_says_is_the_body() -> None:
    said = '{"type":"transcript","data":{"text":"grüß ]==] \\" dich"}}'
    async with scripted_freeswitch(has_lua=False) as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed"))
        await bot.send(said)
        await peer.until_fired(3)
        peer.end(call)
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()
    assert kinds(peer.fired) == ["start", "connect", "json", "disconnect", "stop"]
    assert peer.fired[2].body == said


async def test_what_is_played_and_what_is_wrong_have_the_bodies_of_mod_audio_stream() -> None:
    async with scripted_freeswitch(has_lua=False) as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed"))
        await bot.send_command("streamAudio", audioDataType="raw", sampleRate=8000, audioData="AAAA", name="hi")
        await bot.send_command("streamAudio", audioDataType="flac", audioData="AAAA")
        await peer.until_fired(6)
        peer.end(call)
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()
    told = {event.headers["event-subclass"].partition("::")[2]: event for event in peer.fired}
    assert {"json", "play", "error"} <= set(told)
    assert json.loads(told["play"].body) == {"audioDataType": "raw", "sampleRate": 8000, "name": "hi"}
    body = json.loads(told["error"].body)
    assert body["status"] == "error"
    assert "audioDataType: not one of raw" in body["message"]["error"]


async def test_events_wait_for_an_event_socket_that_is_away() -> None:
    async with scripted_freeswitch(has_lua=False) as peer, ClosingBot(1000, after=100) as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed"))
        await peer.until_fired(2)
        peer.go_away()
        await bot.closed()
        await peer.until_no_legs()
        peer.end(call)
        await car.until_no_calls()
        peer.come_back()
        await peer.until_fired(4, within=10.0)
        assert kinds(peer.fired) == ["start", "connect", "disconnect", "stop"]


async def test_each_server_hears_of_its_own_calls() -> None:
    async with scripted_freeswitch(has_lua=False) as one, scripted_freeswitch(has_lua=False) as two, Bot() as bot:
        settings = {name: {"port": peer.port, "password": peer.password} for name, peer in (("1", one), ("2", two))}
        async with sidecar_under_test(freeswitch=settings) as car:
            clients: list[EventSocketClient] = [each.client for each in car.sidecar.attacher._servers.values()]
            await until(lambda: all(each.is_ready for each in clients))
            call = two.begin(ann_and_bob())
            await car.sidecar.attacher.attach(AttachRequest(UUID, {"url": bot.url, "mix": "mixed"}))
            await two.until_fired(2)
            two.end(call)
            await bot.closed()
            await two.until_no_legs()
            await car.until_no_calls()
            await two.until_fired(4)
    assert kinds(two.fired) == ["start", "connect", "disconnect", "stop"]
    assert not one.fired


async def test_a_freeswitch_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.core.freeswitch.event_socket.REPLY_SECONDS", 0.3)
    monkeypatch.setattr("sidecar.core.freeswitch.event_socket.QUIET_SECONDS", 0.2)
    async with scripted_freeswitch() as peer, beside(peer) as car:
        await asyncio.sleep(0.5)
        assert client(car).counters.lost == 0  # it was asked, and has answered
        peer.is_deaf = True
        await until(lambda: client(car).counters.lost == 1)
        peer.is_deaf = False
        await until(lambda: client(car).is_ready)


async def test_an_event_that_we_get_wrong_is_left_out_and_those_after_it_are_told() -> None:
    async with scripted_freeswitch(has_lua=False) as peer, beside(peer) as car:
        (outlet,) = car.sidecar.servers.outlets.values()
        outlet.tell(CustomEvent("first", "x", (), "\ud800"), size=3)
        outlet.tell(CustomEvent("second", "x", (), "{}"), size=2)
        await peer.until_fired(1)
        assert [event.headers["event-subclass"] for event in peer.fired] == ["second"]
        await until(lambda: outlet.counters.told == 1)
        assert (outlet.counters.failed, len(outlet.waiting)) == (1, 0)
        assert car.sidecar.supervisor.failures == {"events for main": 1}
        assert client(car).is_ready


async def test_what_waits_for_a_server_that_is_away_is_bounded_in_bytes() -> None:
    async with scripted_freeswitch() as peer, beside(peer) as car:
        peer.go_away()
        await until(lambda: not client(car).is_ready)
        servers = car.sidecar.servers
        (outlet,) = servers.outlets.values()
        said = BotSaid("x" * (1 << 20))
        for number in range(40):
            car.sidecar.events.publish(StreamEvent(said, "s", "c", number, 0.0, quiet=True))
        assert (outlet.waiting.bytes, outlet.waiting.dropped) == (MOST_BYTES, 40 - MOST_BYTES // (1 << 20))
        car.sidecar.events.publish(StreamEvent(BotSaid("é" * (1 << 20)), "s", "c", 1, 0.0, quiet=True))
        assert servers.events.too_long == 1
        outlet.waiting.take(lambda _: True)
