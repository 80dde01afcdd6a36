"""The collector of traces: does anybody listen there?"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from sidecar.doctor.finding import Finding, ok, warn
from sidecar.io.network import system_words
from sidecar.settings import Settings
from sip.grammar import format_host_port

_SECONDS = 4.0
_PORTS = {"http": 80, "https": 443}


async def examine_traces(settings: Settings) -> list[Finding]:
    """Connect to the collector; nothing is sent. Calls do not need it, so its absence is a warning."""
    check, url = "traces.endpoint", urlsplit(settings.traces.endpoint)
    if not url.hostname:
        return []
    port = url.port or _PORTS[url.scheme]
    where, why = format_host_port(url.hostname, port), ""
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(url.hostname, port)
        writer.close()
    except TimeoutError:
        why = f"no answer within {_SECONDS:g} s"
    except OSError as error:
        why = system_words(error)
    if why:
        fix = "see that the collector runs; until then traces are lost, and counted (sidecar_trace_spans_total)"
        return [warn(check, f"{where}: {why}", fix)]
    return [ok(check, f"{where}: somebody listens; nothing was sent")]
