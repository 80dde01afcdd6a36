"""What those who run the sidecar look at: health, readiness, metrics, and the documents of this interface."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from sidecar.api.problems import Problem, ProblemKind
from sidecar.api.streams import json_response
from sidecar.io.steering import Steering

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}
_DOCS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>audio-stream-sidecar: REST</title>
<link rel="stylesheet" href="docs/swagger-ui.css"><link rel="icon" href="docs/favicon-32x32.png">
</head>
<body><div id="docs"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/begin.js"></script></body>
</html>
"""
_BEGIN = """SwaggerUIBundle({url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null});
"""
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


def operation_routes(steering: Steering, registry: CollectorRegistry) -> APIRouter:
    """Return the routes of probes and metrics."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Whether the process lives")
    async def health() -> Response:
        return json_response({"status": "ok"})

    @router.get("/readyz", summary="Whether a new call would be taken, with the numbers")
    async def ready() -> Response:
        readiness = steering.readiness()
        if readiness.ready:
            return json_response(readiness)
        numbers = msgspec.to_builtins(readiness)
        raise Problem(ProblemKind.UNAVAILABLE, readiness.why_not or "", headers={"Retry-After": "5"}, **numbers)

    @router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def add_description(app: FastAPI, document: dict[str, Any]) -> None:
    """Add the OpenAPI document."""
    body = json.dumps(document).encode()

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response(body, media_type="application/json")


def add_documents(app: FastAPI) -> None:
    """Add the list of problems, and pages for people: all that these need is ours, or in a package."""

    @app.get("/problems", summary="The kinds of problems", tags=["operations"])
    async def problems() -> Response:
        kinds = [{"type": kind.type, "status": kind.status, "title": kind.title} for kind in ProblemKind]
        return json_response({"problems": kinds})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(_DOCS, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    @app.get("/docs/{asset}", include_in_schema=False)
    async def asset(asset: str) -> Response:
        if asset == "begin.js":
            return Response(_BEGIN, media_type="text/javascript")
        if asset not in _ASSETS:
            raise Problem(ProblemKind.NOT_FOUND, f"there is nothing at /docs/{asset}")
        content = resources.files("fastapi_swagger.resources").joinpath(asset).read_bytes()
        return Response(content, media_type=_ASSETS[asset], headers={"Cache-Control": "max-age=86400"})
