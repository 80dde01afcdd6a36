"""What a webhook has yet to be told, and when to try again."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

MOST_WAITING = 10_000
MOST_BYTES = 32 << 20
LONGEST_WAIT = 3600.0
AT_ONCE = 4
_FIRST, _FACTOR, _MOST = 1.0, 2.0, 60.0  # seconds before the second attempt, and how the pauses grow
_MOST_ASKED = 300.0  # the longest Retry-After that is obeyed


@dataclass(slots=True)
class Delivery:
    """One event on its way to one webhook."""

    id: str  # the same in each attempt: who has seen it need not look again
    stream: str
    body: bytes
    at: float = 0.0
    number: int = 0  # in the order of the queue
    attempts: int = 0
    due: float = 0.0


@dataclass(slots=True)
class WebhookCounters:
    """What became of the events for one webhook."""

    delivered: int = 0
    failed: int = 0  # attempts
    dropped_full: int = 0
    dropped_old: int = 0


class WebhookQueue:
    """Keeps the events of each stream in order: one is under way, and the next waits until it has come through.

    Full, it drops the oldest, and it drops what is older than an hour. An event that fails waits, twice as long each
    time and not in step with others; those of other streams go on. When several fail in a row it is the webhook that
    is down: then everything waits, and one alone is tried.
    """

    def __init__(
        self, random: Random, *, most: int = MOST_WAITING, most_bytes: int = MOST_BYTES, at_once: int = AT_ONCE
    ) -> None:
        self._random = random
        self._most, self._most_bytes, self._at_once = most, most_bytes, at_once
        self._waiting: OrderedDict[int, Delivery] = OrderedDict()  # all that are not under way, the oldest first
        self._streams: dict[str, deque[Delivery]] = {}  # the same, by stream
        self._ready: dict[str, None] = {}  # streams whose first may be due, in the order of their turns
        self._resting: list[tuple[float, int, str]] = []  # a heap: those whose first is due later
        self._under_way: set[str] = set()
        self._bytes = 0  # of all that wait
        self._added = 0
        self._failures = 0  # in a row, of whatever stream
        self._silent_until = 0.0
        self.counters = WebhookCounters()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def add(self, delivery: Delivery, *, now: float) -> None:
        """Take an event."""
        size = len(delivery.body)
        while self._waiting and (len(self._waiting) >= self._most or self._bytes + size > self._most_bytes):
            self._drop_oldest()
            self.counters.dropped_full += 1
        self._added += 1
        delivery.at, delivery.number = now, self._added
        if delivery.stream not in self._streams:
            self._streams[delivery.stream] = deque()
            self._ready[delivery.stream] = None
        self._streams[delivery.stream].append(delivery)
        self._waiting[delivery.number] = delivery
        self._bytes += size

    def next(self, *, now: float) -> Delivery | None:
        """Return what to send now; `succeeded` or `failed` is to follow."""
        while self._waiting and next(iter(self._waiting.values())).at + LONGEST_WAIT <= now:
            self._drop_oldest()
            self.counters.dropped_old += 1
        while self._resting and self._resting[0][0] <= now:
            stream = heappop(self._resting)[2]
            if stream in self._streams:
                self._ready[stream] = None
        if now < self._silent_until or self._is_busy:
            return None
        while self._ready:
            stream = next(iter(self._ready))
            del self._ready[stream]
            if stream not in self._under_way and self._streams[stream][0].due <= now:
                self._under_way.add(stream)
                return self._take_first(stream)
        return None

    def next_timeout(self) -> float | None:
        """Return when to ask `next` again, if nothing is added and nothing comes back before."""
        if self._is_busy:
            return None
        if self._ready:
            return self._silent_until
        return max(self._resting[0][0], self._silent_until) if self._resting else None

    def succeeded(self, delivery: Delivery) -> None:
        """The webhook has taken it."""
        self.counters.delivered += 1
        self._failures, self._silent_until = 0, 0.0
        self._under_way.remove(delivery.stream)
        if delivery.stream in self._streams:
            self._ready[delivery.stream] = None

    def failed(self, delivery: Delivery, *, retry_after: float | None = None, now: float) -> None:
        """The webhook did not take it; `retry_after` is what it asked for, in seconds."""
        self.counters.failed += 1
        self._failures += 1
        delivery.attempts += 1
        delivery.due = now + self._pause(delivery.attempts)
        silence = self._pause(self._failures - 1) if self._failures > 1 else 0.0
        self._silent_until = now + max(silence, min(retry_after or 0.0, _MOST_ASKED))
        self._under_way.remove(delivery.stream)
        self._streams.setdefault(delivery.stream, deque()).appendleft(delivery)
        self._waiting[delivery.number] = delivery
        self._waiting.move_to_end(delivery.number, last=False)
        self._bytes += len(delivery.body)
        heappush(self._resting, (delivery.due, delivery.number, delivery.stream))

    @property
    def _is_busy(self) -> bool:
        return len(self._under_way) >= (1 if self._failures else self._at_once)

    def _pause(self, failures: int) -> float:
        return min(_MOST, _FIRST * _FACTOR ** min(failures - 1, 16)) * self._random.uniform(0.5, 1.0)

    def _take_first(self, stream: str) -> Delivery:
        deliveries = self._streams[stream]
        delivery = deliveries.popleft()
        if not deliveries:
            del self._streams[stream]
            self._ready.pop(stream, None)
        del self._waiting[delivery.number]
        self._bytes -= len(delivery.body)
        return delivery

    def _drop_oldest(self) -> None:
        """Drop the oldest of all that wait, which is the first of its stream."""
        self._take_first(next(iter(self._waiting.values())).stream)
