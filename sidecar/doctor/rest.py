"""REST: who may ask, and whether a sidecar answers there already."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from sidecar.doctor.finding import Finding, ok, warn
from sidecar.settings import ApiSettings

_SECONDS = 2.0
_LONGEST_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """A sidecar that answers where this configuration has its REST."""

    calls: int
    max_calls: int
    why_not: str | None  # new calls are not taken


def find_running(settings: ApiSettings) -> RunningSidecar | None:
    """Ask `/healthz` and `/readyz`; None if no sidecar answers. It takes 2 s at most for each."""
    if not settings.enabled or not settings.port:
        return None
    host = settings.host
    if ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    try:
        if _ask(settings, host, "/healthz") != {"status": "ok"}:
            return None
        numbers = _ask(settings, host, "/readyz")
        return RunningSidecar(int(numbers["calls"]), int(numbers["max_calls"]), numbers["why_not"] or None)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


def running_finding(running: RunningSidecar | None) -> Finding:
    """Judge the sidecar that runs."""
    if running is None:
        return ok("running", "no sidecar answers at this configuration's REST port")
    calls = f"a sidecar runs, with {running.calls} of {running.max_calls} calls"
    if running.why_not is None:
        return ok("running", f"{calls}, and takes more")
    return warn("running", f"{calls}, and takes no more: {running.why_not}", "docs/operations.md, when it is full")


def access_finding(settings: ApiSettings) -> Finding:
    """Judge who may ask. What would be open to others has been refused with the configuration."""
    check, where = "api", f"{settings.host}, port {settings.port}"
    if not settings.enabled:
        return ok(check, "off")
    tokens, readers = len(settings.tokens), len(settings.read_tokens)
    if not tokens and not readers:
        return ok(check, f"{where}: whoever is on this machine may do everything, without a token")
    if not tokens:
        return warn(check, f"{where}: tokens for reading alone: nobody may steer streams", "add one to api.tokens")
    what = f"{where}: tokens: {tokens} for everything, {readers} for reading"
    if ip_address(settings.host).is_loopback or settings.tls_certificate is not None:
        return ok(check, what)
    fix = "set api.tls_certificate, or put a firewall in front"
    return warn(check, f"{what}; they go over the network as they are", fix)


def _ask(settings: ApiSettings, host: str, path: str) -> Any:
    """Ask without a token, of whom it is on this machine, whatever its certificate names."""
    connection = http.client.HTTPConnection(host, settings.port, timeout=_SECONDS)
    if settings.tls_certificate is not None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, settings.port, timeout=_SECONDS, context=context)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read(_LONGEST_ANSWER))
    finally:
        connection.close()
