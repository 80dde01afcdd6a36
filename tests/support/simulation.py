"""A virtual clock, and a network that delays, loses, repeats and reorders what is sent over it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from random import Random


class Simulation:
    """A virtual clock: runs scheduled calls in time order, never sleeps."""

    def __init__(self, *, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self._order = itertools.count()  # ties run in the order they were asked for
        self._calls: list[tuple[float, int, Callable[[], None]]] = []

    def call_at(self, at: float, call: Callable[[], None]) -> None:
        """Run `call` at the time `at`, which must not lie in the past."""
        assert at >= self.now, "cannot schedule in the past"
        heapq.heappush(self._calls, (at, next(self._order), call))

    def run(self, *, until: float) -> None:
        """Run all calls that are due up to and including `until`, and those they schedule."""
        while self._calls and self._calls[0][0] <= until:
            self.now, _, call = heapq.heappop(self._calls)
            call()
        self.now = until


class Link:
    """One direction of a network that delays, loses, repeats and reorders datagrams."""

    def __init__(
        self,
        simulation: Simulation,
        deliver: Callable[[bytes], None],
        *,
        delay: float = 0.020,
        jitter: float = 0.0,
        loss: float = 0.0,
        duplication: float = 0.0,
    ) -> None:
        self._simulation = simulation
        self._deliver = deliver
        self._delay = delay
        self._jitter = jitter
        self._loss = loss
        self._duplication = duplication

    def send(self, data: bytes) -> None:
        """Hand `data` to the network, which delivers it later, twice, or never."""
        random = self._simulation.random
        if random.random() < self._loss:
            return
        copies = 2 if random.random() < self._duplication else 1
        for _ in range(copies):
            at = self._simulation.now + self._delay + random.uniform(0, self._jitter)
            self._simulation.call_at(at, lambda: self._deliver(data))
