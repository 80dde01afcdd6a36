"""The REST interface, over real sockets, with real calls."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.bots import Bot
from tests.support.live_call import live_call
from tests.support.ports import LOOPBACK
from tests.support.rest import Reply, ask
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.tones import level_at, make_tone

FULL, READ = "0123456789abcdef", "fedcba9876543210"
MANY = {"requests_per_second": 100_000}
TOKENS = {"tokens": {"ops": FULL}, "read_tokens": {"grafana": READ}}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def port_of(car: SidecarUnderTest) -> int:
    return car.sidecar.api_port


def problem(reply: Reply, status: int, slug: str) -> Any:
    """Check that this is a problem of that kind; return it."""
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["type"] == f"/problems#{slug}"
    assert reply.json["status"] == status
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    return reply.json


async def test_a_call_is_seen_steered_and_ended() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car, live_call(car) as call:
        port, path = port_of(car), f"/v1/streams/{call.stream}"
        seen = (await ask(port, "GET", path)).json
        assert (seen["stream"]["state"], seen["stream"]["bot"]) == ("up", "connected")
        assert seen["stats"]["messages_sent"] > 0
        page = (await ask(port, "GET", "/v1/streams")).json
        assert ([each["id"] for each in page["streams"]], page["next"]) == ([call.stream], None)
        assert (await ask(port, "POST", f"{path}/pause")).status == 202
        assert (await ask(port, "GET", path)).json["stream"]["paused"]
        assert (await ask(port, "POST", f"{path}/resume")).status == 202
        assert not (await ask(port, "GET", path)).json["stream"]["paused"]
        assert (await ask(port, "POST", f"{path}/text", {"text": "héllo"})).status == 202
        assert (await ask(port, "POST", f"{path}/clear")).status == 202
        assert (await ask(port, "POST", f"{path}/dtmf", {"digits": "12#"})).status == 202
        assert (await ask(port, "POST", f"{path}/hangup", {"cause": "USER_BUSY"})).status == 202
        result = await call.ended()
        assert result.answered
        await bot.closed()
        assert "héllo" in bot.call.texts
        await car.until_no_calls()
        problem(await ask(port, "GET", path), 404, "no-such-stream")


async def test_a_stream_is_changed_while_its_call_goes_on() -> None:
    async with Bot() as bot, Bot() as other, sidecar_under_test(api={}, stream={"url": bot.url}) as car:
        async with live_call(car) as call:
            port, path = port_of(car), f"/v1/streams/{call.stream}"
            changed = await ask(port, "PATCH", path, {"mix": "stereo", "rate": "16k", "buffer_size": 40})
            assert changed.status == 202, changed.body
            seen = (await ask(port, "GET", path)).json["stream"]
            assert (seen["mix"], seen["rate"], seen["buffer_size"]) == ("stereo", 16000, 40)
            assert (await ask(port, "PATCH", path, {"url": other.url})).status == 202
            await other.received(5)
            problem(await ask(port, "PATCH", path, {}), 422, "invalid")
            problem(await ask(port, "PATCH", path, {"rate": "11k"}), 422, "invalid")
            problem(await ask(port, "PATCH", path, {"call": "x"}), 422, "invalid")


async def test_a_clip_is_heard_and_a_last_text_goes_before_the_end() -> None:
    import base64

    tone = make_tone(700.0, level_dbfs=-12.0, seconds=1.0, rate=8000)
    clip = {"audioDataType": "raw", "sampleRate": 8000, "audioData": base64.b64encode(tone.tobytes()).decode()}
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car, live_call(car) as call:
        path = f"/v1/streams/{call.stream}"
        assert (await ask(port_of(car), "POST", f"{path}/play", clip)).status == 202
        await asyncio.sleep(1.3)
        assert (await ask(port_of(car), "DELETE", path, {"text": "goodbye"})).status == 202
        result = await call.ended()
        await bot.closed()
    assert bot.call.texts[-1] == "goodbye"
    assert level_at(result.recording.heard[2000:6000], 8000, 700.0) == pytest.approx(-12.0, abs=1.5)


async def test_streams_come_by_the_page_and_by_the_call() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car:
        async with live_call(car) as first, live_call(car) as second, live_call(car) as third:
            names = sorted(call.stream for call in (first, second, third))
            page = (await ask(port_of(car), "GET", "/v1/streams?limit=2")).json
            assert [each["id"] for each in page["streams"]] == names[:2]
            rest = (await ask(port_of(car), "GET", f"/v1/streams?limit=2&cursor={page['next']}")).json
            assert [each["id"] for each in rest["streams"]] == names[2:]
            assert rest["next"] is None
            named = page["streams"][0]["call"]
            found = (await ask(port_of(car), "GET", f"/v1/streams?call={named}")).json
            assert [each["id"] for each in found["streams"]] == names[:1]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/text", {}, "text"),
        ("POST", "/text", {"text": 5}, "text"),
        ("POST", "/text", {"text": "a", "to": "b"}, "to"),
        ("POST", "/text", None, "body"),
        ("POST", "/dtmf", {"digits": "12x"}, "digits"),
        ("POST", "/dtmf", {"digits": "1", "duration_ms": 1}, "duration_ms"),
        ("POST", "/transfer", {"to": "nobody"}, "to"),
        ("POST", "/play", {"audioDataType": "flac", "audioData": "AA=="}, "audioDataType"),
        ("POST", "/play", {"audioDataType": "raw", "audioData": "AA=="}, "sampleRate"),
        ("POST", "/hangup", {"cause": 128}, "cause"),
    ],
)
async def test_what_is_wrong_with_a_body_is_named(method: str, path: str, body: Any, field: str) -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car, live_call(car) as call:
        told = problem(await ask(port_of(car), method, f"/v1/streams/{call.stream}{path}", body), 422, "invalid")
        assert field in [error["field"] for error in told["errors"]]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/streams?cursor=zz", "cursor"),
        ("/v1/streams?cursor=%ff", "cursor"),
        ("/v1/streams?cursor=6b1f0c3d9a2e4f57", "cursor"),
        ("/v1/streams?limit=0", "limit"),
        ("/v1/streams?calls=1&limit=2", "calls"),
        ("/v1/streams/x?verbose=1", "verbose"),
        ("/v1/events?king=stop", "king"),
        ("/v1/events?kind=stopped", "kind"),
    ],
)
async def test_what_is_wrong_with_a_query_is_named(path: str, field: str) -> None:
    async with sidecar_under_test(api={}) as car:
        told = problem(await ask(port_of(car), "GET", path), 422, "invalid")
        assert [error["field"] for error in told["errors"]] == [field]


ODD = ["\ud800", "a\udfff", "\x00", "\r\nX-Injected: 1", "\u2028", "é𝒳", "%00", " ", "", "{", "x" * 5000]


def is_unicode(value: Any) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


async def test_odd_text_in_any_field_is_taken_or_refused_by_its_name() -> None:
    async with Bot() as bot, sidecar_under_test(api=MANY, stream={"url": bot.url}) as car, live_call(car) as call:
        port, path, clip = port_of(car), f"/v1/streams/{call.stream}", {"audioDataType": "wav", "audioData": "AA=="}
        tried: list[tuple[str, str, str, dict[str, Any]]] = [
            *(("POST", "/text", "text", {"text": odd}) for odd in ODD),
            *(("POST", "/dtmf", "digits", {"digits": odd}) for odd in ODD),
            *(("POST", "/transfer", "to", {"to": odd}) for odd in ODD),
            *(("PATCH", "", "url", {"url": odd}) for odd in ODD),
            *(("PATCH", "", "mix", {"mix": odd}) for odd in ODD),
            *(("POST", "/play", "audioDataType", {**clip, "audioDataType": odd}) for odd in ODD),
            *(("POST", "/play", "name", {**clip, "name": odd}) for odd in ODD),
            *(("POST", "/play", "name", {**clip, "name": {odd: [odd]}}) for odd in ODD),
            *(("POST", "/hangup", "cause", {"cause": odd}) for odd in ODD),
        ]
        for method, rest, field, body in tried:
            reply = await ask(port, method, path + rest, body)
            if reply.status != 202 or not is_unicode(body):
                told = problem(reply, 422, "invalid")
                assert [error["field"] for error in told["errors"]] == [field], (body, told)
        for odd in ODD:
            assert (await ask(port, "POST", f"{path}/text", {"text": "a", odd: 1})).status == 422
            assert (await ask(port, "POST", f"{path}/play", {**clip, odd: odd})).status in (202, 422)
        assert (await ask(port, "GET", path)).json["stream"]["bot"] == "connected"


async def test_what_cannot_be_read_is_refused() -> None:
    async with sidecar_under_test(api={}) as car:
        port, path = port_of(car), "/v1/streams/x/text"
        problem(await ask(port, "POST", path, b"{"), 400, "bad-request")
        problem(await ask(port, "POST", path, b"\xff"), 400, "bad-request")
        problem(await ask(port, "POST", path, b"text=x", headers={"Content-Type": "text/plain"}), 415, "not-json")
        problem(await ask(port, "POST", path, b'"' + b"x" * (1 << 20) + b'"'), 413, "too-large")
        problem(await ask(port, "POST", path, {"text": "x"}), 404, "no-such-stream")
        problem(await ask(port, "GET", "/v2"), 404, "not-found")
        allowed = await ask(port, "PUT", "/v1/streams")
        problem(allowed, 405, "method-not-allowed")
        assert allowed.headers["allow"] == "GET, POST"
        assert (await ask(port, "OPTIONS", "/v1/streams/x/pause")).headers["allow"] == "POST"
        assert (await ask(port, "POST", "/docs")).headers["allow"] == "GET"
        problem(await ask(port, "POST", "/v1/streams", {"call": "1234", "url": "ws://bot"}), 409, "not-configured")


async def test_tokens_open_what_they_are_for() -> None:
    async with sidecar_under_test(api=TOKENS) as car:
        port = port_of(car)
        anonymous = await ask(port, "GET", "/v1/streams")
        problem(anonymous, 401, "unauthorized")
        assert anonymous.headers["www-authenticate"].startswith("Bearer ")
        wrong = await ask(port, "GET", "/v1/streams", headers=bearer(FULL + "0"))
        assert FULL not in json.dumps(problem(wrong, 401, "unauthorized"))
        for token in (FULL, READ):
            assert (await ask(port, "GET", "/v1/streams", headers=bearer(token))).status == 200
            assert (await ask(port, "GET", "/metrics", headers=bearer(token))).status == 200
        problem(await ask(port, "POST", "/v1/streams/x/pause", headers=bearer(READ)), 403, "forbidden")
        problem(await ask(port, "POST", "/v1/streams/x/pause", headers=bearer(FULL)), 404, "no-such-stream")
        problem(await ask(port, "GET", "/metrics"), 401, "unauthorized")
        for path in ("/", "/healthz", "/readyz", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/problems"):
            assert (await ask(port, "GET", path, headers={"Host": "sidecar.example.com"})).status == 200
        console = await ask(port, "GET", "/")
    assert console.headers["content-type"] == "text/html; charset=utf-8"
    assert console.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert (console.headers["cache-control"], console.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert not [token for token in (FULL, READ) if token.encode() in console.body]


async def test_metrics_may_be_open() -> None:
    async with sidecar_under_test(api={**TOKENS, "open_metrics": True}) as car:
        metrics = await ask(port_of(car), "GET", "/metrics")
        assert metrics.status == 200
        assert b"\nsidecar_calls 0.0\n" in metrics.body
        assert b'sidecar_worker_streams{worker="0"} 0.0' in metrics.body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "[::1", "10.0.0.1", ""]
)
async def test_without_tokens_a_name_that_leads_here_is_not_enough(host: str) -> None:
    async with sidecar_under_test(api={}) as car:
        problem(await ask(port_of(car), "GET", "/v1/streams", headers={"Host": host}), 421, "wrong-host")


async def test_web_pages_of_other_origins_are_refused() -> None:
    async with sidecar_under_test(api={}) as car:
        port = port_of(car)
        for origin in ("http://evil.example", "null", "http://[", f"http://{LOOPBACK}:{port + 1}"):
            reply = await ask(port, "POST", "/v1/streams/x/pause", headers={"Origin": origin})
            problem(reply, 403, "cross-origin")
        own = {"Origin": f"http://{LOOPBACK}:{port}"}
        problem(await ask(port, "POST", "/v1/streams/x/pause", headers=own), 404, "no-such-stream")


async def test_a_request_that_is_sent_twice_has_one_effect() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car, live_call(car) as call:
        port, path = port_of(car), f"/v1/streams/{call.stream}/text"
        key = {"Idempotency-Key": "one"}
        first = await ask(port, "POST", path, {"text": "once"}, headers=key)
        second = await ask(port, "POST", path, {"text": "once"}, headers=key)
        assert (first.status, second.status, second.body) == (202, 202, first.body)
        assert second.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        problem(await ask(port, "POST", path, {"text": "other"}, headers=key), 422, "key-reused")
        problem(await ask(port, "POST", path, {"text": "x"}, headers={"Idempotency-Key": "é"}), 400, "bad-request")
        assert (await ask(port, "POST", path, {"text": "last"}, headers={"Idempotency-Key": "two"})).status == 202
        await ask(port, "POST", path.replace("text", "hangup"))
        await call.ended()
        await bot.closed()
        assert [text for text in bot.call.texts if text in ("once", "other", "last")] == ["once", "last"]


async def test_each_answer_has_a_request_id_and_says_nothing_of_the_server() -> None:
    async with sidecar_under_test(api={}) as car:
        given = await ask(port_of(car), "GET", "/healthz", headers={"X-Request-ID": "abc-1"})
        made = await ask(port_of(car), "GET", "/healthz", headers={"X-Request-ID": "with a space"})
        assert given.headers["x-request-id"] == "abc-1"
        assert len(made.headers["x-request-id"]) == 16
        assert "server" not in made.headers
        assert made.headers["date"].endswith("GMT")
        head = await ask(port_of(car), "HEAD", "/healthz")
        assert (head.status, head.body) == (200, b"")


async def test_readiness_says_why_not() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, sip={"max_calls": 1}, stream={"url": bot.url}) as car:
        assert (await ask(port_of(car), "GET", "/readyz")).json["max_calls"] == 1
        async with live_call(car):
            full = problem(await ask(port_of(car), "GET", "/readyz"), 503, "unavailable")
            assert (full["why_not"], full["calls"], full["max_calls"]) == ("Too many calls", 1, 1)
        await car.until_no_calls()
        car.sidecar.control.drain()
        drained = problem(await ask(port_of(car), "GET", "/readyz"), 503, "unavailable")
        assert (drained["why_not"], drained["draining"]) == ("Draining", True)


async def test_more_requests_than_allowed_are_refused_but_probes_are_not() -> None:
    async with sidecar_under_test(api={"requests_per_second": 0.5}) as car:
        assert (await ask(port_of(car), "GET", "/v1/streams")).status == 200
        refused = await ask(port_of(car), "GET", "/v1/streams")
        problem(refused, 429, "too-many-requests")
        assert refused.headers["retry-after"] == "1"
        assert (await ask(port_of(car), "GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    "said",
    [b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nA: " + b"x" * 99_999],
)
async def test_what_is_no_http_is_answered_and_closed(said: bytes) -> None:
    async with sidecar_under_test(api={}) as car:
        reader, writer = await asyncio.open_connection(LOOPBACK, port_of(car))
        writer.write(said)
        if said.startswith(b"\x16"):
            writer.write(b"\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert (await ask(port_of(car), "GET", "/healthz")).status == 200
        assert (
            b'sidecar_http_connections_cut_total{reason="malformed"} 1.0'
            in (await ask(port_of(car), "GET", "/metrics")).body
        )


async def test_secrets_are_not_in_the_log_nor_in_answers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "token"
    secret.write_text(FULL + "\n")
    async with sidecar_under_test(api={"tokens": {"ops": f"file:{secret}"}}) as car:
        assert (await ask(port_of(car), "POST", "/v1/streams/x/pause", headers=bearer(FULL))).status == 404
        assert (await ask(port_of(car), "POST", "/v1/streams/x/pause", headers=bearer(FULL[1:]))).status == 401
    said = "".join(capfd.readouterr())
    assert "token=ops" in said
    assert FULL not in said
    assert FULL[1:] not in said


async def test_a_port_that_is_taken_is_an_error_and_nothing_is_left() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            async with sidecar_under_test(api={"port": taken.getsockname()[1]}):
                pass
