"""What follows when a connection to a bot ends: the same bot again, its fallback, or nothing."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from sidecar.core.backoff import Backoff
from sidecar.core.bot_connection import Closed, Failed
from sidecar.core.bot_loss import LossAction
from sidecar.core.options import MixMode, StreamOptions, fallback_options
from sidecar.core.reconnect import is_loss, may_reconnect


class BotLife:
    """The bots of one stream, one after the other: that of its URL, then that of ON_BOT_LOST, if there is one.

    A bot is tried again only after it has been reached: one that never was is for the caller's side to know of, soon.
    """

    def __init__(self, options: StreamOptions, random: Random) -> None:
        self.options = options  # of the bot that is called now
        self.was_reached = False  # whether any bot was
        self.retry_at: float | None = None  # when to connect next
        self.is_over = False  # there will be no bot any more
        self._random = random
        self._is_reached = False  # this bot was
        self._fallback_tried = False
        self._backoff = self._new_backoff()

    def reform(self, mix: MixMode, rate: int, buffer_size: int) -> None:
        """Let whatever bot there is hear another format."""
        options = self.options
        self.options = replace(options, mix=mix, rate=rate, buffer_size=buffer_size, sample_rate=options.playback_rate)

    def redirect(self, options: StreamOptions) -> None:
        """Another bot is called, at once: one that is worth trying again, though nobody has reached it before."""
        self.options, self.retry_at = options, None
        self._is_reached, self._fallback_tried = True, False
        self._backoff = self._new_backoff()

    def connected(self, *, now: float) -> None:
        """The handshake is done."""
        self.was_reached = self._is_reached = True
        self._backoff.connected(now=now)

    def ended(self, end: Closed | Failed, *, now: float) -> bool:
        """The connection, or the attempt to have one, is over: return whether there will be another, at `retry_at`."""
        self.retry_at = None
        if self._is_reached and may_reconnect(end) and not self.options.no_reconnect:
            self.retry_at = self._backoff.lost(now=now)
        if self.retry_at is None and self._falls_back_after(end):
            self.options = fallback_options(self.options)
            self._fallback_tried, self._is_reached = True, False
            self._backoff = self._new_backoff()
            self.retry_at = now
        self.is_over = self.retry_at is None
        return not self.is_over

    def is_due(self, *, now: float) -> bool:
        """Whether to connect now; true once for each attempt."""
        if self.retry_at is None or now < self.retry_at:
            return False
        self.retry_at = None
        return True

    def seconds_left(self, *, now: float) -> float:
        """Return how long the attempt that begins now may take."""
        return self._backoff.left(now=now)

    def _falls_back_after(self, end: Closed | Failed) -> bool:
        is_refused = isinstance(end, Failed) and end.forbidden and not self.was_reached
        action = self.options.on_bot_lost.after(fallback_tried=self._fallback_tried)
        return action is LossAction.FALLBACK and is_loss(end) and not is_refused

    def _new_backoff(self) -> Backoff:
        return Backoff(self._random, give_up_after=self.options.reconnect_max)
