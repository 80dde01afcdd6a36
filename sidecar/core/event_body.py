"""What an event says, beside whose it is and when it was."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import msgspec


class EventBody(msgspec.Struct, frozen=True):
    """The body of one kind of event; its fields are those that the outside sees."""

    kind: ClassVar[str]

    def value(self) -> Any:
        """Return what JSON makes of it: an object, or, of `json` alone, a text."""
        return msgspec.to_builtins(self)

    def json(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self.value())

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read what `json` has written."""
        return msgspec.json.decode(text, type=cls)
