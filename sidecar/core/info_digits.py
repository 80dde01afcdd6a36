"""Digits for a caller who takes no telephone events: in INFO requests, one after the other."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

CONTENT_TYPE = "application/dtmf-relay"

_MOST_DIGITS = 100  # that wait to be sent


@dataclass(slots=True)
class InfoDigits:
    """What is still to be said. The next INFO waits for the answer to the one before: they may overtake each other."""

    _waiting: deque[tuple[str, int]] = field(default_factory=deque)
    _unanswered: bool = False

    def dial(self, digits: str, duration_ms: int) -> bool:
        """Queue digits; return False, and queue none of them, when too many wait."""
        if len(self._waiting) + len(digits) > _MOST_DIGITS:
            return False
        self._waiting.extend((digit, duration_ms) for digit in digits)
        return True

    def answered(self) -> None:
        """Take note that the last INFO was answered, or never will be."""
        self._unanswered = False

    def next_body(self) -> bytes | None:
        """Return what the next INFO says; None if it is not time for one."""
        if self._unanswered or not self._waiting:
            return None
        self._unanswered = True
        digit, duration_ms = self._waiting.popleft()
        return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()
