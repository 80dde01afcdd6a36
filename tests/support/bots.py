"""Voice bots for tests: real WebSocket servers on loopback, good ones and bad ones.

async with ToneBot(make_tone(440.0, level_dbfs=-12.0, seconds=10.0, rate=8000), rate=8000) as bot:
    ...  # lead the product to bot.url
    await bot.received(50)
assert find_tone(bot.call.heard, 8000) ...
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.support.ports import LOOPBACK
from tests.support.tones import Pcm

FRAME_SECONDS = 0.020
LARGEST_MESSAGE = 64 * 1024 * 1024

_HANDSHAKE_KEY = re.compile(rb"Sec-WebSocket-Key: *([^\r\n]+)", re.IGNORECASE)
_HANDSHAKE_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the product, and the time of the event loop when it came."""

    at: float
    data: str | bytes


@dataclass(slots=True)
class BotCall:
    """One connection: what was asked in the handshake, and all that came after it."""

    path: str
    headers: Mapping[str, str]
    connected_at: float
    messages: list[Message] = field(default_factory=list)
    close_code: int | None = None
    close_reason: str = ""

    @property
    def texts(self) -> list[str]:
        return [message.data for message in self.messages if isinstance(message.data, str)]

    @property
    def binaries(self) -> list[bytes]:
        return [message.data for message in self.messages if isinstance(message.data, bytes)]

    @property
    def heard(self) -> Pcm:
        """All binary messages, one after the other, read as L16 little-endian."""
        return np.frombuffer(b"".join(self.binaries), dtype="<i2").astype(np.int16)

    @property
    def intervals_ms(self) -> list[float]:
        """The time between each two binary messages that follow each other."""
        times = [message.at for message in self.messages if isinstance(message.data, bytes)]
        return [(after - before) * 1000 for before, after in itertools.pairwise(times)]


class Bot:
    """A bot that listens and says nothing by itself; others say more in `talk` and `answer`."""

    def __init__(
        self,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        subprotocols: Sequence[str] | None = None,
        certificate: Path | None = None,
        authority: Path | None = None,
        compression: str | None = None,
    ) -> None:
        """Listen on `port`, with TLS if there is a PEM file with a certificate and its key.

        With an `authority`, clients must have a certificate of it.
        """
        self.calls: list[BotCall] = []
        self._host = host
        self._port = port
        self._subprotocols = [Subprotocol(name) for name in subprotocols] if subprotocols else None
        self._tls = None if certificate is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._tls is not None and certificate is not None:
            self._tls.load_cert_chain(certificate)
            if authority is not None:
                self._tls.verify_mode = ssl.CERT_REQUIRED
                self._tls.load_verify_locations(authority)
        self._compression = compression
        self._news = asyncio.Condition()
        self._connections: set[ServerConnection] = set()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://{self._host}:{self._port}/ws"

    @property
    def call(self) -> BotCall:
        """The call, when there was one and no more."""
        (call,) = self.calls
        return call

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._take,
            self._host,
            self._port,
            compression=self._compression,
            max_size=LARGEST_MESSAGE,
            ping_interval=None,
            process_request=self.refuse,
            subprotocols=self._subprotocols,
            ssl=self._tls,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self.drop()
        self._server.close()
        await self._server.wait_closed()

    async def connected(self, calls: int = 1, *, within: float = 5.0) -> None:
        """Wait until so many calls have come, those that are over included."""
        await self._until(lambda: len(self.calls) >= calls, within)

    async def received(self, messages: int = 1, *, within: float = 5.0) -> None:
        """Wait until the calls together have brought so many messages."""
        await self._until(lambda: sum(len(call.messages) for call in self.calls) >= messages, within)

    async def closed(self, calls: int = 1, *, within: float = 5.0) -> None:
        """Wait until so many calls are over."""
        await self._until(lambda: sum(call.close_code is not None for call in self.calls) >= calls, within)

    async def send(self, data: str | bytes) -> None:
        """Send a message into each call that is up."""
        for connection in list(self._connections):
            with contextlib.suppress(ConnectionClosed):
                await connection.send(data)

    async def send_command(self, kind: str, **data: object) -> None:
        """Send a JSON message of the native dialect into each call that is up."""
        await self.send(json.dumps({"type": kind, "data": data}))

    async def hang_up(self, code: int = 1000, reason: str = "") -> None:
        """Close each call that is up, and wait until the other side has agreed."""
        for connection in list(self._connections):
            await connection.close(code, reason)

    def drop(self) -> None:
        """Cut each call that is up without a close frame: an abnormal end, 1006."""
        for connection in self._connections:
            connection.transport.abort()

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        """Give another answer than 101 to a handshake, or None."""
        return None

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        """Say something unasked; cancelled when the call ends."""

    async def answer(self, connection: ServerConnection, call: BotCall, data: str | bytes) -> None:
        """Say something to a message."""

    async def listen(self, connection: ServerConnection, call: BotCall) -> None:
        """Take in the messages of a call until it is over."""
        loop = asyncio.get_running_loop()
        async for data in connection:
            call.messages.append(Message(loop.time(), data))
            await self._notify()
            await self.answer(connection, call, data)

    async def _take(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        request = connection.request
        call = BotCall(request.path, request.headers, asyncio.get_running_loop().time())
        self.calls.append(call)
        self._connections.add(connection)
        talker = asyncio.create_task(self.talk(connection, call))
        try:
            await self._notify()
            with contextlib.suppress(ConnectionClosed):
                await self.listen(connection, call)
        finally:
            self._connections.discard(connection)
            talker.cancel()
            await asyncio.wait([talker])
            call.close_code = connection.close_code or 1006
            call.close_reason = connection.close_reason or ""
            await self._notify()
        if not talker.cancelled() and not isinstance(talker.exception(), ConnectionClosed):
            talker.result()

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _until(self, condition: Callable[[], bool], within: float) -> None:
        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            seen = [(len(call.texts), len(call.binaries), call.close_code) for call in self.calls]
            message = f"not within {within} s; texts, binaries and close code of each call: {seen}"
            raise AssertionError(message) from None


class EchoBot(Bot):
    """Sends each binary message back."""

    async def answer(self, connection: ServerConnection, call: BotCall, data: str | bytes) -> None:
        if isinstance(data, bytes):
            await connection.send(data)


class ToneBot(Bot):
    """Says some audio once, in frames of 20 ms as time goes by, while it hears what comes in."""

    def __init__(self, says: Pcm, *, rate: int, port: int = 0, subprotocols: Sequence[str] | None = None) -> None:
        super().__init__(port=port, subprotocols=subprotocols)
        size = round(rate * FRAME_SECONDS)
        self._frames = [says[start : start + size].astype("<i2").tobytes() for start in range(0, len(says), size)]

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        loop = asyncio.get_running_loop()
        for index, frame in enumerate(self._frames):
            await asyncio.sleep(call.connected_at + index * FRAME_SECONDS - loop.time())
            await connection.send(frame)


class OpeningBot(Bot):
    """Sends some messages, one right after the other, as soon as it is connected: texts, or audio of any size."""

    def __init__(self, opening: Sequence[str | bytes], *, port: int = 0) -> None:
        super().__init__(port=port)
        self._opening = opening

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        for message in self._opening:
            await connection.send(message)


class RefusingBot(Bot):
    """Answers the first handshakes, or all of them, with an HTTP status that refuses them."""

    def __init__(self, status: HTTPStatus, *, times: int | None = None, port: int = 0) -> None:
        super().__init__(port=port)
        self.refused_at: list[float] = []
        self._status = status
        self._times = times

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._times is not None and len(self.refused_at) >= self._times:
            return None
        self.refused_at.append(asyncio.get_running_loop().time())
        return connection.respond(self._status, f"{self._status.phrase}\n")


class ClosingBot(Bot):
    """Closes each call after so many messages, with no message as soon as it is connected."""

    def __init__(self, code: int, *, after: int = 0, reason: str = "", port: int = 0) -> None:
        super().__init__(port=port)
        self._code = code
        self._after = after
        self._reason = reason

    async def listen(self, connection: ServerConnection, call: BotCall) -> None:
        if not self._after:
            await connection.close(self._code, self._reason)
        await super().listen(connection, call)

    async def answer(self, connection: ServerConnection, call: BotCall, data: str | bytes) -> None:
        if len(call.messages) == self._after:
            await connection.close(self._code, self._reason)


class StallingBot(Bot):
    """Stops to read after so many messages, so that the buffers of the product fill up; pings find no answer.

    With a `receive_buffer` in bytes, the kernel takes little more than that for it.
    """

    def __init__(self, *, after: int = 0, port: int = 0, receive_buffer: int | None = None) -> None:
        super().__init__(port=port)
        self._after = after
        self._receive_buffer = receive_buffer

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        assert self._server is not None
        if self._receive_buffer is not None:  # of connections to come: they take it from the socket that listens
            for listening in self._server.sockets:
                descriptor = socket.socket(fileno=os.dup(listening.fileno()))
                with descriptor:
                    descriptor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        return self

    async def listen(self, connection: ServerConnection, call: BotCall) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self._after):
            call.messages.append(Message(loop.time(), await connection.recv()))
            await self._notify()
        connection.transport.pause_reading()
        await connection.wait_closed()


