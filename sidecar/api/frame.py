"""What every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from secrets import token_hex
from typing import Any

import structlog

from sidecar.api.gate import Gate
from sidecar.api.problems import MEDIA_TYPE, Problem, ProblemKind
from sidecar.core.access import AccessToken
from sidecar.core.idempotency import LONGEST_KEY, IdempotencyKeys, KeyInUse, KeyReused
from sip.admission import Bucket

log = structlog.get_logger("sidecar.api")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

MOST_BODY_BYTES = 1 << 20  # some milliseconds' work, and telephone calls wait for it
BODY_SECONDS = 10.0
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_KEY = re.compile(rb"[!-~]{1,%d}" % LONGEST_KEY)
_REFUSALS = frozenset((401, 403, 421, 429))
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Gone(Exception):
    """The client has gone before its request was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is kept, for a request that is sent twice."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Frame:
    """Around the application: request ids, the gate, the bounds of a body, answers given twice, problems, the log."""

    def __init__(self, app: Application, *, gate: Gate, keys: IdempotencyKeys[Answer]) -> None:
        self._app = app
        self._gate = gate
        self._keys = keys
        self._loop = asyncio.get_running_loop()
        self._logged_refusals = Bucket(1.0, 20)
        self.answered: dict[int, int] = {}  # requests, by status

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        exchange = _Exchange(scope, send)
        try:
            await self._pass_on(exchange, receive)
        except Problem as problem:
            await send_problem(problem, exchange.request_id, exchange.send)
        except Gone:
            return
        except Exception:
            log.exception("request failed", request_id=exchange.request_id, method=exchange.method, path=exchange.path)
            if not exchange.status:
                ours = Problem(ProblemKind.INTERNAL, "the log of the sidecar has more")
                await send_problem(ours, exchange.request_id, exchange.send)
        self._take_note(exchange)

    async def _pass_on(self, exchange: _Exchange, receive: Receive) -> None:
        headers = exchange.headers
        exchange.token = self._gate.admit(
            exchange.method, exchange.path, headers, client=exchange.client, now=self._loop.time()
        )
        body = await _read_body(headers, receive)
        if body and headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            raise Problem(ProblemKind.NOT_JSON, "the Content-Type is not application/json")
        inner = {**exchange.scope, "state": {**exchange.scope["state"], "request_id": exchange.request_id}}
        if exchange.method == "HEAD" and exchange.path != "/v1/events":
            inner["method"] = "GET"  # the server leaves the body out
        key = headers.get(b"idempotency-key")
        if key is None or exchange.method != "POST":
            await self._app(inner, _Body(body, receive), exchange.send)
        else:
            await self._answer_once(key, body, inner, exchange, _Body(body, receive))

    async def _answer_once(self, key: bytes, body: bytes, inner: Any, exchange: _Exchange, receive: Receive) -> None:
        """Let a request with an Idempotency-Key have one effect, however often it is sent."""
        if not _KEY.fullmatch(key):
            raise Problem(
                ProblemKind.BAD_REQUEST, f"the Idempotency-Key is not 1 to {LONGEST_KEY} printable characters"
            )
        name = f"{exchange.token.name if exchange.token else ''}\n{key.decode()}"
        request = b"\n".join((inner["raw_path"], inner["query_string"], body))
        try:
            answer = self._keys.begin(name, sha256(request).digest(), now=self._loop.time())
        except KeyInUse:
            raise Problem(ProblemKind.UNDER_WAY, "try again when the first request has its answer") from None
        except KeyReused:
            raise Problem(ProblemKind.KEY_REUSED, "another request has had this Idempotency-Key") from None
        if answer is not None:
            await exchange.repeat(answer)
            return
        exchange.records = True
        try:
            await self._app(inner, receive, exchange.send)
        finally:
            if 0 < exchange.status < 500:
                self._keys.finish(name, exchange.recorded())
            else:
                self._keys.abandon(name)

    def _take_note(self, exchange: _Exchange) -> None:
        status = exchange.status
        self.answered[status] = self.answered.get(status, 0) + 1
        if status in _REFUSALS and not self._logged_refusals.take(now=self._loop.time()):
            return
        write = log.debug if exchange.method in ("GET", "HEAD") and status not in _REFUSALS else log.info
        write(
            "request",
            method=exchange.method,
            path=exchange.path,
            status=status,
            request_id=exchange.request_id,
            token=exchange.token.name if exchange.token else None,
        )


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Any, send: Send) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.client: str = scope["client"][0] if scope["client"] else ""  # its address
        self.headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            self.headers.setdefault(name, value)
        given = self.headers.get(b"x-request-id", b"")
        self.request_id = given.decode() if _REQUEST_ID.fullmatch(given) else token_hex(8)
        self.token: AccessToken | None = None
        self.status = 0  # 0: not answered yet
        self.records = False
        self._send = send
        self._sent_headers: list[tuple[bytes, bytes]] = []
        self._sent_body = bytearray()

    async def send(self, message: Message) -> None:
        """Send a part of the answer (ASGI)."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._sent_headers = list(message["headers"])
            ours = [
                (b"x-request-id", self.request_id.encode()),
                (b"date", formatdate(time.time(), usegmt=True).encode()),
            ]
            given = {name for name, _ in self._sent_headers}
            usual = [each for each in _HEADERS if each[0] not in given]
            message = {**message, "headers": [*self._sent_headers, *ours, *usual]}
        elif self.records:
            self._sent_body += message.get("body", b"")
        await self._send(message)

    def recorded(self) -> Answer:
        """Return the answer that was sent."""
        return Answer(self.status, self._sent_headers, bytes(self._sent_body))

    async def repeat(self, answer: Answer) -> None:
        """Send an answer that another request has had."""
        headers = [*answer.headers, (b"idempotency-replayed", b"true")]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": answer.body})


class _Body:
    """Gives a body that has been read to the application, and after that what else comes (ASGI)."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Return the whole body; raise `Problem` if it is too large or too slow. What is left of it is not waited for."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and (len(length) > 12 or int(length) > MOST_BODY_BYTES):
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body += message.get("body", b"")
                if len(body) > MOST_BODY_BYTES:
                    raise _too_large()
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        detail = f"the body did not come within {BODY_SECONDS:.0f} s"
        raise Problem(ProblemKind.TOO_SLOW, detail, headers={"Connection": "close"}) from None


def _too_large() -> Problem:
    detail = f"the body has more than {MOST_BODY_BYTES} bytes"
    return Problem(ProblemKind.TOO_LARGE, detail, headers={"Connection": "close"})


async def send_problem(problem: Problem, request_id: str, send: Send) -> None:
    """Answer with a problem."""
    body = problem.body(request_id)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.kind.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
