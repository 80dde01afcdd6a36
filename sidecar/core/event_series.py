"""The events of one stream: numbered, timed, and told to all who are to know."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.core.event_body import EventBody
from sidecar.core.events import BotSaid, StreamEvent


class EventSeries:
    """Makes the events of one stream of what happens to it."""

    def __init__(
        self,
        stream: str,
        call: str,
        *,
        wall_clock: Callable[[], float],
        tell: Callable[[StreamEvent], None],
        quiet_texts: bool = False,
    ) -> None:
        """`wall_clock` counts seconds since 1970; with `quiet_texts`, what the bot says is not for the log."""
        self.call = call
        self.length = 0
        self._stream = stream
        self._wall_clock = wall_clock
        self._tell = tell
        self._quiet_texts = quiet_texts

    def emit(self, body: EventBody) -> None:
        """Tell of what has happened."""
        self.length += 1
        quiet = self._quiet_texts and isinstance(body, BotSaid)
        self._tell(StreamEvent(body, self._stream, self.call, self.length, self._wall_clock(), quiet))
