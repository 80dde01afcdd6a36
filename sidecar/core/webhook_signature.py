"""How a webhook knows that it is us: the signature of Standard Webhooks, version 1."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def parse_webhook_secret(secret: str) -> bytes:
    """Return the key of `whsec_` and base64; raise ValueError, without the secret, if it is none."""
    if not secret.startswith(_PREFIX):
        raise ValueError("a webhook secret is whsec_ and 24 to 64 bytes in base64")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what follows whsec_ is not base64") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"what follows whsec_ is {len(key)} bytes in base64, not {_SHORTEST} to {_LONGEST}")
    return key


def webhook_headers(key: bytes, *, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that let a receiver check who sent `body`, and when (`timestamp`, Unix seconds)."""
    signed = b"%s.%d.%s" % (id.encode(), timestamp, body)
    signature = base64.b64encode(hmac.digest(key, signed, sha256)).decode()
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}
