"""What is wrong with a request, in one form for all of it: RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

MEDIA_TYPE = "application/problem+json"


class ProblemKind(Enum):
    """The kinds of problems; `GET /problems` lists them."""

    BAD_REQUEST = "bad-request", 400, "The request cannot be read."
    UNAUTHORIZED = "unauthorized", 401, "A bearer token is needed, and none that is known was given."
    FORBIDDEN = "forbidden", 403, "The operator does not allow it, or the token is for reading alone."
    CROSS_ORIGIN = "cross-origin", 403, "A web page of another origin asks; that is not allowed."
    NOT_FOUND = "not-found", 404, "There is nothing at this path."
    NO_SUCH_STREAM = "no-such-stream", 404, "There is no such stream, or not any more."
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "The path does not know this method."
    TOO_SLOW = "too-slow", 408, "The body did not come in time."
    CONFLICT = "conflict", 409, "The state of the stream does not allow it."
    NOT_CONFIGURED = "not-configured", 409, "What this needs is not configured."
    UNDER_WAY = "under-way", 409, "The first request with this Idempotency-Key has no answer yet."
    TOO_LARGE = "too-large", 413, "The body is too large."
    NOT_JSON = "not-json", 415, "The body is not application/json."
    WRONG_HOST = "wrong-host", 421, "Without tokens, only loopback names are answered: see the Host header."
    INVALID = "invalid", 422, "A field is not valid: `errors` names it."
    KEY_REUSED = "key-reused", 422, "This Idempotency-Key belongs to another request."
    TOO_MANY_REQUESTS = "too-many-requests", 429, "There are too many requests; telephone calls go first."
    INTERNAL = "internal", 500, "The sidecar has made a mistake: its log has more, by the request id."
    FAILED_ELSEWHERE = "failed-elsewhere", 502, "A FreeSWITCH did not do what it was asked."
    UNAVAILABLE = "unavailable", 503, "Not now; perhaps later."
    NO_ANSWER = "no-answer", 504, "A FreeSWITCH did not answer in time."

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title

    @property
    def type(self) -> str:
        """The reference that names it."""
        return f"/problems#{self.slug}"


class Problem(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        """`errors` are fields and what is wrong with each; `members` are further ones of the answer."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = members

    def body(self, request_id: str) -> bytes:
        """Return the answer."""
        answer: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.members,
        }
        if self.errors:
            answer["errors"] = [{"field": field, "message": message} for field, message in self.errors]
        return json.dumps(answer).encode()


def invalid(errors: Sequence[tuple[str, str]]) -> Problem:
    """Make a problem of fields, or parameters, and what is wrong with each."""
    return Problem(ProblemKind.INVALID, "; ".join(": ".join(each) for each in errors), errors=errors)


def kind_for_status(status: int) -> ProblemKind:
    """Return the usual kind of problem with this status."""
    return next((kind for kind in ProblemKind if kind.status == status), ProblemKind.INTERNAL)
