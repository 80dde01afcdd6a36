"""Who asks, from outside, what has passed through a stream."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.core.errors import CommandError
from sidecar.core.link import AskStats, StatsTold, StreamStats


class StatsRequests:
    """Asks the worker, and answers each who has asked: at the end of the stream, with what there was of it."""

    def __init__(self, stream: str, *, say: Callable[[AskStats | StatsTold], None]) -> None:
        self._stream = stream
        self._say = say
        self._open = 0  # requests without an answer
        self._is_over = False

    def ask(self) -> None:
        """Let it be said, as `StatsTold`, what has passed so far."""
        if self._is_over:
            raise CommandError("the stream is over")
        self._open += 1
        self._say(AskStats(self._stream))

    def told(self, stats: StreamStats) -> None:
        """The worker has answered."""
        if self._open:
            self._open -= 1
            self._say(StatsTold(self._stream, stats))

    def end(self, stats: StreamStats | None) -> None:
        """The worker answers no more; None: the stream never began, or its worker is lost."""
        self._is_over = True
        while self._open:
            self.told(stats or StreamStats())
