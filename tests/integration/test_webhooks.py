"""Webhooks, posted to real HTTP servers."""

from __future__ import annotations

import asyncio
import base64
import hmac
import socket
import ssl
import time
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.event_ring import RingEvent
from sidecar.core.webhook_url import parse_webhook_url
from sidecar.io.supervisor import Supervisor
from sidecar.io.webhook_connection import WebhookConnection, WebhookError
from sidecar.io.webhook_sender import WebhookSender, running_webhooks
from tests.support.bots import Bot
from tests.support.certificates import write_certificate
from tests.support.live_call import live_call
from tests.support.ports import LOOPBACK, free_port
from tests.support.rest import ask
from tests.support.sidecar import sidecar_under_test
from tests.support.webhooks import Answer, Post, WebhookReceiver

KEY = bytes(range(24))
PUBLISHED = "whsec_" + base64.b64encode(KEY).decode()


def signed(post: Post) -> bool:
    """Whether the signature is right, in the way that Standard Webhooks lays down."""
    content = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    expected = base64.b64encode(hmac.new(KEY, content, sha256).digest()).decode()
    return hmac.compare_digest(post.headers["webhook-signature"], f"v1,{expected}")


def sender(url: str, *, hosts: BotHosts | None = None) -> WebhookSender:
    return WebhookSender("crm", parse_webhook_url(url), KEY, kinds=(), hosts=hosts or BotHosts())


def add(hook: WebhookSender, *names: str) -> None:
    for number, name in enumerate(names, 1):
        hook.add(RingEvent(number, f"id-{name}", "json", name[0], b'"%s"' % name.encode()))


async def test_what_happens_to_a_call_is_posted_signed_and_in_order() -> None:
    async with WebhookReceiver() as receiver, Bot() as bot:
        hook = {"url": receiver.url, "secret": PUBLISHED, "events": ["start", "connect", "disconnect", "stop"]}
        async with sidecar_under_test(stream={"url": bot.url}, webhooks={"crm": hook}) as car:
            async with live_call(car) as call:
                await bot.send("not posted")
            posts = await receiver.received(4)
    assert [post.json["event"] for post in posts] == ["start", "connect", "disconnect", "stop"]
    assert {post.json["stream"] for post in posts} == {call.stream}
    assert all(map(signed, posts))
    assert len({post.headers["webhook-id"] for post in posts}) == 4
    for post in posts:
        assert abs(int(post.headers["webhook-timestamp"]) - time.time()) < 60
        assert post.headers["content-type"] == "application/json"
        assert post.headers["user-agent"].startswith("audio-stream-sidecar/")


async def test_the_last_events_are_posted_when_the_sidecar_stops() -> None:
    async with WebhookReceiver() as receiver, Bot() as bot:
        hook = {"url": receiver.url, "secret": PUBLISHED, "events": ["stop"]}
        async with sidecar_under_test(stream={"url": bot.url}, webhooks={"crm": hook}) as car:
            async with live_call(car) as call:
                car.sidecar.control.hang_up_all(now=asyncio.get_running_loop().time())
                await call.ended(within=10)
        assert [post.json["event"] for post in receiver.posts] == ["stop"]


async def test_one_that_is_down_is_told_everything_when_it_is_back() -> None:
    port = free_port()
    with capture_logs() as logs:
        hook = sender(f"http://127.0.0.1:{port}/hook?a=b")
        async with running_webhooks([hook], Supervisor(Random(1))):
            add(hook, "a1", "a2", "b1", "a3", "b2")
            await asyncio.sleep(0.5)
            assert hook.counters.failed >= 1
            assert (hook.counters.delivered, hook.waiting) == (0, 5)
            async with WebhookReceiver(port=port) as receiver:
                posts = await receiver.received(5)
                await asyncio.wait_for(hook.until_told(), 5)
    assert [post.json for post in posts if post.json[0] == "a"] == ["a1", "a2", "a3"]
    assert [post.json for post in posts if post.json[0] == "b"] == ["b1", "b2"]
    assert hook.counters.delivered == 5
    assert [log["event"] for log in logs] == ["webhook fails", "webhook is back"]
    assert logs[0]["why"] == "Connection refused"


@pytest.mark.parametrize(
    ("status", "headers", "why"),
    [
        (500, {}, "HTTP 500"),
        (404, {}, "HTTP 404"),
        (302, {"location": "http://127.0.0.1/"}, "HTTP 302, a redirect, which is not followed"),
        (0, {}, "it closed without an answer"),
    ],
)
async def test_one_that_does_not_take_an_event_gets_it_again(status: int, headers: dict[str, str], why: str) -> None:
    def answer(post: Post) -> Answer:
        return (status, headers) if len(receiver.posts) < 1 else (200, {"connection": "close"})

    with capture_logs() as logs:
        async with WebhookReceiver(answer) as receiver:
            hook = sender(receiver.url)
            async with running_webhooks([hook], Supervisor(Random(1))):
                add(hook, "a1")
                posts = await receiver.received(2)
                await asyncio.wait_for(hook.until_told(), 5)
    assert [post.json for post in posts] == ["a1", "a1"]
    assert posts[0].headers["webhook-id"] == posts[1].headers["webhook-id"] == "id-a1"
    assert (hook.counters.failed, hook.counters.delivered) == (1, 1)
    assert logs[0]["why"] == why


