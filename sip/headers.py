from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

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
Value = TypeVar("Value")

_SUSPECT = re.compile(r"[\r\n\x00]")
_LINE_BREAK = re.compile(r"[\r\n]|(?<!\\)\x00")  # RFC 3261, 25.1: a quoted pair may hold a NUL


@lru_cache(maxsize=512)
def canonical_name(name: str) -> str:
    """Return the name under which a field is compared: long, in lower case; raise `SipError` if it is none."""
    if not is_token(name):
        raise SipError("header name is malformed")
    lower = name.lower()
    return _COMPACT_NAMES.get(lower, lower)


class Headers:
    """The header fields of a message: order and repeats kept, names compared as RFC 3261, 7.3, says.

    They never change, so that what was looked up or parsed once is remembered.
    """

    __slots__ = ("_read", "_values", "items")

    def __init__(self, items: tuple[tuple[str, str], ...] = ()) -> None:
        """Take fields, each checked; raise `SipError` if one could not be sent."""
        for name, value in items:
            check_field(name, value)
        self.items = items
        self._values: dict[str, list[str]] = {}  # of each canonical name, once somebody asks
        self._read: dict[object, Any] = {}

    @classmethod
    def of_checked(cls, items: tuple[tuple[str, str], ...]) -> Headers:
        """Make headers of fields that were checked before; most of a message's are, many times."""
        headers = cls()
        headers.items = items
        return headers

    def get(self, name: str) -> str | None:
        """Return the value of the first field of that name."""
        values = self._named(canonical_name(name))
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return the values of all fields of that name, one for each line."""
        return tuple(self._named(canonical_name(name)))

    def read(self, reader: Callable[[Headers], Value]) -> Value:
        """Return what a reader makes of these headers, which is made once: they never change."""
        if reader not in self._read:
            self._read[reader] = reader(self)
        value: Value = self._read[reader]
        return value

    def know(self, reader: Callable[[Headers], Value], value: Value) -> None:
        """Take what a reader would make of these headers from somebody who has it already."""
        self._read[reader] = value

    @property
    def repeated(self) -> Sequence[str]:
        """The canonical names of which there is more than one field."""
        self._named("")
        if len(self._values) == len(self.items):
            return ()
        return [name for name, values in self._values.items() if len(values) > 1]

    def get_list(self, name: str) -> tuple[str, ...]:
        """Return the elements of a comma-separated header such as Via, Route or Require."""
        key = canonical_name(name)
        known: tuple[str, ...] | None = self._read.get(key)
        if known is None:
            known = tuple([part for value in self._named(key) for part in split_outside_quotes(value, ",")])
            self._read[key] = known
        return known

    def add(self, items: Iterable[tuple[str, str]]) -> Headers:
        """Return a copy with more fields at the end."""
        return Headers.of_checked((*self.items, *Headers(tuple(items)).items))

    def put_first(self, name: str, values: Sequence[str]) -> Headers:
        """Return a copy in which these are the fields of that name, and the first of all."""
        for value in values:
            check_field(name, value)
        rest = self.remove(name)
        return Headers.of_checked((*[(name, value) for value in values], *rest.items))

    def remove(self, name: str) -> Headers:
        """Return a copy without the fields of that name."""
        key = canonical_name(name)
        return Headers.of_checked(tuple([item for item in self.items if canonical_name(item[0]) != key]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.items == other.items

    def __hash__(self) -> int:
        return hash(self.items)

    def __repr__(self) -> str:
        return f"Headers({self.items})"

    def __contains__(self, name: str) -> bool:
        return bool(self._named(canonical_name(name)))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)

    def __str__(self) -> str:
        return "".join([f"{name}: {value}\r\n" for name, value in self.items])

    def _named(self, key: str) -> Sequence[str]:
        """Return the values of a name; the first who asks pays for the index of all."""
        if not self._values:
            for name, value in self.items:
                self._values.setdefault(canonical_name(name), []).append(value)
        return self._values.get(key, ())


def check_field(name: str, value: str) -> None:
    """Raise `SipError` for what would let its author write headers of their own."""
    canonical_name(name)
    if _SUSPECT.search(value) and _LINE_BREAK.search(value):
        raise SipError(f"{name} holds a line break")


def parse_line(line: str) -> tuple[str, str]:
    """Parse one unfolded header line; white space around the colon does not count."""
    name, colon, value = line.partition(":")
    if not colon:
        raise SipError("header line is malformed")
    name = name.rstrip(" \t")
    if _SUSPECT.search(line):
        check_field(name, value)
    return name, value.strip(" \t")
