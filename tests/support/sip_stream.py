"""A SIP peer on TCP or TLS that writes and reads whatever a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from sip import Message, SipUri, StreamFramer, parse_message

SECONDS = 5.0


class SipStream:
    """One connection of the peer's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framer = StreamFramer()
        self._messages: list[bytes] = []

    @property
    def port(self) -> int:
        """Our own port."""
        return int(self._writer.get_extra_info("sockname")[1])

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    async def read(self) -> Message:
        """Return the next message; raise EOFError when the connection is closed."""
        async with asyncio.timeout(SECONDS):
            while not self._messages:
                if not (data := await self._reader.read(1 << 16)):
                    raise EOFError
                self._messages += self._framer.receive_data(data)
        return parse_message(self._messages.pop(0))

    async def read_bytes(self, count: int) -> bytes:
        """Return that many bytes as they come."""
        return await asyncio.wait_for(self._reader.readexactly(count), SECONDS)

    async def closed(self, *, within: float = SECONDS) -> bytes:
        """Wait until the other side closes the connection; return what it sent before."""
        data = b""
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionError):
                while more := await self._reader.read(1 << 16):
                    data += more
        return data

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(
    address: tuple[str, int], *, tls: ssl.SSLContext | None = None, local_host: str | None = None
) -> AsyncIterator[SipStream]:
    """Connect to `address`, for the length of the block."""
    local = None if local_host is None else (local_host, 0)
    stream = SipStream(*await asyncio.open_connection(*address, ssl=tls, local_addr=local))
    try:
        yield stream
    finally:
        await stream.close()


class StreamListener:
    """A port where a peer takes connections."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[SipStream] = asyncio.Queue()
        self.port = 0

    async def next(self) -> SipStream:
        """Return the next connection that comes."""
        return await asyncio.wait_for(self.accepted.get(), SECONDS)

    def uri(self, host: str = "127.0.0.1") -> str:
        """The Contact of a peer that listens here."""
        return f"<{SipUri(host, self.port)};transport=tcp>"


@contextlib.asynccontextmanager
async def listening(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[StreamListener]:
    """Take connections on a free port of loopback, for the length of the block."""
    listener, streams = StreamListener(), list[SipStream]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        streams.append(SipStream(reader, writer))
        listener.accepted.put_nowait(streams[-1])

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        for stream in streams:
            await stream.close()
