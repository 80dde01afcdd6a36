"""The two voices of a call that come over two legs, brought to one grid: side by side, to the sample."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtp.pcm import FRAME_MS, Pcm, frame_samples

LEAST_DELAY = 0.030
"""Seconds: a frame, since its first sample is as old as that when it comes, and a little for uneven arrival."""

MARGIN = 0.005
"""Seconds beyond what arrival has been uneven by."""

SLACK = 0.010
"""Seconds more than needed that both voices may be held back, before they are held back less."""

TOLERANCE = 0.001
"""Seconds by which a voice may be off its place before it is moved."""

BLOCKS, BLOCK_FRAMES = 4, 50
"""What is remembered of arrival: four times a second."""

GONE_FRAMES = 10
"""Reads in a row that found too little, after which a voice begins anew."""

_STRETCH = 40  # a frame of so many samples becomes one shorter or longer, at the most, when a voice is moved
_FRAME = FRAME_MS / 1000


@dataclass(slots=True)
class _Voice:
    """What has come of one voice, and when."""

    samples: Pcm  # the newest: sample n is at n modulo the length
    begin: int = 0  # number of the first sample since the voice began
    written: int = 0  # number of the next sample to come
    position: int = 0  # number of the next sample to give
    has_begun: bool = False
    plays: bool = False  # has been read since it began
    missed: int = 0  # reads in a row that found too little
    frames: int = 0  # since it began
    earliest: list[float] = field(default_factory=list)  # of each block, the newest last
    latest: list[float] = field(default_factory=list)

    @property
    def spread(self) -> float:
        """By how many seconds arrival has been uneven."""
        return max(self.latest) - min(self.earliest) if self.has_begun else 0.0

    def note_arrival(self, since: float) -> None:
        """Take note of when sample 0 would have come, if this frame had come in time."""
        if self.frames % BLOCK_FRAMES == 0:
            self.earliest = [*self.earliest[1 - BLOCKS :], since]
            self.latest = [*self.latest[1 - BLOCKS :], since]
        self.earliest[-1] = min(self.earliest[-1], since)
        self.latest[-1] = max(self.latest[-1], since)
        self.frames += 1


class VoicePair:
    """Gives a frame of both voices at each turn of a grid: what came at the same time is given together.

    Nothing but its arrival tells when a sample was spoken. Of each voice the time of sample 0 is taken from the soonest
    arrivals of the last seconds, so neither jitter nor loss moves it, and the clock of its sender is followed. Both
    are given later than that by the same `delay`, which is what the more uneven one needs. A voice that is off its
    place is moved by making frames a little longer or shorter, so nothing is cut out; what has not come in time is
    silence.
    """

    def __init__(self, rate: int, *, most_delay: float) -> None:
        """Voices are sampled at `rate` Hz; `most_delay` is in seconds."""
        self.missed_frames = 0  # turns at which a voice that plays was not there
        self.jumps = 0  # times that a voice was too far off to be moved bit by bit
        self._rate = rate
        self._most_delay = most_delay
        self.delay = LEAST_DELAY  # seconds by which both voices are held back
        self._size = frame_samples(rate)
        capacity = (2 + 2 * int(most_delay / _FRAME)) * self._size
        self._voices = [_Voice(np.zeros(capacity, np.int16)) for _ in range(2)]

    def write(self, which: int, frame: Pcm, *, now: float) -> None:
        """Take the next frame int16[samples] of a voice, 0 or 1."""
        voice = self._voices[which]
        if not voice.has_begun:
            voice.has_begun, voice.begin, voice.frames = True, voice.written, 0
            voice.earliest, voice.latest = [], []
        at = voice.written % len(voice.samples)
        voice.samples[at : at + self._size] = frame
        voice.written += self._size
        voice.note_arrival(now - voice.written / self._rate)

    def read(self, *, now: float) -> Pcm:
        """Return a frame of each voice, int16[2, samples]; `now` is 20 ms later each time."""
        self._hold_back()
        until = now - self.delay
        frames: Pcm = np.empty((2, self._size), np.int16)
        for channel, voice in enumerate(self._voices):
            frames[channel] = self._read(voice, until)
        return frames

    def clear(self, which: int) -> None:
        """The voice is over; another may begin."""
        self._voices[which].has_begun = self._voices[which].plays = False

    def _hold_back(self) -> None:
        """Wait for both voices as long as the more uneven one needs."""
        needed = _FRAME + MARGIN + max(voice.spread for voice in self._voices)
        needed = max(LEAST_DELAY, min(needed, self._most_delay))
        if not needed <= self.delay <= needed + SLACK:
            self.delay = needed

    def _read(self, voice: _Voice, until: float) -> Pcm:
        if not voice.has_begun:
            return np.zeros(self._size, np.int16)
        target = round((until - min(voice.earliest)) * self._rate)
        off = target - (voice.position + self._size)
        if not voice.plays:
            frame = self._start(voice, target)
        elif abs(off) > self._most_delay * self._rate:
            frame = self._jump(voice, target)
        elif abs(off) <= TOLERANCE * self._rate:
            frame = self._take(voice, self._size)
        else:
            most = self._size // _STRETCH
            frame = self._stretch(voice, max(-most, min(off, most)))
        self._note_missed(voice)
        return frame

    def _start(self, voice: _Voice, target: int) -> Pcm:
        voice.position = target - self._size
        voice.plays, voice.missed = True, 0
        return self._take(voice, self._size)

    def _jump(self, voice: _Voice, target: int) -> Pcm:
        self.jumps += 1
        former = self._take(voice, self._size)
        voice.position = target - self._size
        return _faded(former, self._take(voice, self._size))

    def _stretch(self, voice: _Voice, longer: int) -> Pcm:
        """Give so many samples more than a frame as a frame, or fewer."""
        taken = self._take(voice, self._size + longer + 1)
        voice.position -= 1  # the last is where this frame leads to
        places = np.arange(self._size) * ((self._size + longer) / self._size)
        stretched: Pcm = np.rint(np.interp(places, np.arange(len(taken)), taken)).astype(np.int16)
        return stretched

    def _take(self, voice: _Voice, samples: int) -> Pcm:
        """Give the samples from the voice's position on; what is not there is silence."""
        first, capacity = voice.position, len(voice.samples)
        voice.position += samples
        oldest = max(voice.begin, voice.written - capacity)
        at = first % capacity
        if oldest <= first and voice.position <= voice.written and at + samples <= capacity:
            return voice.samples[at : at + samples]
        numbers = np.arange(first, voice.position)
        there = (numbers >= oldest) & (numbers < voice.written)
        taken: Pcm = np.where(there, voice.samples[numbers % capacity], np.int16(0))
        return taken

    def _note_missed(self, voice: _Voice) -> None:
        """A voice of which nothing comes begins anew when it does."""
        is_missed = voice.position > voice.written
        self.missed_frames += is_missed
        voice.missed = voice.missed + 1 if is_missed else 0
        if voice.missed == GONE_FRAMES:
            voice.has_begun = voice.plays = False


def _faded(first: Pcm, second: Pcm) -> Pcm:
    weight = np.linspace(0.0, 1.0, len(first))
    return np.rint((1 - weight) * first + weight * second).astype(np.int16)