@pytest.mark.parametrize(
    ("scheme", "limit", "why"),
    [("https", "CONNECT_SECONDS", "no connection within 0.1 s"), ("http", "POST_SECONDS", "no answer within 0.1 s")],
)
async def test_what_did_not_come_in_time_is_said(
    scheme: str, limit: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"sidecar.io.webhook_connection.{limit}", 0.1)
    with socket.socket() as silent:
        silent.bind((LOOPBACK, 0))
        silent.listen()
        url = parse_webhook_url(f"{scheme}://{LOOPBACK}:{silent.getsockname()[1]}/")
        connection = WebhookConnection(url, BotHosts(), ssl.create_default_context())
        with pytest.raises(WebhookError, match=why):
            await connection.post({}, b"{}")


async def test_connections_are_kept_and_one_that_was_closed_meanwhile_costs_nothing() -> None:
    async with WebhookReceiver() as receiver:
        hook = sender(receiver.url)
        async with running_webhooks([hook], Supervisor(Random(1))):
            for name in ("a1", "a2", "a3"):
                add(hook, name)
                await asyncio.wait_for(hook.until_told(), 5)
            assert len({post.connection for post in receiver.posts}) < 3
            receiver.drop()
            await asyncio.sleep(0.05)
            for name in ("a4", "a5", "a6", "a7", "a8"):
                add(hook, name)
                await asyncio.wait_for(hook.until_told(), 5)
    assert (hook.counters.delivered, hook.counters.failed) == (8, 0)


async def test_a_host_that_is_not_allowed_is_not_connected_to() -> None:
    with capture_logs() as logs:
        async with WebhookReceiver() as receiver:
            hook = sender(receiver.url.replace("127.0.0.1", "localhost"), hosts=BotHosts(("localhost",), strict=True))
            async with running_webhooks([hook], Supervisor(Random(1))):
                add(hook, "a1")
                while not hook.counters.failed:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert receiver.posts == []
    assert logs[0]["why"] == "localhost has no address that is allowed"


@pytest.mark.parametrize("trusted", [True, False])
async def test_who_has_no_certificate_that_is_trusted_is_told_nothing(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with capture_logs() as logs:
        async with WebhookReceiver(tls=context) as receiver:
            hook = sender(receiver.url)
            async with running_webhooks([hook], Supervisor(Random(1))):
                add(hook, "a1")
                while not (hook.counters.failed or hook.counters.delivered):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    assert [post.json for post in receiver.posts] == (["a1"] if trusted else [])
    assert trusted or "certificate" in logs[0]["why"]


async def test_many_streams_are_posted_side_by_side() -> None:
    async with WebhookReceiver() as receiver:
        receiver.delay = 0.1
        hook = sender(receiver.url)
        began = time.monotonic()
        async with running_webhooks([hook], Supervisor(Random(1))):
            add(hook, *(f"{chr(97 + n)}1" for n in range(12)))
            await receiver.received(12)
    assert time.monotonic() - began < 1.0  # one after the other it would be 1.2 s


async def test_metrics_tell_of_webhooks() -> None:
    async with WebhookReceiver() as receiver, Bot() as bot:
        hooks: dict[str, Any] = {"crm": {"url": receiver.url, "secret": PUBLISHED, "events": ["stop"]}}
        async with sidecar_under_test(api={}, stream={"url": bot.url}, webhooks=hooks) as car:
            async with live_call(car):
                pass
            await receiver.received(1)
            await car.until_no_calls()
            metrics = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
    assert 'sidecar_webhook_dropped_total{reason="full",webhook="crm"} 0.0' in metrics
    assert 'sidecar_events_total{kind="stop"} 1.0' in metrics


async def test_a_mistake_of_ours_ends_neither_the_webhook_nor_anything_else() -> None:
    supervisor = Supervisor(Random(1))
    with capture_logs() as logs:
        async with WebhookReceiver() as receiver:
            hook = sender(receiver.url)
            async with running_webhooks([hook], supervisor):
                hook.add(RingEvent(1, "id-\ud800", "json", "a", b'"unsignable"'))
                add(hook, "b1")
                await receiver.received(1)
                add(hook, "c1")
                async with asyncio.timeout(10):
                    while hook.counters.delivered < 2:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
    # what was on its way when the mistake was made again is posted again
    assert {post.json for post in receiver.posts} == {"b1", "c1"}
    assert supervisor.failures["webhook crm"] >= 1
    assert "task failed" in [log["event"] for log in logs]
