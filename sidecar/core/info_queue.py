"""What a caller is told in INFO requests: digits, if it takes no telephone events, and what happens to its stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sidecar.core.events import BotSaid, StreamEvent

DTMF_RELAY = "application/dtmf-relay"
JSON = "application/json"

MOST_INFOS = 100
"""INFOs of one call that wait to be sent."""

LARGEST_BODY = 8000
"""Bytes: an INFO is one datagram. What is longer is not told."""


@dataclass(slots=True)
class InfoQueue:
    """INFOs to one caller. Each waits for the answer to the one before: they could overtake each other."""

    refused: int = 0  # that were too many, or too long
    _waiting: deque[tuple[str, bytes]] = field(default_factory=deque)
    _unanswered: bool = False

    def add(self, content_type: str, bodies: Sequence[bytes]) -> bool:
        """Queue bodies; return False, and queue none of them, when too many wait or one is too long."""
        if len(self._waiting) + len(bodies) > MOST_INFOS or any(len(body) > LARGEST_BODY for body in bodies):
            self.refused += len(bodies)
            return False
        self._waiting.extend((content_type, body) for body in bodies)
        return True

    def tell(self, event: StreamEvent) -> None:
        """Queue an event as JSON; one whose text alone is too long is not even written as that."""
        if isinstance(event.body, BotSaid) and len(event.body.text) > LARGEST_BODY:
            self.refused += 1
        else:
            self.add(JSON, [event.json()])

    def answered(self) -> None:
        """Take note that the last INFO was answered, or never will be."""
        self._unanswered = False

    def take(self) -> tuple[str, bytes] | None:
        """Return content type and body of the next INFO; None if it is not time for one."""
        if self._unanswered or not self._waiting:
            return None
        self._unanswered = True
        return self._waiting.popleft()


def digit_body(digit: str, duration_ms: int) -> bytes:
    """Say a digit as `application/dtmf-relay` does."""
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()
