"""The URL of a webhook, checked before anything is sent to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """An http:// or https:// URL, in its parts."""

    host: str
    port: int
    secure: bool
    target: str  # path and query

    @property
    def authority(self) -> str:
        """Return what the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def parse_webhook_url(url: str) -> WebhookUrl:
    """Read a URL; raise ValueError, without what may be secret in it, if nobody can post to it."""
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError("a URL has printable ASCII alone")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the host or port of the URL is not valid") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("not an http:// or https:// URL")
    if parts.username is not None or parts.fragment:
        raise ValueError("the URL of a webhook has neither user nor fragment; the signature tells who posts")
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookUrl(host, port or (443 if secure else 80), secure, target)
