"""How long RTP may have waited to be read; what has waited for too long is not worth working off."""

from __future__ import annotations

from rtp import FRAME_MS

_PACKETS_A_SECOND = 1000 / FRAME_MS  # of a call

STALE_AFTER = 0.2
"""Seconds. Audio that is later than that is no conversation, and working it off makes what follows late as well."""


class Backlog:
    """Knows when the socket had nothing that was left unread, and so how old what is read can be. Sans-IO.

    Nobody is late on purpose: it takes a stall, or more calls than the machine can carry. To leave out what is old is
    the quickest way back, and the only one while there is more to do than can be done.
    """

    def __init__(self, *, most: int) -> None:
        """One read brings at `most` so many datagrams; if it brings so many, there may be more."""
        self._most = most
        self._behind = False
        self._turned = 0.0  # seconds: when the event loop came round last
        self._nothing_before = 0.0  # seconds: what came before that has been read

    def begin(self, *, now: float) -> None:
        """Nothing waits."""
        self._behind = False
        self._turned = self._nothing_before = now

    def turn(self, *, now: float) -> None:
        """The event loop has come round, as it does many times a second: whatever was ready has been read from."""
        if not self._behind:
            self._nothing_before = max(self._nothing_before, self._turned)
        self._turned = now

    def is_stale(self, count: int, *, calls: int, now: float) -> bool:
        """Take note of a read; return whether what it has brought may have waited too long.

        While there is more, time goes on in the backlog by what so many `calls` say in so many packets.
        """
        stale = self._nothing_before + STALE_AFTER < now
        self._behind = count == self._most
        said = count / _PACKETS_A_SECOND / max(calls, 1)
        self._nothing_before = min(now, self._nothing_before + said) if self._behind else now
        return stale
