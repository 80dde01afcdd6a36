"""One stream in the worker: a row of the bridge, and the WebSocket that belongs to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from dataclasses import dataclass, field

import structlog

from sidecar.core.allowance import Allowance
from sidecar.core.bot_connection import BotConnection
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.errors import ErrorCode
from sidecar.core.options import StreamOptions
from sidecar.io.bot_lane import BotLane

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class BotStream:
    """What the worker holds for one stream."""

    name: str
    row: int
    options: StreamOptions
    connection: BotConnection
    lane: BotLane
    settled: asyncio.Event = field(default_factory=asyncio.Event)  # the handshake is done, or has failed
    connecting: asyncio.Task[None] | None = None
    texts: Allowance = field(default_factory=lambda: Allowance(per_second=200.0, at_once=400))
    closed: bool = False  # the row is given back; only the goodbye of the WebSocket is still going on

    async def connect(self, hosts: BotHosts, *, seconds: float) -> None:
        """Look up the bot, connect, and shake hands, within `seconds`.

        What goes wrong is told by the connection's events.
        """
        try:
            async with asyncio.timeout(seconds):
                self.connection.connect()
                await self._open_lane(hosts, seconds=seconds)
                await self.settled.wait()
        except TimeoutError:
            self.connection.fail(ErrorCode.TIMEOUT, f"no connection within {seconds:g} s")
        except ssl.SSLCertVerificationError as error:
            self.connection.fail(ErrorCode.SSL_ERROR, f"certificate refused: {error.verify_message}")
        except ssl.SSLError as error:
            self.connection.fail(ErrorCode.SSL_HANDSHAKE_FAILED, f"TLS handshake failed: {error.reason}")
        except OSError as error:
            self.connection.fail(ErrorCode.CONNECT_FAILED, _why(error))
        except Exception:  # a mistake of ours ends this stream alone
            log.exception("connecting failed", stream=self.name)
            self.connection.fail(ErrorCode.IO, "internal error")

    async def _open_lane(self, hosts: BotHosts, *, seconds: float) -> None:
        """Try the bot's addresses one after the other, as the resolver orders them."""
        host, port = self.connection.host, self.connection.port
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(address[0]) for *_, address in found if hosts.allows_address(str(address[0]))]
        if not addresses:
            raise OSError(None, f"{host} has no address that is allowed")
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + seconds
        for left in range(len(addresses), 1, -1):  # each has its share of the time
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout((give_up_at - loop.time()) / left):
                    return await self.lane.open((addresses[-left], port))
        return await self.lane.open((addresses[-1], port))


def _why(error: OSError) -> str:
    """Say what went wrong in the system's words, without the addresses that event loops add to them."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)
