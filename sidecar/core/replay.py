"""What the caller says while the bot is away, and how it reaches the bot afterwards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SPEED = 4.0
"""Times real time: what was kept is sent so fast, until the present is reached."""

_NONE_DUE = float("inf")


@dataclass(frozen=True, slots=True)
class Resumption:
    """How much of the caller the bot has missed, and how much of that it will still hear."""

    gap_ms: int
    replayed_ms: int


@dataclass(slots=True)
class Replay:
    """A queue of messages to the bot, oldest first, that keeps the newest `capacity_ms` of them.

    While the bot is away, `put` gathers; after `resume`, `take` gives what is due, and what is put goes behind it: so
    everything stays in order. It is not used, and costs nothing, while `is_active` is false.
    """

    bytes_per_ms: int
    capacity_ms: int
    dropped_ms: int = 0
    _messages: deque[bytes] = field(default_factory=deque)
    _queued: int = 0  # bytes
    _gap: int = 0  # bytes since the loss
    _away: bool = False
    _next_at: float = _NONE_DUE

    @property
    def is_active(self) -> bool:
        """Whether audio must go this way."""
        return self._away or bool(self._messages)

    def begin(self) -> None:
        """The bot is gone; what it has not been sent of before is kept, but counted anew."""
        self._away, self._next_at = True, _NONE_DUE
        self._gap = self._queued

    def put(self, payload: bytes) -> None:
        """Keep a message; the oldest go where there is no room."""
        self._messages.append(payload)
        self._queued += len(payload)
        if self._away:
            self._gap += len(payload)
        while self._queued > self.capacity_ms * self.bytes_per_ms:
            oldest = self._messages.popleft()
            self._queued -= len(oldest)
            self.dropped_ms += len(oldest) // self.bytes_per_ms

    def resume(self, *, now: float) -> Resumption:
        """The bot is back: what was kept is due from now on."""
        self._away, self._next_at = False, now
        return Resumption(self._gap // self.bytes_per_ms, self._queued // self.bytes_per_ms)

    def take(self, *, now: float) -> list[bytes]:
        """Return the messages that are due."""
        due = []
        while self._messages and self._next_at <= now:
            message = self._messages.popleft()
            self._queued -= len(message)
            self._next_at += len(message) / self.bytes_per_ms / 1000 / SPEED
            due.append(message)
        return due

    def next_timeout(self) -> float | None:
        """Return when something is due, or None."""
        return self._next_at if self._messages and self._next_at < _NONE_DUE else None
