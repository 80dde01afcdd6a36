"""Webhooks: does their host have an address that may be posted to?"""

from __future__ import annotations

import asyncio

from websockets.uri import WebSocketURI

from sidecar.core.webhook_url import parse_webhook_url
from sidecar.doctor.bots import Step
from sidecar.doctor.finding import Finding, fail, ok
from sidecar.io.bot_route import find_routes
from sidecar.io.network import system_words
from sidecar.io.stream_error import StreamError
from sidecar.io.webhook_connection import CONNECT_SECONDS
from sidecar.settings import Settings


async def examine_webhook(name: str, settings: Settings) -> Finding:
    """Look the host up; nothing is posted."""
    check, url = f"webhooks.{name}.url", parse_webhook_url(settings.webhooks[name].url)
    uri = WebSocketURI(url.secure, url.host, url.port, "/", "", None, None)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            routes = await find_routes(uri, settings.bot.hosts())
    except StreamError as error:
        return fail(check, str(error), (Step.ALLOW if error.forbidden else Step.LOOKUP).value)
    except TimeoutError:
        return fail(check, f"{url.authority}: not found within {CONNECT_SECONDS:g} s", Step.LOOKUP.value)
    except OSError as error:
        return fail(check, f"{url.authority}: {system_words(error)}", Step.LOOKUP.value)
    way = "by way of the proxy at " if routes[0].tunnel else ""
    return ok(check, f"{url.authority}: {way}{', '.join(route.address[0] for route in routes)}; nothing was posted")
