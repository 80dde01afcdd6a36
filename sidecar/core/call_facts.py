"""What is known of a call from its INVITE; all of it is the caller's word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from sip import Request


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the URL of a profile may name."""

    call_id: str = ""
    from_user: str = ""
    to_user: str = ""
    headers: Sequence[tuple[str, str]] = ()

    def value(self, name: str) -> str:
        """Return a fact; a header that is not there is empty. Raise ValueError for what is no fact."""
        if name in ("call_id", "from_user", "to_user"):
            return str(getattr(self, name))
        kind, _, header = name.partition(":")
        if kind != "header" or not header:
            raise ValueError(f"{{{name}}} is not one of {{call_id}}, {{from_user}}, {{to_user}}, {{header:NAME}}")
        return next((value for key, value in self.headers if key.lower() == header.lower()), "")


def facts_of(request: Request) -> CallFacts:
    """Gather the facts of a call."""
    return CallFacts(request.call_id, _user(request.from_.uri), _user(request.to.uri), request.headers.items)


def _user(uri: str) -> str:
    """Return the user part of a SIP URI, the number of a tel URI (RFC 3966), or nothing."""
    scheme, _, rest = uri.partition(":")
    user, at, _ = rest.rpartition("@")
    if at:
        return unquote(user.partition(":")[0])
    return unquote(rest.partition(";")[0]) if scheme.lower() == "tel" else ""
