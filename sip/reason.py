from __future__ import annotations

from dataclasses import dataclass

from .error import SipError
from .grammar import is_token, quote, take_quoted
from .parameters import Parameters


@dataclass(frozen=True, slots=True)
class ReasonHeader:
    """Why a call ends, in the words of another protocol. See RFC 3326, section 2."""

    protocol: str  # "Q.850" or "SIP"
    cause: int | None = None
    text: str | None = None

    @classmethod
    def parse(cls, value: str) -> ReasonHeader:
        """Parse one value of a Reason header."""
        protocol, _, rest = value.partition(";")
        protocol = protocol.strip()
        if not is_token(protocol):
            raise SipError("Reason is malformed")
        parameters = Parameters.parse(rest)
        cause, text = parameters.get("cause"), parameters.get("text")
        if cause is not None and not (cause.isascii() and cause.isdigit() and len(cause) <= 4):
            raise SipError("cause of Reason is malformed")
        if text is not None and text.startswith('"'):
            text, _ = take_quoted(text)
        return cls(protocol, None if cause is None else int(cause), text)

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        text = "" if self.text is None else f";text={quote(self.text)}"
        return f"{self.protocol}{cause}{text}"
