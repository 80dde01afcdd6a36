"""What is logged: an event a line, with its stream and its call; of secrets nothing, whatever goes wrong with them."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from sidecar.log import log_to_stderr
from sip import Response, parse_message
from tests.support.bots import Bot
from tests.support.live_call import live_call
from tests.support.ports import LOOPBACK
from tests.support.rest import ask
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sip_messages import OFFER, request

MARK = "hunter2"
"""Is in each secret, as it is or as base64."""

_KEY = b64encode(b"hunter2 is in the key of RTP.."[:30]).decode()
_WEBHOOK = b64encode(MARK.encode() * 5).decode()
_SDES = OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{_KEY}\r\n".encode()

GOOD = {
    "X-STREAM_AUTH": f"bearer {MARK}-token",
    "X-STREAM_EXTRA_HEADERS": json.dumps({"X-Api-Key": f"{MARK}-header"}),
}
ODD = [
    {"X-STREAM_AUTH": f"basik user:{MARK}"},
    {"X-STREAM_AUTH": f"bearer {MARK} {MARK}"},
    {"X-STREAM_AUTH": f"env:{MARK}-is-no-name"},
    {"X-STREAM_EXTRA_HEADERS": f'{{"X-Key": "{MARK}"'},
    {"X-STREAM_EXTRA_HEADERS": f'{{"X-Key": "{MARK}\\u0000"}}'},
    {"X-STREAM_URL": f"ws://user:{MARK}@:bad/"},
    {"X-STREAM_URL": f"ftp://user:{MARK}@127.0.0.1/"},
    {"X-STREAM_URL": f"ws://a%3Ab:{MARK}@127.0.0.1:9/"},
    {"X-STREAM_URL": f"ws://user:{MARK}@127.0.0.1:9/ws?token={MARK}"},  # nobody listens there
    {"X-STREAM_URL": f"ws://user:{MARK}@10.0.0.1/ws?token={MARK}"},  # not allowed
    {"X-STREAM_ON_BOT_LOST": f"fallback:ws://user:{MARK}@127.0.0.1:99999/"},
    {"X-STREAM_ON_BOT_LOST": f"hangup:{MARK}"},
    {"Authorization": f'Digest username="alice", realm="x", nonce="{MARK}", uri="sip:x", response="{MARK}"'},
]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Log as `sidecar serve` does, and more; return what was logged."""
    before, written = structlog.get_config(), StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        log_to_stderr("debug")
    yield written.getvalue
    structlog.configure(**before)


async def _statuses(car: SidecarUnderTest, headers: dict[str, str], body: bytes, *, number: int) -> list[int]:
    """Send an INVITE; return the statuses of its responses, up to the final one."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(car.sidecar.sip_address)
        here = f"{LOOPBACK}:{sock.getsockname()[1]}"
        invite = request(
            uri="sip:bot@sidecar",
            via=f"Via: SIP/2.0/UDP {here};branch=z9hG4bK-{number}",
            contact=f"<sip:caller@{here}>",
            call_id=f"call-{number}",
            headers=tuple(f"{name}: {value}" for name, value in headers.items()),
            body=body,
        )
        sock.send(invite)
        statuses = [0]
        while statuses[-1] < 200:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65535), 5.0)
            response = parse_message(data)
            assert isinstance(response, Response)
            statuses.append(response.status)
        return statuses[1:]


async def test_no_secret_is_logged_and_each_event_is_one_line(logged: Callable[[], str]) -> None:
    settings: dict[str, Any] = {
        "api": {"tokens": {"ops": f"{MARK}-0123456789"}},
        "rtp": {"srtp": "optional"},
        "bot": {"allow": [f"{LOOPBACK}/32"]},
        "webhooks": {
            "w": {
                "url": f"http://127.0.0.1:9/hook?key={MARK}",
                "secret": f"whsec_{b64encode(MARK.encode() * 5).decode()}",
            }
        },
        "freeswitch": {"one": {"host": LOOPBACK, "port": 9, "password": MARK}},
    }
    async with Bot() as bot, sidecar_under_test(**settings) as car:
        url = bot.url.replace("ws://", f"ws://user:{MARK}@") + f"?token={MARK}"
        async with live_call(car, headers=(*GOOD.items(), ("X-STREAM_URL", url))) as call:
            stream = call.stream
            await bot.received(10)
        for number, odd in enumerate(ODD):
            headers = {"X-STREAM_URL": f"ws://user:{MARK}@127.0.0.1:9/", **GOOD, **odd}
            statuses = await _statuses(car, headers, OFFER, number=number)
            assert statuses[-1] >= 400, (odd, statuses)
        for number, body in enumerate((_SDES, _SDES.replace(b"inline:", b"inline:?"))):
            nobody = {"X-STREAM_URL": f"ws://user:{MARK}@127.0.0.1:9/"}
            assert (await _statuses(car, nobody, body, number=100 + number))[-1] >= 400
        port = car.sidecar.api_port
        for token in (f"{MARK}-0123456789", f"{MARK}-wrong"):
            bearer = {"Authorization": f"Bearer {token}"}
            attached = {"call": "x", "url": f"ws://u:{MARK}@x:0x/", "auth": f"bearer {MARK}"}
            assert (await ask(port, "POST", f"/v1/streams?token={MARK}", attached, headers=bearer)).status >= 400
            await ask(port, "GET", f"/v1/streams?token={MARK}", headers=bearer)
        await car.until_no_calls()
    secrets = (MARK, _KEY, _WEBHOOK, b64encode(f"user:{MARK}".encode()).decode())
    lines = logged().splitlines()
    for secret in secrets:
        assert not [line for line in lines if secret in line]
    told = [json.loads(line) for line in lines]
    of_call = [line for line in told if line.get("stream") == stream]
    assert [line["event"] for line in of_call] == ["start", "connect", "disconnect", "stop"]
    assert all(line["call"] and line["timestamp"] and line["level"] == "info" for line in of_call)
