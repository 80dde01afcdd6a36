from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

from .cseq import CSeq
from .error import SipError
from .headers import Headers
from .name_addr import NameAddr
from .via import Via

# One message is looked at many times on its way, and the values are immutable.
_parse_via = lru_cache(maxsize=256)(Via.parse)
_parse_name_addr = lru_cache(maxsize=256)(NameAddr.parse)


class Message(ABC):
    """What requests and responses have in common. See RFC 3261, section 7.

    Text is UTF-8 with surrogate escapes, so that a name in another encoding goes out as it came in.
    Content-Length belongs to the framing: it is written by `bytes()` and not among the headers.
    """

    __slots__ = ()

    headers: Headers
    body: bytes

    @property
    @abstractmethod
    def start_line(self) -> str:
        """The first line."""

    @property
    def vias(self) -> tuple[Via, ...]:
        """All hops, the nearest first."""
        return tuple(_parse_via(value) for value in self.headers.get_list("Via"))

    @property
    def via(self) -> Via:
        """The nearest hop."""
        values = self.headers.get_list("Via")
        if not values:
            raise SipError("Missing Via")
        return _parse_via(values[0])

    @property
    def from_(self) -> NameAddr:
        """The From header."""
        return _parse_name_addr(self._required("From"))

    @property
    def to(self) -> NameAddr:
        """The To header."""
        return _parse_name_addr(self._required("To"))

    @property
    def call_id(self) -> str:
        """The Call-ID header."""
        return self._required("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """The CSeq header."""
        return CSeq.parse(self._required("CSeq"))

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, if there is one."""
        values = self.headers.get_list("Contact")
        return _parse_name_addr(values[0]) if values else None

    @property
    def content_type(self) -> str | None:
        """The media type of the body, in lower case and without parameters."""
        value = self.headers.get("Content-Type")
        return None if value is None else value.partition(";")[0].strip().lower()

    def _required(self, name: str) -> str:
        value = self.headers.get(name)
        if not value:
            raise SipError(f"Missing {name}")
        return value

    def __bytes__(self) -> bytes:
        assert "Content-Length" not in self.headers
        head = f"{self.start_line}\r\n{self.headers}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body
