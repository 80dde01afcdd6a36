"""REST over TLS: real processes, a real Redis between two of them."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

import pytest

from sidecar.api.server import HttpLimits, HttpServer
from sidecar.doctor.rest import find_running
from sidecar.settings import ApiSettings
from tests.support.bots import EchoBot
from tests.support.certificates import Authority
from tests.support.media_caller import media_caller
from tests.support.ports import LOOPBACK
from tests.support.redis_server import RedisServer
from tests.support.serving import Serving, serving

POD_NAME = "pods.example.com"


def get(port: int, path: str, authority: Path, *, host: str = LOOPBACK) -> tuple[int, bytes]:
    """Ask over TLS; `host` is what the certificate must name."""
    context = ssl.create_default_context(cafile=str(authority))
    with socket(AF_INET, SOCK_STREAM) as plain:
        plain.settimeout(10)
        plain.connect((LOOPBACK, port))
        connection = http.client.HTTPSConnection(host, port)
        with context.wrap_socket(plain, server_hostname=host) as connection.sock:
            connection.request("GET", path, headers={"Host": f"{LOOPBACK}:{port}"})
            response = connection.getresponse()
            return response.status, response.read()


def api_port(car: Serving) -> int:
    return int(car.logged("ready")[0]["api_port"])


async def test_who_does_not_speak_tls_is_not_heard(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    certificate = authority.issue()
    api = {"API__ENABLED": "true", "API__PORT": 0, "API__TLS_CERTIFICATE": certificate}
    async with EchoBot() as bot, serving(workers=0, bot=bot.url, **api) as car:
        assert (await asyncio.to_thread(get, api_port(car), "/healthz", authority.path))[0] == 200
        reader, writer = await asyncio.open_connection(LOOPBACK, api_port(car))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readuntil(b"HTTP/1.1")
        writer.close()
        status, metrics = await asyncio.to_thread(get, api_port(car), "/metrics", authority.path)
        assert status == 200
        assert b'sidecar_http_connections_cut_total{reason="unshaken"} 1.0' in metrics
        found = await asyncio.to_thread(find_running, ApiSettings(port=api_port(car), tls_certificate=certificate))
        assert found is not None
        assert found.calls == 0


async def test_hands_are_shaken_in_time_by_so_many_at_once(tmp_path: Path) -> None:
    certificate = Authority.create(tmp_path).issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def nobody(scope: object, receive: object, send: object) -> None:
        raise AssertionError("nobody asks for anything")

    server = HttpServer(nobody, limits=HttpLimits(connections=2, request_seconds=0.3))
    sock = socket(AF_INET, SOCK_STREAM)
    sock.bind((LOOPBACK, 0))
    sock.listen()
    port = sock.getsockname()[1]
    server.listen(sock, tls=context)
    async with AsyncExitStack() as stack:
        silent = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            stack.callback(writer.close)
            silent.append(reader)
        async with asyncio.timeout(5.0):
            assert [await reader.read() for reader in silent] == [b"", b"", b""]
    await server.close()
    assert (server.counters.refused, server.counters.unshaken) == (1, 2)


@pytest.mark.peer("redis-server")
async def test_sidecars_ask_each_other_over_tls(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    certificate = authority.issue(POD_NAME)
    async with RedisServer() as redis, EchoBot() as bot, AsyncExitStack() as stack:
        cars = []
        for name in ("one", "two"):
            settings = {
                "API__ENABLED": "true",
                "API__PORT": 0,
                "API__TLS_CERTIFICATE": certificate,
                "DIRECTORY__URL": redis.url,
                "DIRECTORY__NAME": name,
                "DIRECTORY__TLS_CA": authority.path,
                "DIRECTORY__TLS_NAME": POD_NAME,
            }
            cars.append(await stack.enter_async_context(serving(workers=0, bot=bot.url, **settings)))
        one, two = cars
        async with media_caller(one.address, headers=[("X-STREAM_ID", "of-one")]):
            async with asyncio.timeout(5.0):
                while True:
                    status, body = await asyncio.to_thread(
                        get, api_port(two), "/v1/streams/of-one", authority.path, host=POD_NAME
                    )
                    if status == 200:
                        break
                    await asyncio.sleep(0.05)
            assert b'"pod":"one"' in body
