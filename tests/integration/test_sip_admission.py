"""Who may call, what a bot's goodbye is told as, and how soon a sidecar stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.app import running_sidecar
from sidecar.settings import load_settings
from tests.support import sipp
from tests.support.bots import ClosingBot, EchoBot
from tests.support.capture import rtp_packets
from tests.support.ports import LOOPBACK
from tests.support.sidecar import sidecar_under_test
from tests.support.tones import make_tone

pytestmark = pytest.mark.peer("sipp")

PACKETS = rtp_packets(make_tone(437.0, level_dbfs=-14.0, seconds=2.0, rate=8000))
AUTH = {"auth": {"realm": "calls", "users": {"alice": "wonderland"}, "algorithms": ["MD5"]}}  # sipp knows no other


@pytest.mark.parametrize(
    ("password", "scenario", "taken"), [("wonderland", "digest", 1), ("looking glass", "digest_refused", 0)]
)
async def test_who_calls_must_know_a_password(password: str, scenario: str, taken: int, tmp_path: Path) -> None:
    async with EchoBot() as bot:
        with capture_logs() as logs:
            async with sidecar_under_test(stream={"url": bot.url}, sip=AUTH) as car:
                arguments = ["-au", "alice", "-ap", password]
                outcome = await sipp.run(scenario, car.address, tmp_path, arguments=arguments)
                outcome.assert_all_successful()
                assert len(bot.calls) == taken
                assert car.sidecar.agent.counters.challenges == 2 - taken
    told = [(each["host"], each["user"]) for each in logs if each["event"] == "authentication failed"]
    assert told == [(LOOPBACK, "alice")] * (1 - taken)
    assert password not in str(logs)


@pytest.mark.parametrize(("code", "cause"), [(1000, 16), (1001, 16), (1011, 41)])
async def test_the_cause_of_a_bye_tells_whether_the_bot_was_done(code: int, cause: int, tmp_path: Path) -> None:
    stream = {"no_reconnect": "true"}
    async with ClosingBot(code, reason="done") as bot, sidecar_under_test(stream={**stream, "url": bot.url}) as car:
        outcome = await sipp.run("bye_from_server", car.address, tmp_path, packets=PACKETS)
        outcome.assert_all_successful()
        assert f"Reason: Q.850;cause={cause};" in outcome.log


async def test_a_stop_does_not_wait_for_calls_that_have_ended(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with ClosingBot(1000, reason="done") as bot:
        values = {"sip": {"port": 0}, "rtp": {"port": 0}, "api": {"enabled": False}, "stream": {"url": bot.url}}
        async with running_sidecar(load_settings(values=values)) as sidecar:
            host, port = sidecar.sip_address
            outcome = await sipp.run("bye_from_server", f"{host}:{port}", tmp_path, packets=PACKETS)
            outcome.assert_all_successful()
            assert not sidecar.agent.idle  # timer K, 5 s: the BYE was answered, and its answer may be sent again
            stopped = loop.time()
        assert loop.time() - stopped < 1.0


async def test_a_call_that_its_caller_does_not_refresh_ends(tmp_path: Path) -> None:
    lasting = {"session_expires": 3, "min_se": 1}  # seconds; it ends a third before (RFC 4028, section 10)
    async with EchoBot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=lasting) as car:
        outcome = await sipp.run(
            "bye_from_peer",
            car.address,
            tmp_path,
            headers={"Supported": "timer", "Session-Expires": "3;refresher=uac"},
            values={"reason": "SIP;cause=408;text=.Session Expired"},
        )
        outcome.assert_all_successful()
        assert "Session-Expires: 3;refresher=uac" in outcome.log
