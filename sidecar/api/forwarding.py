"""Requests about a stream that another pod has: they are passed on to it, as they are."""

from __future__ import annotations

import re
import ssl
from typing import Any

import httpx

from sidecar.api.frame import Application, Receive, Send
from sidecar.api.problems import Problem, ProblemKind
from sidecar.api.streams import STREAM_ID
from sidecar.core.directory import Directory, DirectoryError
from sidecar.io.steering import Steering

ANSWER_SECONDS = 10.0
MOST_CONNECTIONS = 64
PASSED_ON = b"x-sidecar-passed-on"  # the request was passed on to us: we do not do so again
_OF_A_STREAM = re.compile(rf"/v1/streams/({STREAM_ID})(/[a-z]+)?")
_PASSED = frozenset((b"authorization", b"content-type", b"idempotency-key", b"accept"))
_RETURNED = frozenset(("content-type", "location", "retry-after", "www-authenticate", "allow", "idempotency-replayed"))


class Forwarding:
    """Around the application: what it has itself is its own, what another pod has goes there.

    The token goes along, and that pod decides what it is good for.
    """

    def __init__(
        self,
        app: Application,
        steering: Steering,
        directory: Directory,
        *,
        tls: ssl.SSLContext,
        name: str | None,  # what certificates must name; None: the host of the address
    ) -> None:
        self._app = app
        self._steering = steering
        self._directory = directory
        limits = httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=5.0)
        self._client = httpx.AsyncClient(verify=tls, timeout=ANSWER_SECONDS, limits=limits, trust_env=False)
        self._extensions = {} if name is None else {"sni_hostname": name}
        self.forwarded = 0
        self.failed = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        found = _OF_A_STREAM.fullmatch(scope["path"])
        headers = dict(scope["headers"])
        if found is None or PASSED_ON in headers or self._steering.has(found[1]):
            await self._app(scope, receive, send)
            return
        try:
            address = await self._directory.owner(found[1])
        except DirectoryError as error:
            detail = f"this sidecar does not have the stream, and cannot ask who does: {error}"
            raise Problem(ProblemKind.UNAVAILABLE, detail, headers={"Retry-After": "1"}) from None
        if address is None:
            await self._app(scope, receive, send)
            return
        await self._pass_on(address, scope, receive, send)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _pass_on(self, address: str, scope: Any, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name in _PASSED]
        headers += [(PASSED_ON, b"1"), (b"x-request-id", scope["state"]["request_id"].encode())]
        body = (await receive()).get("body", b"")
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        try:
            answer = await self._client.request(
                scope["method"],
                f"{address}{scope['path']}{query}",
                headers=headers,
                content=body,
                extensions=self._extensions,
            )
        except httpx.HTTPError as error:
            self.failed += 1
            detail = f"the sidecar that has the stream does not answer: {str(error) or type(error).__name__}"
            raise Problem(ProblemKind.UNAVAILABLE, detail, headers={"Retry-After": "1"}) from None
        self.forwarded += 1
        returned = [(name.encode(), value.encode()) for name, value in answer.headers.items() if name in _RETURNED]
        length = (b"content-length", str(len(answer.content)).encode())
        await send({"type": "http.response.start", "status": answer.status_code, "headers": [*returned, length]})
        await send({"type": "http.response.body", "body": answer.content})
