"""The doctor among real peers: bots, FreeSWITCHes, and a sidecar that runs."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sidecar.doctor import Finding, Verdict, examine
from sidecar.doctor.bots import examine_bot, named_bots
from sidecar.doctor.directory import address_finding, examine_directory
from sidecar.doctor.freeswitch import examine_freeswitch
from sidecar.doctor.rest import find_running
from sidecar.doctor.traces import examine_traces
from sidecar.doctor.webhooks import examine_webhook
from sidecar.io.redis_client import open_redis
from sidecar.settings import load_settings
from tests.support.bots import Bot, RawServer, RefusingBot
from tests.support.certificates import Authority
from tests.support.freeswitch import scripted_freeswitch
from tests.support.ports import LOOPBACK, free_port
from tests.support.redis_server import RedisServer
from tests.support.sidecar import sidecar_under_test

PROFILE = "SIP-IP           \t127.0.0.1\nCODECS OUT       \tOPUS,G722,PCMU,PCMA\n"
ANSWERS = {
    "version": "FreeSWITCH Version 1.10.12-release+git~20240802~a88d069d6f~64bit (git a88d069 64bit)\n",
    "module_exists mod_opus": "true",
    "module_exists mod_spandsp": "false",
    "sofia status profile external": PROFILE,
}


async def of_bot(url: str, *, bot: dict[str, Any] | None = None, **options: Any) -> Finding:
    """Return what is found of one bot; it must not tell what is secret."""
    settings = load_settings(values={"stream": {"url": url, **options}, "bot": bot or {}})
    (named,), _ = named_bots(settings)
    found = await examine_bot(named, settings)
    assert "hush" not in f"{found.what}{found.fix}"
    return found


async def of_freeswitch(port: int, *, seconds: float = 6.0, **values: Any) -> list[Finding]:
    server = {"host": LOOPBACK, "port": port, "password": "ClueCon", **values}
    return await examine_freeswitch("main", load_settings(values={"freeswitch": {"main": server}}), seconds=seconds)


async def test_a_bot_is_called_and_told_goodbye() -> None:
    async with Bot() as bot:
        found = await of_bot(bot.url.replace("://", "://me:hush@") + "?key=hush", auth="bearer hush")
        await bot.closed()
    assert found.verdict is Verdict.OK, found
    assert f"connected to {LOOPBACK}" in found.what
    assert bot.call.headers["Authorization"] == "Bearer hush"
    assert (bot.call.close_code, bot.call.messages) == (1000, [])


async def test_tls_is_verified_as_a_call_would(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    async with Bot(certificate=authority.issue()) as bot:
        trusted = await of_bot(bot.url, tls_ca_file=str(authority.path))
        stranger = await of_bot(bot.url)
    assert trusted.verdict is Verdict.WARN  # it is good for a day
    assert "TLSv1.3" in trusted.what
    assert "expires on" in trusted.what
    assert stranger.verdict is Verdict.FAIL
    assert "certificate refused: unable to get local issuer certificate" in stranger.what
    assert "tls_ca_file" in str(stranger.fix)
    async with Bot(certificate=authority.issue(days=-1)) as bot:
        expired = await of_bot(bot.url, tls_ca_file="NONE")
    assert (expired.verdict, "has expired" in expired.what) == (Verdict.WARN, True)


async def test_each_way_to_fail_is_told_with_what_helps() -> None:
    async with RefusingBot(HTTPStatus.UNAUTHORIZED) as bot, RawServer() as silent:
        refused = await of_bot(bot.url)
        of_template = await of_bot(f"{bot.url}/{{to_user}}")
        late = await of_bot(silent.url, bot={"connect_timeout": 0.2})
        inside = await of_bot(silent.url, bot={"allow": ["192.0.2.0/24"]})
        no_secret = await of_bot(silent.url, auth="file:/no/such/file")
    nobody = await of_bot(f"ws://{LOOPBACK}:{free_port()}/")
    unknown = await of_bot("ws://no-such-host.invalid/")
    for found, why, fix in (
        (refused, "the bot refused: HTTP 401", "auth"),
        (late, "no answer within 0.2 s (handshake)", "path"),
        (inside, "no address that is allowed", "bot.allow"),
        (no_secret, "file:/no/such/file: No such file", "auth"),
        (nobody, "Connection refused", "bot runs"),
        (unknown, "no-such-host.invalid", "name resolution"),
    ):
        assert found.verdict is Verdict.FAIL, found
        assert why in found.what
        assert fix in str(found.fix)
    assert of_template.verdict is Verdict.WARN


def test_profiles_without_a_bot_or_with_several(tmp_path: Path) -> None:
    assert named_bots(load_settings())[0] == []
    loss = {"url": "ws://a/", "on_bot_lost": "fallback:ws://b/", "tls_cert_file": str(tmp_path / "x.pem")}
    bots, found = named_bots(
        load_settings(values={"profiles": {"one": loss, "two": {"url": "wss://c/", "tls_ca_file": "NONE"}}})
    )
    assert [(each.check, each.options.url) for each in bots] == [
        ("profiles.one.url", "ws://a/"),
        ("profiles.one.on_bot_lost", "ws://b/"),
        ("profiles.two.url", "wss://c/"),
    ]
    assert [(each.check, each.verdict) for each in found] == [
        ("stream.url", Verdict.OK),
        ("profiles.one.tls_cert_file", Verdict.FAIL),
        ("profiles.two", Verdict.WARN),
    ]


async def test_a_freeswitch_is_asked_what_it_has() -> None:
    async with scripted_freeswitch() as peer:
        peer.answers |= ANSWERS
        found = await of_freeswitch(peer.port)
        assert [each.verdict for each in found] == [Verdict.OK] * 5, found
        assert found[-1].what == "PCMU, PCMA, opus; G722: its module is not loaded"
        assert [each.headers["event-subclass"] for each in peer.fired] == ["audio_stream_sidecar::doctor"]
        peer.answers["sofia status gateway sidecar"] = "Status  \tDOWN (ping)\n"
        found = await of_freeswitch(peer.port, dial="sofia/gateway/sidecar/{user}")
        assert (found[-1].verdict, found[-1].what) == (Verdict.WARN, "sidecar: DOWN (ping)")


async def test_a_freeswitch_that_does_not_let_us_in() -> None:
    async with scripted_freeswitch(password="another") as peer:
        (refused,) = await of_freeswitch(peer.port)
    async with scripted_freeswitch() as peer:
        peer.is_deaf = True
        (deaf,) = await of_freeswitch(peer.port, seconds=0.5)
    async with RawServer() as silent:
        (quiet,) = await of_freeswitch(int(silent.url.rpartition(":")[2].partition("/")[0]), seconds=0.1)
    (nobody,) = await of_freeswitch(free_port())
    for found, why in (
        (refused, "does not take the password"),
        (deaf, "does not answer commands"),
        (quiet, "no answer"),
        (nobody, "Connection refused"),
    ):
        assert found.verdict is Verdict.FAIL
        assert why in found.what, found
        assert found.fix is not None


async def of_directory(**directory: Any) -> list[Finding]:
    """Return what is found of the directory; it must not tell what is secret."""
    found = await examine_directory(load_settings(values={"directory": directory}))
    assert not any("hush" in f"{each.what}{each.fix}" for each in found)
    return found


@pytest.mark.peer("redis-server")
async def test_the_redis_of_a_directory_is_asked_for_a_sign_of_life() -> None:
    async with RedisServer() as redis:
        there, near = await of_directory(url=redis.url, name="a")
        client = open_redis(redis.url)
        await client.config_set("requirepass", "hush")
        await client.aclose()
        stranger, _ = await of_directory(url=redis.url)
        friend, _ = await of_directory(url=redis.url.replace("://", "://:hush@"))
        wrong, _ = await of_directory(url=redis.url.replace("://", "://:hush2@"))
    away, _ = await of_directory(url=redis.url)
    assert (there.verdict, near.verdict, friend.verdict) == (Verdict.OK, Verdict.OK, Verdict.OK)
    assert there.what == f"Redis at {redis.url.removeprefix('unix://')} answers"
    assert near.what == "other sidecars ask at http://127.0.0.1:8080 for streams of a"
    for found, why in (
        (stranger, "Authentication required"),
        (wrong, "invalid username-password"),
        (away, "No such file"),
    ):
        assert found.verdict is Verdict.FAIL
        assert why in found.what, found


async def test_a_directory_that_nobody_is_reached_by() -> None:
    assert await of_directory() == []
    nobody, near = await of_directory(url=f"redis://:hush@{LOOPBACK}:{free_port()}/0")
    assert (nobody.verdict, near.verdict) == (Verdict.FAIL, Verdict.OK)
    assert LOOPBACK in nobody.what


@pytest.mark.parametrize(
    ("url", "address", "verdict"),
    [
        ("redis://redis.example", "http://localhost:8080", Verdict.FAIL),
        ("redis://10.0.0.9", "http://[::1]:8080", Verdict.FAIL),
        ("redis://10.0.0.9", "http://10.0.0.5:8080", Verdict.OK),
        ("redis://redis.example", "http://pod-1:8080", Verdict.OK),
        ("redis://localhost", None, Verdict.OK),
        ("rediss://[::1]", None, Verdict.OK),
    ],
)
def test_others_must_not_be_told_a_loopback_address(url: str, address: str | None, verdict: Verdict) -> None:
    found = address_finding(load_settings(values={"directory": {"url": url, "address": address}}))
    assert found.verdict is verdict, found


async def test_the_host_of_a_webhook_is_looked_up_as_it_is_to_post() -> None:
    async def of_webhook(url: str, *allow: str) -> Finding:
        published = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        values = {"webhooks": {"ops": {"url": url, "secret": published}}, "bot": {"allow": allow}}
        found = await examine_webhook("ops", load_settings(values=values))
        assert found.check == "webhooks.ops.url"
        assert "hush" not in f"{found.what}{found.fix}"
        return found

    there = await of_webhook("http://localhost:9/hush", "localhost")
    unknown = await of_webhook("https://no-such-host.invalid/hush")
    elsewhere = await of_webhook("http://localhost:9/hush", "192.0.2.0/24")
    assert there.verdict is Verdict.OK
    assert "localhost:9: 127.0.0.1" in there.what or "localhost:9: ::1" in there.what
    for found, why, fix in (
        (unknown, "no-such-host.invalid", "name resolution"),
        (elsewhere, "no address that is allowed", "bot.allow"),
    ):
        assert found.verdict is Verdict.FAIL, found
        assert why in found.what
        assert fix in str(found.fix)


async def test_a_collector_of_traces_that_is_away_is_a_warning() -> None:
    assert await examine_traces(load_settings(values={})) == []
    async with Bot() as bot:  # whoever listens will do
        port = urlsplit(bot.url).port
        settings = load_settings(values={"traces": {"endpoint": f"http://hush:hush@{LOOPBACK}:{port}/hush?hush"}})
        (there,) = await examine_traces(settings)
    (away,) = await examine_traces(settings)
    (unknown,) = await examine_traces(
        load_settings(values={"traces": {"endpoint": "https://no-such-host.invalid/v1/traces"}})
    )
    assert (there.verdict, there.check) == (Verdict.OK, "traces.endpoint")
    assert f"{LOOPBACK}:{port}: Connection refused" in away.what
    assert unknown.what.startswith("no-such-host.invalid:443: ")
    assert {away.verdict, unknown.verdict} == {Verdict.WARN}
    assert not [each for each in (there, away, unknown) if "hush" in f"{each.what}{each.fix}"]


async def test_what_answers_at_the_port_of_rest_need_not_be_a_sidecar() -> None:
    async with Bot() as bot:
        port = int(bot.url.rpartition(":")[2].partition("/")[0])
        for host in (LOOPBACK, "0.0.0.0"):
            settings = load_settings(values={"api": {"host": host, "port": port, "tokens": {"ops": 32 * "x"}}})
            assert await asyncio.to_thread(find_running, settings.api) is None


async def test_a_sidecar_that_runs_may_have_its_ports() -> None:
    async with sidecar_under_test(api={}) as car:
        ports = {"sip": {"port": car.sidecar.sip_address[1]}, "api": {"port": car.sidecar.api_port}}
        values = {"workers": 1, **ports, "rtp": {"port": car.sidecar.rtp_port}}
        found = {each.check: each for each in await examine(load_settings(values=values))}
    assert "0 of 2000 calls, and takes more" in found["running"].what
    for setting in ("sip.port", "rtp.port", "api.port"):
        assert found[setting].verdict is Verdict.OK
        assert "taken, as is right" in found[setting].what
