from __future__ import annotations

import re
from dataclasses import dataclass

from .error import SipError
from .grammar import is_token, split_outside_quotes

_VALUE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^\s;"<>\x00]+')


@dataclass(frozen=True, slots=True)
class Parameters:
    """The `;name=value` list of a header or a URI, in order. See RFC 3261, section 7.3.1."""

    items: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Parameters:
        """Parse what follows the first semicolon; quoted values stay quoted."""
        if not text:
            return NO_PARAMETERS
        items = []
        for part in split_outside_quotes(text, ";"):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not is_token(name):
                raise SipError("parameter name is malformed")
            if equals and not _VALUE.fullmatch(value):
                raise SipError(f"value of parameter {name} is malformed")
            items.append((name, value if equals else None))
        return cls(tuple(items))

    def get(self, name: str) -> str | None:
        """Return the value of the first parameter of that name; None if absent or without value."""
        lower = name.lower()
        return next((value for key, value in self.items if key.lower() == lower), None)

    def __contains__(self, name: str) -> bool:
        lower = name.lower()
        return any(key.lower() == lower for key, _ in self.items)

    def replace(self, name: str, value: str | None) -> Parameters:
        """Return a copy in which `name` is there once: in its place, else at the end."""
        lower = name.lower()
        if name not in self:
            return Parameters((*self.items, (name, value)))
        first = next(index for index, (key, _) in enumerate(self.items) if key.lower() == lower)
        rest = tuple(item for item in self.items[first + 1 :] if item[0].lower() != lower)
        return Parameters((*self.items[:first], (name, value), *rest))

    def __str__(self) -> str:
        return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.items)


NO_PARAMETERS = Parameters()
