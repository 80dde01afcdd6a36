"""The digits that a caller dials, out of telephone-event packets: each once, though packets are repeated and lost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rtp.errors import RtpError
from rtp.event_payload import DIGITS, LONGEST_EVENT, EventPayload
from rtp.sequence import timestamp_delta

END_WAIT = 0.200
"""Seconds without a packet after which an event is over although its end was not heard: updates come every 50 ms."""

FARTHEST_BACK = 5.0
"""Seconds that a packet may come too late; beyond it the sender has begun a new count of time."""

_REMEMBERED = 32  # events that are over, whose packets may still be repeated
_MOST_DIGITS = 100  # that wait to be taken


@dataclass(frozen=True, slots=True)
class Digit:
    """One key, pressed once."""

    digit: str  # one of `DIGITS`
    duration_ms: int  # as far as it was heard


@dataclass(slots=True)
class DtmfCounters:
    """What happened to telephone-event packets."""

    digits: int = 0
    ends_inferred: int = 0  # digits whose end was not heard
    ignored: int = 0  # packets that are malformed, or of events that are no digits
    dropped: int = 0  # digits that nobody took


@dataclass(slots=True)
class _Press:
    """An event that goes on."""

    event: int
    timestamp: int  # of its segment
    earlier: int  # timestamp units of segments before
    duration: int
    heard: float  # when the last packet came

    @property
    def key(self) -> tuple[int, int]:
        return self.event, self.timestamp


@dataclass(slots=True)
class DtmfReceiver:
    """Takes the telephone-event packets of one call; gives digits as they end. See RFC 4733, section 2.5.2.

    An event is over when a packet says so, when a later one begins, or when nothing came for `END_WAIT`. Whatever is
    heard of it after that is a repetition. Events of more than 65535 timestamp units come in segments: one digit.
    """

    clock_rate: int = 8000
    counters: DtmfCounters = field(default_factory=DtmfCounters)  # it may be that of many calls
    _press: _Press | None = None
    _newest: int | None = None  # timestamp of the newest event
    _over: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _digits: deque[Digit] = field(default_factory=deque)

    def receive(self, payload: bytes, timestamp: int, *, now: float) -> None:
        """Take the payload and the timestamp of a telephone-event packet; `now` in seconds."""
        try:
            heard = EventPayload.parse(payload)
        except RtpError:
            self.counters.ignored += 1
            return
        if heard.event >= len(DIGITS):
            self.counters.ignored += 1
            return
        key = heard.event, timestamp
        if self._press is None or self._press.key != key:
            if key in self._over or self._comes_late(timestamp, heard):
                return
            self._press = self._begin(heard.event, timestamp, now=now)
        self._press.duration = max(self._press.duration, heard.duration)
        self._press.heard = now
        if heard.end:
            self._finish(self._press)

    def handle_timeout(self, *, now: float) -> None:
        """End the event of which nothing was heard for too long."""
        at = self.next_timeout()
        if at is not None and at <= now:
            self._infer_end()

    def next_timeout(self) -> float | None:
        """Return when the event that goes on is over if nothing more comes."""
        return None if self._press is None else self._press.heard + END_WAIT

    def next_event(self) -> Digit | None:
        """Return the next digit, oldest first; None if there is none."""
        return self._digits.popleft() if self._digits else None

    def _begin(self, event: int, timestamp: int, *, now: float) -> _Press:
        """Begin an event, or the next segment of the one that goes on (RFC 4733, section 2.5.1.3)."""
        before = self._press
        ahead = 0 if before is None else timestamp_delta(timestamp, before.timestamp)
        self._newest = timestamp
        if before is not None and before.event == event and ahead == LONGEST_EVENT:
            self._over.append(before.key)
            return _Press(event, timestamp, before.earlier + LONGEST_EVENT, 0, now)
        self._infer_end()
        return _Press(event, timestamp, 0, 0, now)

    def _comes_late(self, timestamp: int, heard: EventPayload) -> bool:
        """Count an event of which every packet before was lost or overtaken: a later one has begun, so it is over."""
        if self._newest is None:
            return False
        ahead = timestamp_delta(timestamp, self._newest)
        if ahead >= 0 or -ahead > FARTHEST_BACK * self.clock_rate:
            return False
        self.counters.ends_inferred += not heard.end
        self._over.append((heard.event, timestamp))
        self._give(heard.event, heard.duration)
        return True

    def _infer_end(self) -> None:
        if self._press is not None:
            self.counters.ends_inferred += 1
            self._finish(self._press)

    def _finish(self, press: _Press) -> None:
        self._press = None
        self._over.append(press.key)
        self._give(press.event, press.earlier + press.duration)

    def _give(self, event: int, duration: int) -> None:
        self.counters.digits += 1
        if len(self._digits) == _MOST_DIGITS:
            self.counters.dropped += 1
            return
        self._digits.append(Digit(DIGITS[event], duration * 1000 // self.clock_rate))
