"""Whether a bot that says nothing is still there."""

from __future__ import annotations

from enum import Enum


class Beat(Enum):
    """What is to be done."""

    NOTHING = "nothing"
    PING = "ping"
    DEAD = "dead"  # no answer: `ErrorCode.PING_TIMEOUT`


class HeartBeat:
    """Pings a bot of which nothing has come for `interval` seconds, and gives it as long again to answer.

    Anything that comes is a sign of life: a bot that talks is not asked. What we send is none: it may go nowhere.
    """

    def __init__(self, interval: float, *, now: float) -> None:
        """Begin at `now`, when the connection was opened; an `interval` of 0 is none."""
        self._interval = interval
        self._heard_at = now
        self._asked_at: float | None = None

    def next_timeout(self) -> float | None:
        """Return when to `check` again; None if there is no heart-beat."""
        since = self._heard_at if self._asked_at is None else self._asked_at
        return since + self._interval if self._interval else None

    def check(self, heard_at: float, *, now: float) -> Beat:
        """Return what is to be done; `heard_at` is when something last came from the bot, or 0."""
        self._heard_at = max(self._heard_at, heard_at)
        if self._asked_at is not None and self._heard_at >= self._asked_at:
            self._asked_at = None
        due = self.next_timeout()
        if due is None or now < due:
            return Beat.NOTHING
        if self._asked_at is not None:
            return Beat.DEAD
        self._asked_at = now
        return Beat.PING
