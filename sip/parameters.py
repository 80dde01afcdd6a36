from __future__ import annotations

import re
from dataclasses import dataclass

from .error import SipError
from .grammar import TOKEN, split_outside_quotes

_PARAMETER = re.compile(rf"""({TOKEN})(?:\s*=\s*("[^"\\]*(?:\\.[^"\\]*)*"|[^\s;"<>\x00]+))?""")


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
            match = _PARAMETER.fullmatch(part)
            if match is None:
                raise SipError("parameter is malformed")
            items.append((match[1], match[2]))
        return cls(tuple(items))

    def get(self, name: str) -> str | None:
        """Return the value of the first parameter of that name; None if absent or without value."""
        lower = name.lower()
        for key, value in self.items:
            if key.lower() == lower:
                return value
        return None

    def __contains__(self, name: str) -> bool:
        lower = name.lower()
        return lower in [key.lower() for key, _ in self.items]

    def replace(self, name: str, value: str | None) -> Parameters:
        """Return a copy in which `name` is there once: in its place, else at the end."""
        lower = name.lower()
        items: list[tuple[str, str | None]] = []
        is_placed = False
        for item in self.items:
            if item[0].lower() != lower:
                items.append(item)
            elif not is_placed:
                items.append((name, value))
                is_placed = True
        if not is_placed:
            items.append((name, value))
        return Parameters(tuple(items))

    def __str__(self) -> str:
        return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in self.items])


NO_PARAMETERS = Parameters()
