from __future__ import annotations

import re
from dataclasses import dataclass

from .error import SipError
from .grammar import TOKEN

_CSEQ = re.compile(rf"([0-9]{{1,10}})\s+({TOKEN})")


@dataclass(frozen=True, slots=True)
class CSeq:
    """The order of the requests in a dialog. See RFC 3261, section 20.16."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Parse the value of a CSeq header; the number must be below 2**31."""
        match = _CSEQ.fullmatch(text.strip())
        if match is None or int(match[1]) >= 2**31:
            raise SipError("CSeq is malformed")
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"
