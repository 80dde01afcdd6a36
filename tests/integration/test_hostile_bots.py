"""A bot that asks too much is ended, and the call of another bot beside it does not suffer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection

from sidecar.app import running_sidecar
from sidecar.io.caller import CallPlan, place_call
from sidecar.settings import load_settings
from sip import SipUri
from tests.integration.conftest import StartSidecar
from tests.support import sipp
from tests.support.bots import Bot, BotCall, EchoBot, GarbageServer
from tests.support.capture import rtp_packets
from tests.support.certificates import Authority
from tests.support.ports import LOOPBACK
from tests.support.tones import gaps, make_tone

pytestmark = pytest.mark.peer("sipp")

TONE_HZ = 437.0
PACKETS = rtp_packets(make_tone(TONE_HZ, level_dbfs=-14.0, seconds=2.0, rate=8000))

FLOODS = {
    "pings": b"\x89\x00" * 2_000_000,
    "empty audio": b"\x82\x00" * 2_000_000,
    "single bytes": b"\x82\x01x" * 1_000_000,
    "texts": b"\x81\x02{}" * 1_000_000,
    "empty fragments": b"\x01\x01a" + b"\x00\x00" * 2_000_000,
    "long texts": (b"\x81\x7e\x04\x00" + b"x" * 1024) * 4000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_ends_the_call_it_belongs_to_alone(
    start_sidecar: StartSidecar, tmp_path: Path, flood: bytes
) -> None:
    async with GarbageServer(flood) as evil, EchoBot() as good:
        profiles = {"evil": {"url": evil.url}, "good": {"url": good.url}}
        async with start_sidecar(profiles=profiles) as car:
            talk = asyncio.create_task(
                sipp.run("call_with_pcap", car.address, tmp_path / "good", user="good", packets=PACKETS, seconds=2.2)
            )
            await good.received(10)
            flooded = await sipp.run(
                "bye_from_server", car.address, tmp_path / "evil", user="evil", packets=PACKETS, calls=3, rate=5.0
            )
            flooded.assert_all_successful(3)
            assert 'Reason: Q.850;cause=41;text="bot lost: ' in flooded.log
            (await talk).assert_all_successful()
            await good.closed()
            await car.until_no_calls()
    assert 2 * 8000 <= len(good.call.heard) <= 2.5 * 8000  # all of it, and the pause until the BYE
    assert gaps(good.call.heard[800 : 2 * 8000 - 800], 8000) == []
    assert max(good.call.intervals_ms) < 500.0  # a stall of the machine, not of three floods


class FloodingBot(Bot):
    """Sends texts as fast as they go, until it is told to stop."""

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        while True:
            for _ in range(100):
                await connection.send("{}")
            await asyncio.sleep(0)  # its loop is that of the sidecar


class ClosingAtOnceBot(Bot):
    """Says goodbye as soon as it is connected, and waits for ours."""

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        await connection.close(1000, "done")


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(("kind", "code"), [(FloodingBot, 1008), (ClosingAtOnceBot, 1000)])
async def test_a_bot_sees_how_its_connection_ends(
    start_sidecar: StartSidecar, tmp_path: Path, kind: type[Bot], code: int, secure: bool
) -> None:
    authority = Authority.create(tmp_path)
    async with kind(certificate=authority.issue(LOOPBACK) if secure else None) as bot:
        stream = {"url": bot.url, "tls_ca_file": str(authority.path)}
        with capture_logs() as logs:
            async with start_sidecar(stream=stream) as car:
                plan = CallPlan(SipUri(*car.sidecar.sip_address), np.zeros(0, np.int16), 5.0)
                call = asyncio.create_task(place_call(plan))
                await bot.closed()
                await call
                await car.until_no_calls()
    assert bot.call.close_code == code
    assert [log["body"]["message"]["code"] for log in logs if log["event"] == "error"] == [11] * (code == 1008)


async def test_a_close_together_with_the_handshake_ends_the_call(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    stream = {"metadata": "hello", "answer": "immediate"}
    async with GarbageServer(b"\x88\x02\x03\xe8") as bot, start_sidecar(stream={**stream, "url": bot.url}) as car:
        outcome = await sipp.run("bye_from_server", car.address, tmp_path, packets=PACKETS)
        outcome.assert_all_successful()
        await car.until_no_calls()


async def test_a_close_together_with_the_handshake_is_no_connection(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    stream = {"metadata": "hello", "answer": "early"}
    async with GarbageServer(b"\x88\x02\x03\xe8") as bot, start_sidecar(stream={**stream, "url": bot.url}) as car:
        values = {"status": "503", "header": "Reason", "pattern": "closed before the call was answered"}
        (await sipp.run("call_refused", car.address, tmp_path, values=values)).assert_all_successful()
        await car.until_no_calls()


async def test_a_sidecar_that_stops_says_goodbye_and_what_has_passed(tmp_path: Path) -> None:
    async with EchoBot() as bot:
        settings = load_settings(
            values={"sip": {"port": 0}, "rtp": {"port": 0}, "api": {"enabled": False}, "stream": {"url": bot.url}}
        )
        with capture_logs() as logs:
            async with running_sidecar(settings) as sidecar:
                address = "{}:{}".format(*sidecar.sip_address)
                talk = asyncio.create_task(
                    sipp.run("bye_from_server", address, tmp_path, packets=PACKETS, calls=5, rate=50.0)
                )
                await bot.connected(5)
                await bot.received(50)
        outcome = await talk
        outcome.assert_all_successful(5)
        assert 'Reason: Q.850;cause=41;text="the sidecar stops"' in outcome.log
        await bot.closed(5)
    assert {call.close_code for call in bot.calls} == {1001}
    stops = [log for log in logs if log["event"] == "stop"]
    assert len(stops) == 5
    assert sum(stop["body"]["messages_sent"] for stop in stops) >= 50
