"""The digits that callers dial, as telephone events or as tones."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rtp import CLOCK_RATE, Digit, DtmfCounters, DtmfReceiver, Frames, MediaPlane, Resampler, ToneDetector

_WIDE_RATES = (16000, 48000)


class ToneRows:
    """Looks for digits in the audio of those calls that send no telephone events, at any sample rate."""

    def __init__(self, rows: int) -> None:
        self._detector = ToneDetector(rows)
        self._resamplers = {rate: Resampler(rate, CLOCK_RATE, rows=rows) for rate in _WIDE_RATES}
        self._watched = set[int]()
        self._digits = deque[tuple[int, Digit]]()

    def watch(self, row: int, wanted: bool) -> None:
        """Look, or look no more, for digits in `row`."""
        self._watched.discard(row)
        if wanted:
            self._watched.add(row)
            self._detector.reset(row)
            for resampler in self._resamplers.values():
                resampler.reset(row)

    def process(self, frames: Frames) -> None:
        """Take a frame of each row."""
        if not self._watched:
            return
        rows, pcm = frames.rows, frames.pcm
        chosen = [at for at, row in enumerate(rows.tolist()) if row in self._watched]
        if not chosen:
            return
        rows, pcm = rows[chosen], pcm[chosen]
        rate = pcm.shape[1] * 50
        if rate != CLOCK_RATE:
            pcm = self._resamplers[rate].process(rows, pcm)
        self._digits.extend(self._detector.process(rows, pcm))

    def take_digits(self) -> list[tuple[int, Digit]]:
        """Return the digits that have ended, and in which rows."""
        digits = [(row, digit) for row, digit in self._digits if row in self._watched]
        self._digits.clear()
        return digits


@dataclass(slots=True)
class EventRows:
    """Makes digits of the telephone events that a `MediaPlane` receives."""

    plane: MediaPlane
    counters: DtmfCounters = field(default_factory=DtmfCounters)  # of all calls
    _receivers: dict[int, DtmfReceiver] = field(default_factory=dict)
    _pressed: set[int] = field(default_factory=set)  # rows with a digit that is not over yet

    def change(self, row: int) -> None:
        """Take note that `row` is another call, or may count its time otherwise."""
        receiver = self._receivers.get(row)
        if receiver is not None and receiver.clock_rate != self.plane.codec(row).clock_rate:
            self.close(row)

    def close(self, row: int) -> None:
        """Forget the call."""
        self._receivers.pop(row, None)
        self._pressed.discard(row)

    def take_digits(self, *, now: float) -> list[tuple[int, Digit]]:
        """Return the digits that have ended, and in which rows."""
        rows = self.plane.rows_with_events()
        for row in rows:
            receiver = self._receivers.get(row)
            if receiver is None:
                receiver = self._receivers[row] = DtmfReceiver(self.plane.codec(row).clock_rate, self.counters)
            for event in self.plane.take_telephone_events(row):
                receiver.receive(event.payload, event.timestamp, now=now)
        digits = []
        for row in sorted(self._pressed | set(rows)):
            receiver = self._receivers[row]
            receiver.handle_timeout(now=now)
            while (digit := receiver.next_event()) is not None:
                digits.append((row, digit))
            self._pressed.discard(row)
            if receiver.next_timeout() is not None:
                self._pressed.add(row)
        return digits
