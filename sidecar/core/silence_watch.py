"""Silence is never left unexplained: whose caller is not heard, since when, and who is heard instead."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rtp import MediaPlane, MediaTimeout, UnknownSources
from sidecar.core.link import MediaLost, NothingHeard

LOOK_EVERY = 0.5
"""Seconds between two looks at all calls."""

UNHEARD = 2.0
"""Seconds without a packet after which it counts that others come from elsewhere."""

TELL_AGAIN = 60.0
"""Seconds after which it is told again that a call hears nothing."""


@dataclass(frozen=True, slots=True)
class MediaTimeouts:
    """Seconds after which a call without RTP is ended; None: never."""

    first: float | None = 60.0  # of a call that has not had any yet
    later: float | None = 300.0


@dataclass(slots=True)
class _Watched:
    stream: str
    timeout: MediaTimeout
    unknown: UnknownSources
    remedy: str
    host: str
    port: int
    since: float | None = None  # None: the caller need not speak
    told: float | None = None


@dataclass(slots=True)
class SilenceWatch:
    """Looks at the calls of a `MediaPlane` twice a second."""

    plane: MediaPlane
    timeouts: MediaTimeouts
    _watched: dict[int, _Watched] = field(default_factory=dict)
    _next: float = 0.0
    _events: deque[NothingHeard | MediaLost] = field(default_factory=deque)

    def open(self, row: int, stream: str, *, unknown: UnknownSources, remedy: str) -> None:
        """Take up a call; `remedy` says what helps if its RTP comes from one of the `unknown` sources."""
        timeout = MediaTimeout(self.timeouts.first, self.timeouts.later)
        self._watched[row] = _Watched(stream, timeout, unknown, remedy, "", 0)

    def expect(self, row: int, host: str, port: int) -> None:
        """Say where the RTP of the call is to come from."""
        watched = self._watched[row]
        watched.host, watched.port = host, port

    def start(self, row: int, *, receives: bool, now: float) -> None:
        """Watch from now on, or, while the caller need not speak, no more."""
        watched = self._watched[row]
        if not receives:
            watched.since = None
            watched.timeout.hold()
        elif watched.since is None:
            watched.since = now
            watched.timeout.resume(now=now)

    def close(self, row: int) -> None:
        """Watch no more."""
        del self._watched[row]

    def handle_timeout(self, *, now: float) -> None:
        """Look, if it is time."""
        if now < self._next:
            return
        self._next = now + LOOK_EVERY
        for row, watched in self._watched.items():
            if watched.since is not None:
                self._look(row, watched, watched.since, now=now)

    def next_event(self) -> NothingHeard | MediaLost | None:
        """Return the next thing that is to be told."""
        return self._events.popleft() if self._events else None

    def _look(self, row: int, watched: _Watched, since: float, *, now: float) -> None:
        heard = self.plane.heard.last(row)
        silent = self.plane.is_silent(row)
        watched.timeout.handle_timeout(heard=heard, silent=silent, now=now)
        lost = watched.timeout.next_event()
        if lost is not None:
            self._events.append(MediaLost(watched.stream, lost.seconds, lost.ever))
        unheard = not silent and max(since, heard or since) + UNHEARD <= now
        if unheard and (watched.told is None or watched.told + TELL_AGAIN <= now):
            self._explain(watched, now=now)

    def _explain(self, watched: _Watched, *, now: float) -> None:
        actual = watched.unknown.likeliest(watched.host, now=now)
        if actual is not None:
            watched.told = now
            expected, found = f"{watched.host}:{watched.port}", f"{actual[0]}:{actual[1]}"
            self._events.append(NothingHeard(watched.stream, expected, found, watched.remedy))
