"""The OpenAPI document: what FastAPI finds out, and what it cannot know."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sidecar.api.problems import MEDIA_TYPE, ProblemKind
from sidecar.api.streams import Attached, StreamDetail, StreamPage
from sidecar.core.workers import Readiness

_ANYWHERE = (400, 408, 413, 415, 421, 422, 429, 500)
_BEHIND_TOKENS = (401, 403)
_OF_STREAM = (404, 409, 503)
_OF_ATTACH = (404, 409, 502, 503, 504)

_STREAM = {
    "id": "6b1f0c3d9a2e4f57",
    "call": "0b7a3e0e-6c3e-4b6e-9f0f-2f6f0c7d7f10",
    "call_id": "0b7a3e0e-6c3e-4b6e-9f0f-2f6f0c7d7f10",
    "state": "up",
    "bot": "connected",
    "paused": False,
    "from": "sip:1000@pbx.example.com",
    "to": "sip:bot@127.0.0.1:5070",
    "url": "wss://bot.example.com/ws",
    "mix": "stereo",
    "rate": 16000,
    "sample_rate": 16000,
    "buffer_size": 20,
    "codec": "PCMU",
    "started_at": 1760000000.0,
    "events": 2,
}
_EVENT = """event: connect
id: 5f0c1d2e-7
data: {"event":"connect","stream":"6b1f0c3d9a2e4f57","call":"0b7a3e0e-6c3e-4b6e-9f0f-2f6f0c7d7f10",\
"time":"2026-01-01T12:00:00.000Z","sequence":2,"body":{"status":"connected"}}

"""
_PROBLEM = {
    "type": "object",
    "description": "What is wrong (RFC 9457); `GET /problems` lists the types.",
    "properties": {
        "type": {"type": "string", "enum": [kind.type for kind in ProblemKind]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "whoever sends the request again with this same key gets the same answer, for an hour",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, ours = msgspec.json.schema_components(
        [StreamPage, StreamDetail, Attached, Readiness], ref_template="#/components/schemas/{name}"
    )
    schemas |= ours | {"Problem": _PROBLEM}
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return document


def methods_of(document: dict[str, Any], path: str) -> list[str]:
    """Return the methods that a path knows; none if it is not in the document."""
    for template, operations in document["paths"].items():
        if re.fullmatch(re.sub("{[a-z]+}", "[^/]+", template), path):
            return sorted(method.upper() for method in operations)
    return []


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what an operation answers, and what it takes beside its body."""
    statuses = [*_ANYWHERE]
    if path.startswith("/v1/") or path == "/metrics":
        operation["security"] = [{"token": []}, {}]
        statuses += _BEHIND_TOKENS
    if "{stream}" in path:
        statuses += _OF_STREAM
    if path == "/v1/events":
        statuses += (503,)
    if path == "/v1/streams" and method == "post":
        statuses += _OF_ATTACH
    if method == "post":
        operation.setdefault("parameters", []).append(_KEY)
    responses = operation["responses"]
    responses |= {str(status): _problem(status) for status in sorted(set(statuses))}
    if path == "/readyz":
        responses["503"] = _problem(503)
    for status, content in _ANSWERS.get((method, path), {}).items():
        responses[status]["content"] = content
    if "202" in responses:
        responses["202"] = {"description": "It has been asked for; events tell what comes of it."}


def _problem(status: int) -> dict[str, Any]:
    titles = " ".join(kind.title for kind in ProblemKind if kind.status == status)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": titles, "content": {MEDIA_TYPE: {"schema": schema}}}


def _json(name: str, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}}


def _text(media_type: str, example: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string"}, "example": example}}


_READY: dict[str, Any] = {
    "why_not": None,
    "draining": False,
    "calls": 12,
    "max_calls": 2000,
    "late_ms": 0.0,
    "workers": [],
}
_KINDS = {"type": "object", "properties": {"problems": {"type": "array"}}, "required": ["problems"]}
_HEALTH = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}

_ANSWERS: dict[tuple[str, str], dict[str, Any]] = {
    ("get", "/v1/streams"): {"200": _json("StreamPage", {"streams": [_STREAM], "next": None})},
    ("post", "/v1/streams"): {"201": _json("Attached", {"stream": _STREAM["id"]})},
    ("get", "/v1/streams/{stream}"): {"200": _json("StreamDetail", {"stream": _STREAM, "stats": None})},
    ("get", "/v1/events"): {"200": _text("text/event-stream", _EVENT)},
    ("get", "/readyz"): {"200": _json("Readiness", _READY)},
    ("get", "/healthz"): {"200": {"application/json": {"schema": _HEALTH, "example": {"status": "ok"}}}},
    ("get", "/metrics"): {"200": _text("text/plain", "sidecar_calls 12.0\n")},
    ("get", "/problems"): {"200": {"application/json": {"schema": _KINDS, "example": {"problems": []}}}},
}
