"""The console: one page for people, that asks for all it shows as any other client of REST does."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib import resources

from fastapi import APIRouter, Response

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def console_routes() -> APIRouter:
    """Return the route of the page."""
    page = resources.files("sidecar.api").joinpath("console.html").read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": content_policy(page), "Referrer-Policy": "no-referrer"}
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def console() -> Response:
        return Response(page, media_type="text/html", headers=headers)

    return router


def content_policy(page: str) -> str:
    """Allow what is written in the page itself, by its hash, and requests to where it came from; nothing else."""
    hashes = {
        kind: f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for kind, text in _INLINE.findall(page)
    }
    return (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
