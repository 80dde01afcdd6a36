"""What the outside holds of all streams: it sees them, and asks things of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from sidecar.core.call_control import CallControl
from sidecar.core.commands import Command
from sidecar.core.link import StatsTold, StreamStats
from sidecar.core.stream_snapshot import StreamSnapshot
from sidecar.core.workers import Readiness


class Steering:
    """Call control for those that live in its event loop. What a stream cannot do raises `CommandError`."""

    def __init__(self, control: CallControl, drain: Callable[[], None]) -> None:
        """`drain` does what follows from what was asked of control."""
        self._control = control
        self._drain = drain
        self._loop = asyncio.get_running_loop()
        self.on_change: Callable[[str], None] = lambda stream: None  # what a stream was asked may change how it is seen
        self._waiting: dict[str, deque[asyncio.Future[StreamStats]]] = {}

    def streams(self) -> list[StreamSnapshot]:
        """Return how all streams are, the oldest first."""
        return self._control.streams()

    def page(self, *, after: str, most: int, call: str | None) -> list[StreamSnapshot]:
        """Return how some streams are: see `CallControl.page`."""
        return self._control.page(after=after, most=most, call=call)

    def readiness(self) -> Readiness:
        """Tell whether a new call would be taken, and why not."""
        return self._control.readiness()

    def has(self, stream: str) -> bool:
        """Whether there is such a stream."""
        return self._control.has(stream)

    def stream(self, stream: str) -> StreamSnapshot:
        """Return how a stream is."""
        return self._control.stream(stream)

    def obey(self, stream: str, command: Command) -> list[str]:
        """Do what is asked of a stream; return warnings."""
        warnings = self._control.obey(stream, command, now=self._loop.time())
        self._drain()
        self.on_change(stream)
        return warnings

    async def stats(self, stream: str) -> StreamStats:
        """Return what has passed through a stream so far."""
        self._control.ask_stats(stream)
        answer: asyncio.Future[StreamStats] = self._loop.create_future()
        self._waiting.setdefault(stream, deque()).append(answer)
        self._drain()
        return await answer

    def stats_told(self, message: StatsTold) -> None:
        """Take an answer: each is for who has asked first."""
        waiting = self._waiting[message.stream]
        answer = waiting.popleft()
        if not waiting:
            del self._waiting[message.stream]
        if not answer.done():  # else whoever asked has lost patience
            answer.set_result(message.stats)
