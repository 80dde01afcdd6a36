"""The cheapest bot: it takes the handshake, hears nothing, and says goodbye when it is told goodbye.

python -m tests.load.bot PORT
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import sys

import uvloop

from tests.support.ports import LOOPBACK

_KEY = re.compile(rb"\r\nSec-WebSocket-Key: *([^\r\n]+)", re.IGNORECASE)
_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CLOSE = 0x88


class CheapBot(asyncio.Protocol):
    """One call. A message that is not whole in one read is none that this needs."""

    def __init__(self) -> None:
        self._request: bytes | None = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            if _CLOSE in data[:1]:  # nothing else is sent in a call without media
                self._transport.write(b"\x88\x02\x03\xe8")
                self._transport.close()
            return
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            key = _KEY.search(self._request)
            digest = hashlib.sha1((key[1] if key else b"") + _SUFFIX, usedforsecurity=False).digest()
            self._request = None
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )


async def serve(port: int) -> None:
    """Take calls until the process ends."""
    server = await asyncio.get_running_loop().create_server(CheapBot, LOOPBACK, port, backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
