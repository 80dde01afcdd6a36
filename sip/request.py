from __future__ import annotations

from dataclasses import dataclass

from .headers import Headers
from .message import Message


@dataclass(frozen=True, slots=True)
class Request(Message):
    """A request. See RFC 3261, section 7.1. `SipUri.parse(request.uri)` takes the URI apart."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    def __bytes__(self) -> bytes:
        return self._serialize(f"{self.method} {self.uri} SIP/2.0")
