"""Who is let in: the host and origin of a request, its token, and how many there may be."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from sidecar.api.problems import Problem, ProblemKind
from sidecar.core.access import AccessList, AccessToken, Scope
from sidecar.core.loopback import is_loopback
from sip.admission import Buckets

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
        """Of each token there are so many requests a second, and of each address without one that is known."""
        self._access = access
        most = max(1, round(2 * requests_per_second))
        self._holders, self._strangers = Buckets(requests_per_second, most), Buckets(requests_per_second, most)
        self._open = OPEN_PATHS | {"/metrics"} if open_metrics else OPEN_PATHS

    def admit(
        self, method: str, path: str, headers: Mapping[bytes, bytes], *, client: str, now: float
    ) -> AccessToken | None:
        """Return the token of a request from the address `client`; None if it needs none."""
        authorization = headers.get(b"authorization")
        token = None if authorization is None else self._access.find(authorization)
        if path not in _PROBES and not self._has_allowance(token, client, now=now):
            detail = "more requests than api.requests_per_second"
            raise Problem(ProblemKind.TOO_MANY_REQUESTS, detail, headers={"Retry-After": "1"})
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._access.is_open and not _names_loopback(host):
            raise Problem(ProblemKind.WRONG_HOST, f"the Host is {host!r}, not localhost or a loopback address")
        origin = headers.get(b"origin")
        if origin is not None and _host_of(origin.decode("latin-1").lower()) != host:
            raise Problem(ProblemKind.CROSS_ORIGIN, "the Origin is not the Host")
        if self._access.is_open or path in self._open or path.startswith("/docs"):
            return None
        if authorization is None:
            raise _challenge(ProblemKind.UNAUTHORIZED, "there is no Authorization header", "")
        if token is None:
            raise _challenge(ProblemKind.UNAUTHORIZED, "the token is not known", ', error="invalid_token"')
        if token.scope is not Scope.FULL and method not in _SAFE:
            raise _challenge(ProblemKind.FORBIDDEN, "the token is for reading alone", ', error="insufficient_scope"')
        return token

    def _has_allowance(self, token: AccessToken | None, client: str, *, now: float) -> bool:
        if token is not None:
            return self._holders.take(token.name, now=now)
        return self._strangers.take(client, now=now)


def _challenge(kind: ProblemKind, detail: str, error: str) -> Problem:
    return Problem(kind, detail, headers={"WWW-Authenticate": f'Bearer realm="audio-stream-sidecar"{error}'})


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://[", which no browser sends
        return None


def _names_loopback(host: str) -> bool:
    """Whether a Host header names this machine alone."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
