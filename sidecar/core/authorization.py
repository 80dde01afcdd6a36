"""What becomes the Authorization header of the handshake: `basic user:pass`, `bearer token`, or where to read one."""

from __future__ import annotations

import re
from base64 import b64encode
from enum import Enum

_SOURCE = re.compile(r"(env|file):(.*)", re.I | re.S)
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class SecretSource(Enum):
    """Where a secret is kept."""

    ENV = "env"
    FILE = "file"


def secret_source(text: str) -> tuple[SecretSource, str] | None:
    """Return where `env:NAME` or `file:PATH` leads; None if `text` is the secret itself."""
    match = _SOURCE.fullmatch(text.strip())
    return None if match is None else (SecretSource(match[1].lower()), match[2])


def check_auth(text: str) -> None:
    """Raise ValueError if `text` is neither a secret nor a source of one; the reason does not repeat it."""
    source = secret_source(text)
    if source is None:
        authorization_header(text)
    elif source[0] is SecretSource.ENV and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", source[1]):
        raise ValueError("env: is followed by the name of an environment variable")
    elif source[0] is SecretSource.FILE and (not source[1].startswith("/") or "\0" in source[1]):
        raise ValueError("file: is followed by an absolute path")


def authorization_header(text: str) -> str:
    """Return the header's value; raise ValueError, without a word of the secret, if there is none to make."""
    scheme, _, secret = text.strip().partition(" ")
    secret = secret.strip()
    if scheme.lower() == "bearer" and _BEARER.fullmatch(secret):
        return f"Bearer {secret}"
    if scheme.lower() == "basic" and ":" in secret and not re.search(r"[\x00-\x1f\x7f]", secret):
        try:
            return f"Basic {b64encode(secret.encode()).decode()}"  # RFC 7617, section 2.1: UTF-8
        except UnicodeEncodeError:
            pass
    raise ValueError("not 'basic user:password' or 'bearer token'")
