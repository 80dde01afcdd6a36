from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .headers import Headers
from .message import Message, read_via
from .via import Address, Via


@dataclass(frozen=True, slots=True)
class Request(Message):
    """A request. See RFC 3261, section 7.1. `SipUri.parse(request.uri)` takes the URI apart."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    def with_source(self, source: Address) -> Request:
        """Return a copy whose nearest Via says where it came from. See RFC 3261, section 18.2.1."""
        via = self.via.with_source(source)
        headers = self.headers.put_first("Via", [str(via), *self.headers.get_list("Via")[1:]])
        headers.know(read_via, via)
        return Request(self.method, self.uri, headers, self.body)

    def on_same_hop(self, method: str, *, to: str, headers: Sequence[tuple[str, str]] = ()) -> Request:
        """Build the CANCEL of this INVITE, or the ACK of its refusal. See RFC 3261, 9.1 and 17.1.1.3."""
        items = [("Via", str(self.via)), ("Max-Forwards", "70")]
        items.extend(("Route", route) for route in self.headers.get_all("Route"))
        items.extend([("From", self.headers.get("From") or ""), ("To", to), ("Call-ID", self.call_id)])
        items.append(("CSeq", f"{self.cseq.number} {method}"))
        return Request(method, self.uri, Headers((*items, *headers)))

    def with_headers(self, headers: Sequence[tuple[str, str]]) -> Request:
        """Return a copy with more headers at the end."""
        return replace(self, headers=self.headers.add(headers))

    def sent_again(self, cseq: int, *, via: Via) -> Request:
        """Return this request of ours as another one, for an answer that asked for it. See RFC 3261, 8.1.3.5."""
        kept = self.headers.remove("Via").remove("CSeq")
        return replace(self, headers=Headers((("Via", str(via)), ("CSeq", f"{cseq} {self.method}"), *kept)))

    @property
    def is_encoded(self) -> bool:
        """Whether the body is compressed or the like, which nobody here undoes."""
        encoding = self.headers.get("Content-Encoding")
        return encoding is not None and encoding.strip().lower() != "identity"

    @property
    def start_line(self) -> str:
        """The first line."""
        return f"{self.method} {self.uri} SIP/2.0"


def expires_of(request: Request) -> float:
    """Return for how many seconds a request is valid. See RFC 3261, section 20.19."""
    value = request.headers.get("Expires") or ""
    return int(value) if re.fullmatch(r"[0-9]{1,10}", value) else math.inf
