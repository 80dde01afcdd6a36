from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from .error import SipError
from .grammar import is_token, split_outside_quotes

_COMPACT_NAMES = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_SUSPECT = re.compile(r"[\r\n\x00]")
_LINE_BREAK = re.compile(r"[\r\n]|(?<!\\)\x00")  # RFC 3261, 25.1: a quoted pair may hold a NUL


@lru_cache(maxsize=512)
def _key(name: str) -> str:
    lower = name.lower()
    return _COMPACT_NAMES.get(lower, lower)


@dataclass(frozen=True, slots=True)
class Headers:
    """The header fields of a message: order and repeats kept, names compared as RFC 3261, 7.3, says."""

    items: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.items:
            check_field(name, value)

    @classmethod
    def of_checked(cls, items: tuple[tuple[str, str], ...]) -> Headers:
        """Make headers of fields that were checked before; most of a message's are, many times."""
        headers = object.__new__(cls)
        object.__setattr__(headers, "items", items)
        return headers

    def get(self, name: str) -> str | None:
        """Return the value of the first field of that name."""
        key = _key(name)
        for other, value in self.items:
            if _key(other) == key:
                return value
        return None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return the values of all fields of that name, one for each line."""
        key = _key(name)
        return tuple([value for other, value in self.items if _key(other) == key])

    def get_list(self, name: str) -> tuple[str, ...]:
        """Return the elements of a comma-separated header such as Via, Route or Require."""
        return tuple(part for value in self.get_all(name) for part in split_outside_quotes(value, ","))

    def add(self, items: Iterable[tuple[str, str]]) -> Headers:
        """Return a copy with more fields at the end."""
        return Headers.of_checked((*self.items, *Headers(tuple(items)).items))

    def remove(self, name: str) -> Headers:
        """Return a copy without the fields of that name."""
        key = _key(name)
        return Headers.of_checked(tuple([item for item in self.items if _key(item[0]) != key]))

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self.items)


def check_field(name: str, value: str) -> None:
    """Raise `SipError` for what would let its author write headers of their own."""
    if not is_token(name):
        raise SipError("header name is malformed")
    if _SUSPECT.search(value) and _LINE_BREAK.search(value):
        raise SipError(f"{name} holds a line break")


def parse_line(line: str) -> tuple[str, str]:
    """Parse one unfolded header line; white space around the colon does not count."""
    name, colon, value = line.partition(":")
    name = name.rstrip(" \t")
    if not colon or not is_token(name):
        raise SipError("header line is malformed")
    return name, value.strip(" \t")
