"""Who may use the REST interface, and for what."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class Scope(Enum):
    """What a token is good for."""

    READ = "read"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token, and the name that it is known by in logs."""

    name: str
    scope: Scope
    secret: str = field(repr=False)


def check_token(secret: str) -> None:
    """Raise ValueError, without the token, if it could be guessed or not be sent."""
    if not _TOKEN.fullmatch(secret):
        raise ValueError("a bearer token has letters, digits and -._~+/ alone (RFC 6750)")
    if len(secret) < SHORTEST_TOKEN:
        raise ValueError(f"a bearer token has at least {SHORTEST_TOKEN} characters")


class AccessList:
    """The tokens that are known. How long a look takes does not tell how near a guess was."""

    def __init__(self, tokens: Iterable[AccessToken]) -> None:
        self._tokens = [(sha256(token.secret.encode()).digest(), token) for token in tokens]

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything: there are no tokens."""
        return not self._tokens

    def find(self, authorization: bytes) -> AccessToken | None:
        """Return the token of an Authorization header; None if it has none that is known."""
        scheme, _, secret = authorization.strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        given, found = sha256(secret.strip()).digest(), None
        for digest, token in self._tokens:  # all of them, whichever it is
            if hmac.compare_digest(digest, given):
                found = token
        return found
