"""A call that nobody is heard in: never, or no longer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MediaLost:
    """Nothing came for too long; `ever` is whether anything did before."""

    ever: bool
    seconds: float


@dataclass(slots=True)
class MediaTimeout:
    """Watches the time since the last packet of one call; says once that it is too long, until another packet comes.

    `first` is how long the first packet may take, `later` how long any other; None is without end. Not watched while
    the call is on hold, nor while the other side has said that it is silent, by comfort noise (RFC 3389).
    """

    first: float | None
    later: float | None
    _since: float = 0.0  # of which on time counts
    _heard: float | None = None
    _watched: bool = False
    _told: bool = False
    _events: deque[MediaLost] = field(default_factory=lambda: deque(maxlen=1))

    def resume(self, *, now: float) -> None:
        """Begin to watch, with the call or after hold."""
        self._watched, self._told, self._since = True, False, now

    def hold(self) -> None:
        """Watch no more, until `resume`."""
        self._watched = False

    def handle_timeout(self, *, heard: float | None, silent: bool = False, now: float) -> None:
        """Look again; `heard` is when the last packet came, `silent` whether it announced silence."""
        if heard != self._heard:
            self._heard, self._told = heard, False
        if silent:
            self._since = now
        at = self.next_timeout()
        if at is not None and at <= now:
            self._told = True
            self._events.append(MediaLost(self._heard is not None, now - self._last()))

    def next_timeout(self) -> float | None:
        """Return when it has been too long, as far as is known: ask then, with what has been heard."""
        limit = self.first if self._heard is None else self.later
        if not self._watched or self._told or limit is None:
            return None
        return self._last() + limit

    def next_event(self) -> MediaLost | None:
        """Return what the owner should know."""
        return self._events.popleft() if self._events else None

    def _last(self) -> float:
        return self._since if self._heard is None else max(self._since, self._heard)
