from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

from .cseq import CSeq
from .error import SipError
from .headers import Headers, canonical_name
from .name_addr import NameAddr
from .via import Via

# The same values come in message after message, and are immutable.
_parse_via = lru_cache(maxsize=256)(Via.parse)
_parse_name_addr = lru_cache(maxsize=256)(NameAddr.parse)
_parse_cseq = lru_cache(maxsize=256)(CSeq.parse)


def _required(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise SipError(f"Missing {name}")
    return value


def _read_vias(headers: Headers) -> tuple[Via, ...]:
    return tuple([_parse_via(value) for value in headers.get_list("Via")])


def read_via(headers: Headers) -> Via:
    """Read the nearest hop."""
    values = headers.get_list("Via")
    if not values:
        raise SipError("Missing Via")
    return _parse_via(values[0])


def _read_from(headers: Headers) -> NameAddr:
    return _parse_name_addr(_required(headers, "From"))


def _read_to(headers: Headers) -> NameAddr:
    return _parse_name_addr(_required(headers, "To"))


def _read_call_id(headers: Headers) -> str:
    return _required(headers, "Call-ID")


def _read_cseq(headers: Headers) -> CSeq:
    return _parse_cseq(_required(headers, "CSeq"))


def _read_contact(headers: Headers) -> NameAddr | None:
    values = headers.get_list("Contact")
    return _parse_name_addr(values[0]) if values else None


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
        return self.headers.read(_read_vias)

    @property
    def via(self) -> Via:
        """The nearest hop."""
        return self.headers.read(read_via)

    @property
    def from_(self) -> NameAddr:
        """The From header."""
        return self.headers.read(_read_from)

    @property
    def to(self) -> NameAddr:
        """The To header."""
        return self.headers.read(_read_to)

    @property
    def call_id(self) -> str:
        """The Call-ID header."""
        return self.headers.read(_read_call_id)

    @property
    def cseq(self) -> CSeq:
        """The CSeq header."""
        return self.headers.read(_read_cseq)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, if there is one."""
        return self.headers.read(_read_contact)

    @property
    def content_type(self) -> str | None:
        """The media type of the body, in lower case and without parameters."""
        value = self.headers.get("Content-Type")
        return None if value is None else value.partition(";")[0].strip().lower()

    def __bytes__(self) -> bytes:
        assert "content-length" not in [canonical_name(name) for name, _ in self.headers.items]
        head = f"{self.start_line}\r\n{self.headers}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body
