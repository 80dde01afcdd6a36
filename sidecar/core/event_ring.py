"""The last events of all streams, numbered, for those who listen and those who come back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MOST_EVENTS = 10_000
MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class RingEvent:
    """An event as it is sent."""

    number: int  # from 1, over all streams
    id: str
    kind: str
    stream: str
    data: bytes  # JSON


class EventRing:
    """Keeps the newest events, by number and by size; the oldest goes first.

    `epoch` is another in each life of the process, so that an id of an earlier life is not taken for one of this.
    """

    def __init__(self, *, epoch: str, most: int = MOST_EVENTS, most_bytes: int = MOST_BYTES) -> None:
        self._epoch = epoch
        self._most, self._most_bytes = most, most_bytes
        self._events: dict[int, RingEvent] = {}  # by number, without gaps
        self._numbers: dict[str, int] = {}  # of events that came with an id
        self._bytes = 0
        self.newest = 0  # the number of the last event that was published

    @property
    def forgotten(self) -> int:
        """How many events are not kept any more: the number of the newest of them."""
        return self.newest - len(self._events)

    def publish(self, kind: str, stream: str, data: bytes, *, id: str | None = None) -> RingEvent:
        """Number an event, and keep it; `id` is the one that it has already."""
        self.newest += 1
        event = RingEvent(self.newest, id or self._own_id(self.newest), kind, stream, data)
        if id is not None:
            self._numbers[id] = event.number
        self._events[event.number] = event
        self._bytes += len(data)
        while len(self._events) > self._most or self._bytes > self._most_bytes:
            oldest = self._events.pop(self.forgotten + 1)
            self._numbers.pop(oldest.id, None)
            self._bytes -= len(oldest.data)
        return event

    def skip(self) -> None:
        """Take it that there were events which are not known: nothing before them is kept."""
        self.newest += 1
        self._events.clear()
        self._numbers.clear()
        self._bytes = 0

    def after(self, number: int) -> Iterator[RingEvent]:
        """Return the events that are kept of those after `number`, the oldest first."""
        return (self._events[each] for each in range(max(number, self.forgotten) + 1, self.newest + 1))

    def id_of(self, number: int) -> str:
        """Return the id of an event, or, of one that is not kept, one that stands for its place."""
        event = self._events.get(number)
        return self._own_id(number) if event is None else event.id

    def number_of(self, id: str) -> int | None:
        """Return the number of the event that has this id; None if it is none of ours, or of an earlier life."""
        if (known := self._numbers.get(id)) is not None:
            return known
        epoch, _, number = id.rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit() and len(number) < 19):
            return None
        return int(number) if int(number) <= self.newest else None

    def _own_id(self, number: int) -> str:
        return f"{self._epoch}-{number}"
