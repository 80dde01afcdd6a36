"""Digits for the caller: telephone-event packets on the grid of the audio that they take the place of."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rtp.event_payload import DIGITS, EventPayload
from rtp.sequence import TIMESTAMP_MODULUS, timestamp_delta

SHORTEST_MS, LONGEST_MS = 25, 8000
"""How long a digit may last: from 20 digits a second to what needs no segments."""

LONGEST_GAP_MS = 60
"""Between two digits is as much time as the digit lasts, and no more than this."""

_ENDS = 3  # copies of the last packet: RFC 4733, section 2.5.1.4
_MOST_DIGITS = 100  # that wait to be sent


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What a telephone-event packet has of its own; sequence number and SSRC are those of the audio."""

    payload: bytes
    timestamp: int
    marker: bool


@dataclass(slots=True)
class _Tone:
    event: int
    duration: int  # timestamp units
    timestamp: int = 0
    begun: bool = False
    ends: int = _ENDS  # copies of the end that are to be sent


@dataclass(slots=True)
class DtmfSender:
    """Sends queued digits, one after the other. See RFC 4733, section 2.5.1.

    Asked once a frame; what it answers goes out in place of the audio of that frame. A packet for each frame updates
    the event, all with the timestamp of its start; the end is sent three times, in frames of their own as far as
    the next digit leaves them.
    """

    clock_rate: int = 8000
    frame: int = 160  # timestamp units
    _tones: deque[_Tone] = field(default_factory=deque)  # the first one may be on its way
    _free_from: int | None = None  # timestamp before which no digit may begin

    @property
    def busy(self) -> bool:
        """Whether a digit is being sent or waits."""
        return bool(self._tones)

    def dial(self, digits: str, *, duration_ms: int = 100) -> bool:
        """Queue digits; return False, and queue none of them, when too many wait. Raise `ValueError` if one is none."""
        for digit in digits:
            if digit not in DIGITS:
                raise ValueError(f"{digit!r} is not a digit; digits are {DIGITS}")
        if len(self._tones) + len(digits) > _MOST_DIGITS:
            return False
        milliseconds = min(max(duration_ms, SHORTEST_MS), LONGEST_MS)
        duration = milliseconds * self.clock_rate // 1000
        self._tones.extend(_Tone(DIGITS.index(digit), duration) for digit in digits)
        return True

    def clear(self) -> None:
        """Drop the digits that have not begun."""
        while self._tones and not self._tones[-1].begun:
            self._tones.pop()

    def packets(self, timestamp: int) -> list[EventPacket]:
        """Return what to send in the frame at `timestamp`, in order: nothing means audio."""
        packets: list[EventPacket] = []
        while self._tones:
            tone = self._tones[0]
            if not tone.begun and not self._begin(tone, timestamp):
                break
            passed = timestamp_delta(timestamp, tone.timestamp) + self.frame
            if passed < tone.duration:
                packets.append(self._packet(tone, EventPayload(tone.event, passed), marker=passed <= self.frame))
                break
            packets += self._ends(tone, until_next=timestamp_delta(self._after(tone), timestamp))
            if tone.ends:
                break
            self._free_from = self._after(tone)
            self._tones.popleft()
        return packets

    def _begin(self, tone: _Tone, timestamp: int) -> bool:
        """Begin the tone within this frame, unless the one before is too near."""
        wait = 0 if self._free_from is None else max(0, timestamp_delta(self._free_from, timestamp))
        if wait >= self.frame:
            return False
        tone.timestamp = (timestamp + wait) % TIMESTAMP_MODULUS
        tone.begun = True
        return True

    def _ends(self, tone: _Tone, *, until_next: int) -> list[EventPacket]:
        """Return one copy of the end, or all that are left if the next digit begins within this frame."""
        crowded = len(self._tones) > 1 and until_next < self.frame
        count = tone.ends if crowded else 1
        tone.ends -= count
        return [self._packet(tone, EventPayload(tone.event, tone.duration, end=True))] * count

    def _after(self, tone: _Tone) -> int:
        """Return the timestamp from which the next digit may begin."""
        gap = min(tone.duration, LONGEST_GAP_MS * self.clock_rate // 1000)
        return (tone.timestamp + tone.duration + gap) % TIMESTAMP_MODULUS

    def _packet(self, tone: _Tone, event: EventPayload, *, marker: bool = False) -> EventPacket:
        return EventPacket(bytes(event), tone.timestamp, marker)
