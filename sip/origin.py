from __future__ import annotations

import re
from dataclasses import dataclass

from .description import connection
from .error import SdpError

_ORIGIN = re.compile(r"(\S+)\s+([0-9]{1,20})\s+([0-9]{1,20})\s+IN\s+IP[46]\s+(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote a description, and its version: one more each time it changes. See RFC 8866, 5.2."""

    session_id: int
    version: int
    address: str
    username: str = "-"

    @classmethod
    def parse(cls, value: str) -> Origin:
        """Parse the value of an `o=` line."""
        match = _ORIGIN.fullmatch(value.strip())
        if match is None:
            raise SdpError("o= is malformed")
        return cls(int(match[2]), int(match[3]), match[4], match[1])

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {connection(self.address)}"
