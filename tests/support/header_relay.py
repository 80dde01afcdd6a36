"""A stateless relay for SIP over UDP that adds headers to each INVITE that starts a call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import TracebackType

from tests.support.ports import LOOPBACK

Address = tuple[str, int]

_REQUEST_LINE = re.compile(rb"([A-Z]+) sips?:(?:[^@ ]*@)?([0-9.]+):(\d+)[^ ]* SIP/2\.0\r\n")
_ROUTE = re.compile(rb"\r\nRoute:[^\r\n]*", re.IGNORECASE)


class HeaderRelay(asyncio.DatagramProtocol):
    """Stands between one caller, for which it is the outbound proxy, and the one it calls."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        self._caller: Address | None = None
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def uri(self) -> str:
        """The URI that a caller names as its outbound proxy."""
        assert self._transport is not None
        _, port = self._transport.get_extra_info("sockname")
        return f"sip:{LOOPBACK}:{port};lr"

    async def __aenter__(self) -> HeaderRelay:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (LOOPBACK, 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        assert self._transport is not None
        request = _REQUEST_LINE.match(data)
        if request is None:
            if self._caller is not None:
                self._transport.sendto(data, self._caller)
            return
        self._caller = addr
        method, host, port = request.groups()
        data = _ROUTE.sub(b"", data)
        if method == b"INVITE" and b";tag=" not in _to(data):
            end = data.index(b"\r\n") + 2
            data = data[:end] + self._headers + data[end:]
        self._transport.sendto(data, (host.decode(), int(port)))


def _to(data: bytes) -> bytes:
    found = re.search(rb"\r\n(?:To|t):([^\r\n]*)", data, re.IGNORECASE)
    return found.group(1) if found else b""
