"""A connection to a webhook: HTTP/1.1 by h11, to an address that has been checked, kept between posts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import h11
from websockets.uri import WebSocketURI

from sidecar import __version__
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.webhook_url import WebhookUrl
from sidecar.io.bot_route import BotRoute, find_routes
from sidecar.io.network import system_words
from sidecar.io.stream_error import StreamError

CONNECT_SECONDS = 5.0
POST_SECONDS = 15.0  # from the connection to the end of the answer, as Standard Webhooks has it
_MOST_ANSWER_BYTES = 64 << 10
_READ_BYTES = 16 << 10


class WebhookError(Exception):
    """An event could not be posted, or was not taken."""

    def __init__(self, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class _Stale(Exception):
    """The connection was closed while nobody used it; nothing of an answer has come."""


@dataclass(frozen=True, slots=True)
class _Line:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection


class WebhookConnection:
    """Posts to one webhook, one event at a time. It never follows a redirect: that would leave the allow-list."""

    def __init__(self, url: WebhookUrl, hosts: BotHosts, context: ssl.SSLContext | None) -> None:
        """`context` is for https."""
        self._url = url
        self._hosts = hosts
        self._context = context
        self._line: _Line | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._line is not None

    async def post(self, headers: Mapping[str, str], body: bytes) -> None:
        """Post an event; raise `WebhookError` if it is not taken, or perhaps not."""
        try:
            async with asyncio.timeout(POST_SECONDS):
                await self._post(headers, body)
        except TimeoutError:
            self.close()
            raise WebhookError(f"no answer within {POST_SECONDS:g} s") from None
        except (StreamError, h11.ProtocolError) as error:
            self.close()
            raise WebhookError(str(error)) from None
        except OSError as error:
            self.close()
            raise WebhookError(_reason(error)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._line is not None:
            self._line.writer.transport.abort()
            self._line = None

    async def _post(self, headers: Mapping[str, str], body: bytes) -> None:
        if self._line is not None:
            try:
                await self._exchange(self._line, headers, body)
                return
            except (_Stale, ConnectionError):
                self.close()
        self._line = await self._open()
        try:
            await self._exchange(self._line, headers, body)
        except _Stale:
            raise WebhookError("it closed without an answer") from None

    async def _open(self) -> _Line:
        """Connect to the first address that answers."""
        uri = WebSocketURI(self._url.secure, self._url.host, self._url.port, "/", "", None, None)
        why = ""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                for route in await find_routes(uri, self._hosts):
                    try:
                        return await self._connect(route)
                    except OSError as failure:
                        why = _reason(failure)
        except TimeoutError:
            raise WebhookError(f"no connection within {CONNECT_SECONDS:g} s") from None
        raise WebhookError(why)

    async def _connect(self, route: BotRoute) -> _Line:
        reader, writer = await asyncio.open_connection(
            sock=await route.connect(),
            ssl=self._context if self._url.secure else None,
            server_hostname=self._url.host if self._url.secure else None,
        )
        return _Line(reader, writer, h11.Connection(h11.CLIENT))

    async def _exchange(self, line: _Line, headers: Mapping[str, str], body: bytes) -> None:
        http = line.http
        fields = {
            "host": self._url.authority,
            "user-agent": f"audio-stream-sidecar/{__version__}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **headers,
        }
        request = h11.Request(method="POST", target=self._url.target, headers=list(fields.items()))
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            line.writer.write(http.send(event) or b"")
        await line.writer.drain()
        response = await self._answer(line)
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            http.start_next_cycle()
        else:
            self.close()
        status = response.status_code
        if not 200 <= status < 300:
            why = f"HTTP {status}" + (", a redirect, which is not followed" if 300 <= status < 400 else "")
            raise WebhookError(why, retry_after=_retry_after(response))

    async def _answer(self, line: _Line) -> h11.Response:
        """Read the answer to its end, or for as long as it is bearable."""
        response: h11.Response | None = None
        received = 0
        while True:
            event = line.http.next_event()
            if event is h11.NEED_DATA:
                data = await line.reader.read(_READ_BYTES)
                if not data and response is None and not received:
                    raise _Stale
                received += len(data)
                if received > _MOST_ANSWER_BYTES:
                    raise WebhookError(f"its answer has more than {_MOST_ANSWER_BYTES} bytes")
                line.http.receive_data(data)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.EndOfMessage):
                assert response is not None
                return response


def _reason(error: OSError) -> str:
    return system_words(error) or type(error).__name__


def _retry_after(response: h11.Response) -> float | None:
    """Return the seconds of a Retry-After header, if it has some (RFC 9110, section 10.2.3)."""
    value: bytes = dict(response.headers).get(b"retry-after", b"")
    return float(value) if value.isdigit() and len(value) < 10 else None
