from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

_STALE_MAX = 1024


class TimerQueue(Generic[Item]):
    """Many things with one deadline each; the first is found without looking at the others."""

    def __init__(self) -> None:
        self._deadlines: dict[Item, float] = {}
        self._heap: list[tuple[float, int, Item]] = []  # may hold deadlines that were moved since
        self._order = itertools.count()  # equal deadlines keep their order

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, item: Item, at: float | None) -> None:
        """Set, move or remove the deadline of an item."""
        if at is None:
            self._deadlines.pop(item, None)
        elif self._deadlines.get(item) != at:
            self._deadlines[item] = at
            heapq.heappush(self._heap, (at, next(self._order), item))
        if len(self._heap) > 2 * len(self._deadlines) + _STALE_MAX:
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapq.heapify(self._heap)

    def next_timeout(self) -> float | None:
        """Return the earliest deadline."""
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, *, now: float) -> list[Item]:
        """Return the items whose deadline has passed, without it, the earliest first."""
        due = []
        while (at := self.next_timeout()) is not None and at <= now:
            _, _, item = heapq.heappop(self._heap)
            del self._deadlines[item]
            due.append(item)
        return due

    def _is_current(self, entry: tuple[float, int, Item]) -> bool:
        return self._deadlines.get(entry[2]) == entry[0]
