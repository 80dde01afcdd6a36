"""Where the events of all streams come out: whoever is to know of them subscribes here."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from sidecar.core.events import StreamEvent

log = structlog.get_logger("sidecar")

Outlet = Callable[[StreamEvent], None]


class EventFeed:
    """Gives each event to each outlet, in the order in which they have subscribed."""

    def __init__(self) -> None:
        self._outlets: list[Outlet] = []
        self.published: dict[str, int] = {}  # events, by kind
        self.failed = 0  # events that an outlet got wrong

    def subscribe(self, outlet: Outlet) -> Callable[[], None]:
        """Let `outlet` be called with each event from now on; it must not block. Return what ends that."""
        self._outlets.append(outlet)
        return lambda: self._outlets.remove(outlet)

    def publish(self, event: StreamEvent) -> None:
        """Give an event to all; what one outlet gets wrong is no matter of the others, nor of the call."""
        self.published[event.kind] = self.published.get(event.kind, 0) + 1
        for outlet in list(self._outlets):
            try:
                outlet(event)
            except Exception:
                self.failed += 1
                log.exception("event not told", kind=event.kind, stream=event.stream)


def log_event(event: StreamEvent) -> None:
    """Write an event to the log, unless it is not for it."""
    if not event.quiet:
        write = log.warning if event.kind == "error" else log.info
        write(event.kind, stream=event.stream, call=event.call, sequence=event.sequence, body=event.body.value())
