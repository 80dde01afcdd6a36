"""The directory of many sidecars: does Redis answer, and do the others reach us?"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from sidecar.core.loopback import is_loopback
from sidecar.doctor.finding import Finding, fail, ok
from sidecar.settings import Settings
from sip.grammar import format_host_port

_SECONDS = 4.0
_REDIS_PORT = 6379


async def examine_directory(settings: Settings) -> list[Finding]:
    """Ask Redis for a sign of life, as this user; nothing is written."""
    if settings.directory.url is None:
        return []
    from redis.exceptions import RedisError

    from sidecar.io.redis_client import open_redis

    check, url = "directory.url", settings.directory.url.get_secret_value()
    where, client = _where(url), open_redis(url)
    try:
        async with asyncio.timeout(_SECONDS):
            pong: Any = client.ping()  # to be awaited, though the types of some versions do not say so
            await pong
    except (RedisError, OSError) as error:  # and TimeoutError
        fix = "see that Redis runs, that nothing stands between, and that user and password of the URL are right"
        found = fail(check, f"Redis at {where}: {str(error) or 'no answer'}", fix)
    else:
        found = ok(check, f"Redis at {where} answers")
    finally:
        await client.aclose()
    return [found, address_finding(settings)]


def address_finding(settings: Settings) -> Finding:
    """Judge where other sidecars, which know of us from the directory, look for our REST interface."""
    check, api = "directory.address", settings.api
    address = settings.directory.address or api.url(api.host, api.port)
    if is_loopback(urlsplit(address).hostname or "") and not settings.directory.is_near:
        fix = "set api.host (with api.tokens) and directory.address to what others reach"
        return fail(check, f"other sidecars are told {address}, which is themselves", fix)
    return ok(check, f"other sidecars ask at {address} for streams of {settings.directory.name}")


def _where(url: str) -> str:
    """Return where Redis is, without what is secret."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return format_host_port(parts.hostname or "localhost", parts.port or _REDIS_PORT)
