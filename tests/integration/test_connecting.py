"""How a stream gets to its bot: TLS, secrets, proxies, compression, and what is told when it does not get there."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from random import Random

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from sidecar.core.bot_connection import BotConnection, ConnectionEvent, Failed, Opened
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_life import BotLife
from sidecar.core.errors import ErrorCode
from sidecar.core.options import Profile, StreamOptions, resolve_options
from sidecar.core.outbox import Outbox
from sidecar.core.replay import Replay
from sidecar.core.websocket_frames import masked_binary_frames
from sidecar.io.bot_lane import BotLane, SocketLane
from sidecar.io.bot_stream import BotStream
from sidecar.io.deflating_lane import DeflatingSocketLane, DeflatingTlsLane
from sidecar.io.readiness import open_readiness
from sidecar.io.tls_contexts import TlsContexts
from sidecar.io.tls_lane import TlsLane
from tests.integration.conftest import StartSidecar
from tests.support import sipp
from tests.support.bots import Bot, BotCall, EchoBot, GarbageServer, RefusingBot
from tests.support.certificates import Authority, write_certificate
from tests.support.ports import LOOPBACK, free_port
from tests.support.proxy import ConnectProxy

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "portable"])


class Line:
    """One stream to a bot, without the telephone."""

    def __init__(self, stream: BotStream) -> None:
        self.stream = stream
        self.events: list[ConnectionEvent] = []
        self.heard = b""
        self.news = asyncio.Event()
        stream.lane.on_input = self.take

    def take(self) -> None:
        connection = self.stream.connection
        self.heard += b"".join(connection.take_audio())
        for event in connection.take_events():
            self.events.append(event)
            self.stream.settled.set()
            if isinstance(event, Opened):
                self.stream.lane.start(self.stream.options.metadata)
        self.stream.lane.flush()
        self.news.set()

    def say(self, pcm: bytes) -> None:
        masks = np.array([0x12345678], np.uint32)
        frame = masked_binary_frames(np.frombuffer(pcm, np.uint8)[None], masks)
        self.stream.lane.send_audio(frame.tobytes())

    async def until_heard(self, size: int) -> None:
        async with asyncio.timeout(5):
            while len(self.heard) < size:
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def connected(options: StreamOptions, hosts: BotHosts | None = None) -> AsyncIterator[Line]:
    """Connect as a media worker does."""
    readiness = open_readiness(asyncio.get_running_loop(), portable=True)
    connection = BotConnection(options.url, headers=options.extra_headers, deflate=not options.message_deflate)
    outbox = Outbox(100_000)
    lane: BotLane
    if connection.secure:
        lane = (TlsLane if options.message_deflate else DeflatingTlsLane)(connection, outbox)
    else:
        lane = (SocketLane if options.message_deflate else DeflatingSocketLane)(connection, outbox, readiness)
    line = Line(BotStream("test", 0, options, connection, lane, BotLife(options, Random(1)), Replay(20, 0)))
    await line.stream.connect(hosts or BotHosts(), TlsContexts(), seconds=5.0)
    line.take()
    try:
        yield line
    finally:
        lane.say_goodbye(1000, "")
        lane.close()
        readiness.close()


def profile(url: str, **options: str) -> StreamOptions:
    return resolve_options({}, [Profile({"url": url, **options})])[0]


async def failure(options: StreamOptions, hosts: BotHosts | None = None) -> Failed:
    """Fail to connect, and return why."""
    async with connected(options, hosts) as line:
        (event,) = line.events
    assert isinstance(event, Failed)
    return event


async def opens(options: StreamOptions) -> None:
    async with connected(options) as line:
        assert line.events == [Opened()]


# --- TLS


@LOOPS
async def test_a_bot_with_a_certificate_of_a_private_authority(tmp_path: Path, loop: str) -> None:
    authority = Authority.create(tmp_path)
    async with EchoBot(certificate=authority.issue()) as bot:
        async with connected(profile(bot.url, tls_ca_file=str(authority.path))) as line:
            assert line.events == [Opened()]
            line.say(b"abcd" * 80)
            await line.until_heard(320)
            assert line.heard == b"abcd" * 80
        failed = await failure(profile(bot.url))
        assert failed.code is ErrorCode.SSL_ERROR


@LOOPS
async def test_without_verification_anybody_may_be_the_bot(tmp_path: Path, loop: str) -> None:
    async with EchoBot(certificate=write_certificate(tmp_path, address="192.0.2.1", days=-1)) as bot:
        await opens(profile(bot.url, tls_ca_file="NONE"))


@LOOPS
async def test_the_name_of_the_host_is_checked_unless_switched_off(tmp_path: Path, loop: str) -> None:
    authority = Authority.create(tmp_path)
    async with EchoBot(certificate=authority.issue("192.0.2.1")) as bot:
        ca_file = str(authority.path)
        failed = await failure(profile(bot.url, tls_ca_file=ca_file))
        assert failed.code is ErrorCode.SSL_ERROR
        assert "127.0.0.1" in failed.error
        await opens(profile(bot.url, tls_ca_file=ca_file, tls_disable_hostname_validation="true"))


@LOOPS
async def test_an_expired_certificate_is_refused(tmp_path: Path, loop: str) -> None:
    authority = Authority.create(tmp_path)
    async with EchoBot(certificate=authority.issue(days=-1)) as bot:
        for switch in ("false", "true"):
            options = profile(bot.url, tls_ca_file=str(authority.path), tls_disable_hostname_validation=switch)
            failed = await failure(options)
            assert failed == Failed(ErrorCode.SSL_ERROR, "certificate refused: certificate has expired")


@LOOPS
async def test_a_bot_that_wants_a_certificate_of_ours(tmp_path: Path, loop: str) -> None:
    authority, stranger = Authority.create(tmp_path / "ours"), Authority.create(tmp_path / "theirs")
    ca_file, ours, theirs = str(authority.path), str(authority.issue("192.0.2.7")), str(stranger.issue("192.0.2.7"))
    async with EchoBot(certificate=authority.issue(), authority=authority.path) as bot:
        await opens(profile(bot.url, tls_ca_file=ca_file, tls_cert_file=ours))
        for other in ({}, {"tls_cert_file": theirs}):
            failed = await failure(profile(bot.url, tls_ca_file=ca_file, **other))
            assert failed.code is ErrorCode.SSL_HANDSHAKE_FAILED, failed


@LOOPS
async def test_a_bot_that_says_that_it_wants_a_certificate(tmp_path: Path, loop: str) -> None:
    """With TLS 1.3 it says so when we think that all is well (RFC 8446, section 4.4.2.4)."""
    authority = Authority.create(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.issue())
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.path)
    with socket.create_server((LOOPBACK, 0)) as server:

        def refuse() -> None:
            sock, _ = server.accept()
            with sock, pytest.raises(ssl.SSLError):
                tls.wrap_socket(sock, server_side=True)

        bot = asyncio.create_task(asyncio.to_thread(refuse))
        url = f"wss://{LOOPBACK}:{server.getsockname()[1]}"
        failed = await failure(profile(url, tls_ca_file=str(authority.path)))
        await bot
    assert failed.code is ErrorCode.SSL_HANDSHAKE_FAILED
    assert "CERTIFICATE_REQUIRED" in failed.error or "client certificate" in failed.error


async def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    (tmp_path / "empty.pem").touch()
    url, ca_file, empty = f"wss://{LOOPBACK}:{free_port()}", str(authority.path), str(tmp_path / "empty.pem")
    for options, why in (
        ({"tls_ca_file": "/does/not/exist.pem"}, "tls_ca_file: No such file or directory"),
        ({"tls_ca_file": empty}, "tls_ca_file: "),
        ({"tls_cert_file": "/does/not/exist.pem"}, "tls_cert_file, tls_key_file: No such file or directory"),
        ({"tls_cert_file": ca_file}, "tls_cert_file, tls_key_file: "),
        ({"tls_cert_file": ca_file, "tls_key_file": str(authority.issue())}, "key values mismatch"),
    ):
        failed = await failure(profile(url, **options))
        assert failed.code is ErrorCode.TLS_INIT_FAILED
        assert why in failed.error


async def test_a_bot_that_does_not_speak_tls() -> None:
    async with EchoBot() as bot:
        failed = await failure(profile(bot.url.replace("ws:", "wss:")))
        assert failed.code is ErrorCode.SSL_HANDSHAKE_FAILED


async def test_a_certificate_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    contexts = TlsContexts()
    old, new = Authority.create(tmp_path / "old"), Authority.create(tmp_path / "new")
    options = profile("wss://bot.example", tls_ca_file=str(old.path))
    context = await contexts.get(options)
    assert await contexts.get(options) is context
    new.path.replace(old.path)
    assert await contexts.get(options) is not context
    usual = await contexts.get(profile("wss://bot.example"))
    assert await contexts.get(profile("wss://other.example")) is usual


# --- secrets


async def test_the_authorization_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("bearer from-file\n")
    monkeypatch.setenv("TEST_BOT_AUTH", "basic env:iron")
    headers = '{"authorization": "Bearer of-headers", "X-Other": "1"}'
    async with EchoBot() as bot:
        for auth in ("bearer given", "env:TEST_BOT_AUTH", f"file:{secret}"):
            await opens(profile(bot.url, auth=auth, extra_headers=headers))
        await opens(profile(bot.url, extra_headers=headers))
        await opens(profile(bot.url.replace("//", "//us:er@"), auth="bearer given"))
        await opens(profile(bot.url.replace("//", "//us:er@")))
        sent = [call.headers["Authorization"] for call in bot.calls]
    assert sent == [
        "Bearer given",
        "Basic ZW52Omlyb24=",
        "Bearer from-file",
        "Bearer of-headers",
        "Bearer given",
        "Basic dXM6ZXI=",
    ]


async def test_a_secret_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_BOT_AUTH", raising=False)
    secret = tmp_path / "secret"
    secret.write_bytes(b"hush \xff")
    url = f"ws://{LOOPBACK}:{free_port()}"
    assert (await failure(profile(url, auth="env:TEST_BOT_AUTH"))).error == "auth: env:TEST_BOT_AUTH: no such variable"
    assert "No such file" in (await failure(profile(url, auth="file:/does/not/exist"))).error
    failed = await failure(profile(url, auth=f"file:{secret}"))
    assert "hush" not in failed.error
    secret.write_text("hush")
    failed = await failure(profile(url, auth=f"file:{secret}"))
    assert failed.code is ErrorCode.CONNECT_FAILED
    assert "hush" not in failed.error


# --- proxies


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for scheme in ("ws", "wss", "http", "https", "socks", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)
    return monkeypatch


@LOOPS
async def test_a_bot_behind_a_proxy(no_proxy: pytest.MonkeyPatch, tmp_path: Path, loop: str) -> None:
    authority = Authority.create(tmp_path)
    async with ConnectProxy() as proxy, EchoBot() as plain, EchoBot(certificate=authority.issue()) as secure:
        no_proxy.setenv("https_proxy", proxy.url.replace("//", "//us:er@"))
        async with connected(profile(plain.url.replace(LOOPBACK, "bot.invalid"))) as line:
            assert line.events == [Opened()]
            line.say(b"ab" * 160)
            await line.until_heard(320)
        url = secure.url.replace(LOOPBACK, "192.0.2.1")
        options = {"tls_ca_file": str(authority.path), "tls_disable_hostname_validation": "1"}
        await opens(profile(url, **options))
        assert plain.call.headers["Host"].startswith("bot.invalid:")
        assert "Proxy-Authorization" not in plain.call.headers
        no_proxy.setenv("no_proxy", "bot.invalid")
        assert (await failure(profile(plain.url.replace(LOOPBACK, "bot.invalid")))).code is ErrorCode.CONNECT_FAILED
        await opens(profile(plain.url))  # what is on this machine, no proxy needs to be asked for
    assert [request.split()[:2] for request in proxy.requests] == [
        ["CONNECT", plain.url.removeprefix("ws://").removesuffix("/ws").replace(LOOPBACK, "bot.invalid")],
        ["CONNECT", url.removeprefix("wss://").removesuffix("/ws")],
    ]
    assert all("Proxy-Authorization: Basic dXM6ZXI=" in request for request in proxy.requests)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy refused: HTTP 407"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil.example\r\n\r\n", "the proxy refused: HTTP 302"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the proxy refused: nonsense"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 me\r\n", "something of its own"),
        (b"", "did not answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 30_000, "did not answer"),
    ],
)
async def test_a_proxy_that_does_not_help(no_proxy: pytest.MonkeyPatch, answer: bytes, why: str) -> None:
    async with ConnectProxy(answer) as proxy:
        no_proxy.setenv("http_proxy", proxy.url)
        failed = await failure(profile("ws://bot.invalid/"))
        assert failed.code is ErrorCode.CONNECT_FAILED
        assert why in failed.error


@pytest.mark.parametrize(
    ("proxy", "code"),
    [
        ("socks5h://us:hush@127.0.0.1:1080", ErrorCode.NOT_SUPPORTED),
        ("https://us:hush@127.0.0.1:1080", ErrorCode.NOT_SUPPORTED),
        ("http://us:hush@127.0.0.1:port", ErrorCode.CONNECT_FAILED),
        ("gopher://us:hush@127.0.0.1", ErrorCode.CONNECT_FAILED),
    ],
)
async def test_a_proxy_that_is_not_for_us(no_proxy: pytest.MonkeyPatch, proxy: str, code: ErrorCode) -> None:
    no_proxy.setenv("https_proxy", proxy)
    failed = await failure(profile("wss://bot.invalid/"))
    assert failed.code is code
    assert "hush" not in failed.error


async def test_a_proxy_is_asked_for_no_bot_that_is_not_listed_by_name(no_proxy: pytest.MonkeyPatch) -> None:
    async with ConnectProxy() as proxy, EchoBot() as bot:
        no_proxy.setenv("http_proxy", proxy.url)
        url = bot.url.replace(LOOPBACK, "bot.invalid")
        for hosts in (BotHosts(strict=True), BotHosts(("10.0.0.0/8",)), BotHosts(("other.invalid",))):
            failed = await failure(profile(url), hosts)
            assert failed.code is ErrorCode.CONNECT_FAILED
            assert "allowed" in failed.error
        failed = await failure(profile("ws://169.254.169.254/latest"))
        assert "allowed" in failed.error
        assert proxy.requests == []
        async with connected(profile(url), BotHosts(("*.invalid",), strict=True)) as line:
            assert line.events == [Opened()]


# --- hosts


async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    async with EchoBot() as bot:
        url = bot.url.replace(LOOPBACK, "localhost")
        for hosts in (BotHosts(("10.0.0.0/8",)), BotHosts(("localhost",), strict=True)):
            failed = await failure(profile(url), hosts)
            assert failed == Failed(
                ErrorCode.CONNECT_FAILED, "localhost has no address that is allowed", forbidden=True
            )
        assert bot.calls == []
        async with connected(profile(url), BotHosts(("localhost", "127.0.0.0/8"), strict=True)) as line:
            assert line.events == [Opened()]


@pytest.mark.peer("sipp")
async def test_a_call_to_an_address_that_is_not_allowed_is_a_403(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with EchoBot() as bot:
        url = bot.url.replace(LOOPBACK, "localhost")
        async with start_sidecar(bot={"allow": ["localhost"], "strict": True}, stream={"url": url}) as car:
            values = {"status": "403", "header": "Reason", "pattern": "localhost has no address that is allowed"}
            (await sipp.run("call_refused", car.address, tmp_path, values=values)).assert_all_successful()
        assert bot.calls == []


# --- answers


@pytest.mark.parametrize("status", [HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.TEMPORARY_REDIRECT])
async def test_a_redirect_is_not_followed(status: HTTPStatus) -> None:
    async with EchoBot() as other:

        class Redirecting(Bot):
            def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
                response = connection.respond(status, "")
                response.headers["Location"] = other.url
                return response

        async with Redirecting() as bot:
            failed = await failure(profile(bot.url))
        assert failed.code is ErrorCode.NOT_SUPPORTED
        assert f"HTTP {status.value}" in failed.error
        assert other.calls == []


async def test_the_codes_of_what_goes_wrong() -> None:
    async with RefusingBot(HTTPStatus.UNAUTHORIZED) as bot:
        failed = await failure(profile(bot.url))
        assert failed == Failed(ErrorCode.CONNECT_FAILED, "the bot refused: HTTP 401")
    failed = await failure(profile(f"ws://{LOOPBACK}:{free_port()}"))
    assert failed == Failed(ErrorCode.CONNECT_FAILED, "Connection refused")
    async with GarbageServer(GarbageServer.MASKED) as server, connected(profile(server.url)) as line:
        while not line.stream.connection.is_over:
            line.news.clear()
            await line.news.wait()
        assert isinstance(line.events[-1], Failed)
        assert line.events[-1].code is ErrorCode.SERVER_MASKED


# --- compression


class Repeating(Bot):
    """Repeats the audio, and says what was compressed."""

    async def answer(self, connection: ServerConnection, call: BotCall, data: str | bytes) -> None:
        await connection.send(data)


@LOOPS
@pytest.mark.parametrize("secure", [False, True])
async def test_compression_gives_the_same_audio(tmp_path: Path, loop: str, secure: bool) -> None:
    authority = Authority.create(tmp_path)
    said = [bytes([each] * 320) + np.random.default_rng(each).bytes(320) for each in range(50)]
    certificate = authority.issue() if secure else None
    async with Repeating(compression="deflate", certificate=certificate) as bot:
        options = {"tls_ca_file": str(authority.path)} if secure else {}
        async with connected(profile(bot.url, message_deflate="false", metadata="x" * 500, **options)) as line:
            assert line.stream.connection.deflates
            for each in said:
                line.say(each)
            await line.until_heard(640 * 50)
            assert line.heard == b"".join(said)
            await bot.received(51)
        assert "permessage-deflate" in bot.call.headers["Sec-WebSocket-Extensions"]
        assert bot.call.texts == ["x" * 500]
        assert bot.call.binaries == said


async def test_compression_that_the_bot_does_not_want_is_left_out() -> None:
    async with Repeating() as bot, connected(profile(bot.url, message_deflate="false")) as line:
        assert not line.stream.connection.deflates
        line.say(b"ab" * 160)
        await line.until_heard(320)


async def test_compression_is_not_offered_unasked() -> None:
    async with Repeating(compression="deflate") as bot, connected(profile(bot.url)) as line:
        assert not line.stream.connection.deflates
        assert "Sec-WebSocket-Extensions" not in bot.call.headers
