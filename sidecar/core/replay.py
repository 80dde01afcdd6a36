"""What the caller says while the bot is away, and how it reaches the bot afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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
    """A queue of messages to the bot, each of `message_ms`, oldest first, that keeps the newest `capacity_ms` of them.

    While the bot is away, `put` gathers; after `resume`, `take` gives what is due, and what is put goes behind it: so
    everything stays in order. It is not used, and costs nothing, while `is_active` is false.
    """

    message_ms: int
    capacity_ms: int  # rounded up to whole messages
    dropped: int = 0  # messages
    replayed: int = 0
    _messages: deque[bytes] = field(default_factory=deque)
    _missed: int = 0  # messages since the loss
    _away: bool = False
    _next_at: float = _NONE_DUE

    @property
    def is_active(self) -> bool:
        """Whether audio must go this way."""
        return self._away or bool(self._messages)

    def begin(self, *, lost: int = 0, unsent: Sequence[bytes] = ()) -> None:
        """The bot is gone: `lost` messages were sent and did not arrive, `unsent` are those that were yet to be sent.

        What was yet to be replayed is kept behind these, and counts as missed again.
        """
        self._away, self._next_at = True, _NONE_DUE
        self._messages.extendleft(reversed(unsent))
        self._missed = lost + len(self._messages)
        self.dropped += lost
        self._make_room()

    def reform(self, message_ms: int) -> None:
        """Messages are of another format from now on: what is kept of the former is dropped, and counts as missed."""
        self.dropped += len(self._messages)
        self._messages.clear()
        self._missed = -(-self._missed * self.message_ms // message_ms)
        self.message_ms = message_ms

    def put(self, message: bytes) -> None:
        """Keep a message; the oldest go where there is no room."""
        self._messages.append(message)
        self._missed += self._away
        self._make_room()

    def resume(self, *, now: float) -> Resumption:
        """The bot is back: what was kept is due from now on."""
        self._away, self._next_at = False, now
        return Resumption(self._missed * self.message_ms, len(self._messages) * self.message_ms)

    def take(self, *, now: float) -> list[bytes]:
        """Return the messages that are due."""
        due = []
        while self._messages and self._next_at <= now:
            due.append(self._messages.popleft())
            self._next_at += self.message_ms / 1000 / SPEED
        self.replayed += len(due)
        return due

    def give_up(self) -> None:
        """The bot does not come back: keep nothing any more."""
        self.dropped += len(self._messages)
        self._messages.clear()
        self._away = False

    def _make_room(self) -> None:
        while len(self._messages) > -(-self.capacity_ms // self.message_ms):
            self._messages.popleft()
            self.dropped += 1
