"""The way to a bot: an address that its host has been found at and that is allowed, or the proxy of the environment."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from dataclasses import dataclass

from websockets.exceptions import InvalidProxy
from websockets.proxy import Proxy, get_proxy, parse_proxy, prepare_connect_request
from websockets.uri import WebSocketURI

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.errors import ErrorCode
from sidecar.core.loopback import is_loopback
from sidecar.io.stream_error import StreamError

_SEND_BUFFER = 64 << 10
"""Bytes in the kernel for a bot that does not read: little, since the outbox knows what to drop and it does not."""

_MAX_RESPONSE_BYTES = 16 << 10
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]")


@dataclass(frozen=True, slots=True)
class BotRoute:
    """One address to try. It is an address, not a name: so what was checked is what is connected to."""

    address: tuple[str, int]
    tunnel: bytes | None = None  # what asks the proxy at `address` for a tunnel to the bot

    async def connect(self) -> socket.socket:
        """Return a socket whose other end is the bot; raise OSError or `StreamError`."""
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            await asyncio.get_running_loop().sock_connect(sock, self.address)
            if self.tunnel is not None:
                await _open_tunnel(sock, self.tunnel)
        except BaseException:
            sock.close()
            raise
        return sock


async def find_routes(uri: WebSocketURI, hosts: BotHosts) -> list[BotRoute]:
    """Return the ways to a bot in the order to try them, at least one; raise OSError or `StreamError` if there is none.

    Through a proxy, only the name of the bot can be checked: the proxy looks it up.
    """
    proxy = _proxy_for(uri)
    if proxy is None:
        addresses = [each for each in await _addresses(uri.host, uri.port) if hosts.allows_address(each, uri.host)]
        if not addresses:
            why = f"{uri.host} has no address that is allowed"
            raise StreamError(ErrorCode.CONNECT_FAILED, why, forbidden=True)
        return [BotRoute((address, uri.port)) for address in addresses]
    if not hosts.allows_unseen(uri.host):
        why = f"{uri.host} is not allowed by its name, and a proxy looks it up"
        raise StreamError(ErrorCode.CONNECT_FAILED, why, forbidden=True)
    tunnel = prepare_connect_request(proxy, uri, user_agent_header=None)
    return [BotRoute((address, proxy.port), tunnel) for address in await _addresses(proxy.host, proxy.port)]


def _proxy_for(uri: WebSocketURI) -> Proxy | None:
    """Return the proxy that `https_proxy` and its like name for a bot; none for one on this machine."""
    if is_loopback(uri.host):
        return None
    try:
        found = get_proxy(uri)
        proxy = None if found is None else parse_proxy(found)
    except (InvalidProxy, ValueError):  # neither is repeated: there may be a password in it
        raise StreamError(ErrorCode.CONNECT_FAILED, "the proxy in the environment is not valid") from None
    if proxy is not None and proxy.scheme != "http":
        raise StreamError(ErrorCode.NOT_SUPPORTED, f"a proxy of kind {proxy.scheme}, not http")
    return proxy


async def _addresses(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _open_tunnel(sock: socket.socket, request: bytes) -> None:
    """Ask a proxy for a tunnel, and wait for its consent (RFC 9110, section 9.3.6). The bot never speaks first."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, request)
    response = b""
    while b"\r\n\r\n" not in response:
        data = await loop.sock_recv(sock, 4096)
        response += data
        if not data or len(response) > _MAX_RESPONSE_BYTES:
            raise StreamError(ErrorCode.CONNECT_FAILED, "the proxy did not answer as a proxy does")
    status = _STATUS_LINE.match(response)
    if status is None or not status[1].startswith(b"2"):
        said = "nonsense" if status is None else f"HTTP {status[1].decode()}"
        raise StreamError(ErrorCode.CONNECT_FAILED, f"the proxy refused: {said}")
    if not response.endswith(b"\r\n\r\n"):
        raise StreamError(ErrorCode.CONNECT_FAILED, "the proxy sent something of its own into the tunnel")
