"""Events that wait until a FreeSWITCH can be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")

MOST_EVENTS = 1000
MOST_BYTES = 16 << 20


class EventBacklog(Generic[_T]):
    """Keeps the newest, by number and by size; the oldest goes first."""

    def __init__(self, *, most: int = MOST_EVENTS, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._waiting: deque[tuple[_T, int]] = deque()
        self.bytes = 0
        self.dropped = 0  # events that had to make room

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> _T | None:
        """The one that has waited longest."""
        return self._waiting[0][0] if self._waiting else None

    def add(self, event: _T, *, size: int) -> None:
        """Let an event of so many bytes wait."""
        self._waiting.append((event, size))
        self.bytes += size
        while len(self._waiting) > self._most or self.bytes > self._most_bytes:
            self._pop()
            self.dropped += 1

    def remove(self, event: _T) -> None:
        """Let the first go, if it is this one: it may have made room meanwhile."""
        if self.first is event:
            self._pop()

    def take(self, wanted: Callable[[_T], bool]) -> list[_T]:
        """Let those go that are wanted, and return them in their order."""
        taken, kept = list[_T](), deque[tuple[_T, int]]()
        for event, size in self._waiting:
            if wanted(event):
                taken.append(event)
                self.bytes -= size
            else:
                kept.append((event, size))
        self._waiting = kept
        return taken

    def _pop(self) -> None:
        self.bytes -= self._waiting.popleft()[1]
