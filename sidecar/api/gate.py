"""Who is let in: the host and origin of a request, its token, and how many there may be."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from sidecar.api.problems import Problem, ProblemKind
from sidecar.core.access import AccessList, AccessToken, Scope
from sip.admission import Bucket

OPEN_PATHS = frozenset(("/", "/healthz", "/readyz", "/openapi.json", "/problems"))
_PROBES = frozenset(("/healthz", "/readyz"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class Gate:
    """Lets requests in, or raises `Problem`.

    Without tokens, whoever reaches the port may do everything. It is on loopback then; but a web page that somebody
    on this machine looks at could reach it too, by a name of its own that leads to 127.0.0.1. So the Host must be
    loopback, and the Origin, which browsers send, that same host.
    """

    def __init__(self, access: AccessList, *, requests_per_second: float, open_metrics: bool) -> None:
        self._access = access
        self._allowance = Bucket(requests_per_second, max(1, round(2 * requests_per_second)))
        self._open = OPEN_PATHS | {"/metrics"} if open_metrics else OPEN_PATHS

    def admit(self, method: str, path: str, headers: Mapping[bytes, bytes], *, now: float) -> AccessToken | None:
        """Return the token of a request; None if it needs none."""
        if path not in _PROBES and not self._allowance.take(now=now):
            detail = "more requests than api.requests_per_second"
            raise Problem(ProblemKind.TOO_MANY_REQUESTS, detail, headers={"Retry-After": "1"})
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._access.is_open and not _is_loopback(host):
            raise Problem(ProblemKind.WRONG_HOST, f"the Host is {host!r}, not localhost or a loopback address")
        origin = headers.get(b"origin")
        if origin is not None and _host_of(origin.decode("latin-1").lower()) != host:
            raise Problem(ProblemKind.CROSS_ORIGIN, "the Origin is not the Host")
        if self._access.is_open or path in self._open or path.startswith("/docs"):
            return None
        return self._token(method, headers.get(b"authorization"))

    def _token(self, method: str, authorization: bytes | None) -> AccessToken:
        if authorization is None:
            raise _challenge(ProblemKind.UNAUTHORIZED, "there is no Authorization header", "")
        token = self._access.find(authorization)
        if token is None:
            raise _challenge(ProblemKind.UNAUTHORIZED, "the token is not known", ', error="invalid_token"')
        if token.scope is not Scope.FULL and method not in _SAFE:
            raise _challenge(ProblemKind.FORBIDDEN, "the token is for reading alone", ', error="insufficient_scope"')
        return token


def _challenge(kind: ProblemKind, detail: str, error: str) -> Problem:
    return Problem(kind, detail, headers={"WWW-Authenticate": f'Bearer realm="audio-stream-sidecar"{error}'})


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://[", which no browser sends
        return None


def _is_loopback(host: str) -> bool:
    """Whether a Host header names this machine alone."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
