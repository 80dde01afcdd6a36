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
        self._deadlines: dict[Item, tuple[float, int]] = {}  # when, and its number: equal deadlines keep their order
        self._items: dict[int, Item] = {}  # by the number of their deadline
        self._heap: list[tuple[float, int]] = []  # holds deadlines that were moved since too, but none of their items
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, item: Item, at: float | None) -> None:
        """Set, move or remove the deadline of an item."""
        former = self._deadlines.get(item)
        if (None if former is None else former[0]) == at:
            return
        if former is not None:
            del self._deadlines[item], self._items[former[1]]
        if at is not None:
            deadline = at, next(self._numbers)
            self._deadlines[item], self._items[deadline[1]] = deadline, item
            heapq.heappush(self._heap, deadline)
        if len(self._heap) > 2 * len(self._deadlines) + _STALE_MAX:
            self._heap = list(self._deadlines.values())
            heapq.heapify(self._heap)

    def next_timeout(self) -> float | None:
        """Return the earliest deadline."""
        while self._heap and self._heap[0][1] not in self._items:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, *, now: float) -> list[Item]:
        """Return the items whose deadline has passed, without it, the earliest first."""
        due = []
        while (at := self.next_timeout()) is not None and at <= now:
            _, number = heapq.heappop(self._heap)
            item = self._items.pop(number)
            del self._deadlines[item]
            due.append(item)
        return due