class RawServer:
    """A TCP server that never answers: it takes the handshake of a WebSocket in, and that is all."""

    def __init__(self) -> None:
        self.connections: list[RawConnection] = []
        self._port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"ws://{LOOPBACK}:{self._port}/ws"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: RawConnection(self), LOOPBACK, 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            if not connection.lost.is_set():
                connection.transport.abort()
            await connection.lost.wait()
        await self._server.wait_closed()

    def react(self, connection: RawConnection, data: bytes) -> None:
        """Do something about octets that came in."""


class RawConnection(asyncio.Protocol):
    """One connection to a `RawServer`, and all that came in."""

    transport: asyncio.Transport

    def __init__(self, server: RawServer) -> None:
        self.received = b""
        self.lost = asyncio.Event()
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._server.connections.append(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._server.react(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class GarbageServer(RawServer):
    """Answers each handshake as it should be, then sends octets that need be no frame.

    It closes the TCP connection when the other side sends a close frame, as that side must wait for it.
    """

    RESERVED_OPCODE = b"\x83\x01x"
    RESERVED_BIT = b"\xc2\x01x"
    MASKED = b"\x82\x81\x00\x00\x00\x00x"
    BAD_UTF8 = b"\x81\x02\xc3\x28"
    LONG_PING = b"\x89\x7e\x00\x80" + bytes(128)
    BAD_CLOSE_CODE = b"\x88\x02\x03\xed"

    def __init__(self, garbage: bytes) -> None:
        super().__init__()
        self._garbage = garbage

    def react(self, connection: RawConnection, data: bytes) -> None:
        if data.startswith(b"\x88"):
            connection.transport.close()
        if not connection.received.endswith(b"\r\n\r\n"):
            return
        key = _HANDSHAKE_KEY.findall(connection.received)[0]
        digest = hashlib.sha1(key + _HANDSHAKE_SUFFIX, usedforsecurity=False).digest()
        connection.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n" + self._garbage
        )
