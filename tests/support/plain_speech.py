"""What `SpeechRows` does, written plainly for one call."""

from __future__ import annotations

import numpy as np

from rtp import Pcm, VoiceDetector, voice_power
from sidecar.core.options import BargeIn
from sidecar.core.speech_events import BargedIn, BotAnswered, SpeechEvent, SpeechStarted, SpeechStopped

ROW = np.array([0])
QUIETEST = 10 ** (-50 / 10) * 32768**2 / 2


class PlainSpeech:
    """One call that is listened to, on its way through mono."""

    def __init__(self, barge_in: BargeIn) -> None:
        self.news: list[SpeechEvent] = []
        self._barge_in = barge_in
        self._detector = VoiceDetector(1)
        self._frames = self._until = 0
        self._plays = False
        self._powers: list[float] = []  # of what was played, since the time before the present one of half a second
        self._over = 0
        self._done = False
        self._lowered = self._was_lowered = False
        self._ended_at: float | None = None
        self._answered_at: float | None = None
        self._sounded_at: float | None = None
        self._talks_on = False

    def process(self, frame: Pcm, *, now: float) -> None:
        """Take a frame of the caller."""
        self._frames += 1
        voices = self._detector.process(ROW, frame[None])
        voiced, power = bool(voices.voiced[0]), float(voices.power[0])
        if voiced:
            self._until, self._ended_at = self._frames, now
            self._answered_at, self._talks_on = None, False
        if len(voices.started):
            self.news.append(SpeechStarted((self._frames - 3) * 20))
        meant = voiced and self._plays and power > max(self._powers, default=0.0) / 100
        self._over = self._over + 1 if meant else max(0, self._over - 1)
        if self._over >= 4 and self._barge_in is not BargeIn.OFF and not self._done:
            self._done = True
            self._lowered = self._barge_in is BargeIn.DUCK
            self.news.append(BargedIn(self._frames * 20, "duck" if self._lowered else "clear"))
        if len(voices.stopped):
            self.news.append(SpeechStopped(self._until * 20))
            self._over, self._done, self._lowered = 0, False, False
            if self._answered_at is not None:
                self._answer(self._answered_at)
            else:
                self._talks_on = self._sounded_at is not None and self._sounded_at > (self._ended_at or 0.0)

    def played(self, frame: Pcm, plays: bool, *, now: float) -> Pcm:
        """Take a frame for the caller; return what it hears."""
        before, after = (10 ** (-18 / 20) if low else 1.0 for low in (self._was_lowered, self._lowered))
        self._was_lowered = self._lowered
        if min(before, after) < 1.0:
            ramp = len(frame) // 4
            gains = [after + (before - after) * max(0.0, 1 - (at + 1) / ramp) for at in range(len(frame))]
            frame = np.array([round(int(sample) * gain) for sample, gain in zip(frame, gains, strict=True)], np.int16)
        power = float(voice_power(frame[None])[0])
        self._plays = plays
        self._powers.append(power if plays else 0.0)
        if len(self._powers) == 50:
            del self._powers[:25]
        if plays and power > QUIETEST:
            is_new = self._sounded_at is None or now - self._sounded_at > 0.5
            self._sounded_at = now
            if is_new and self._ended_at is not None:
                if self._detector.speaks(0):
                    self._answered_at = now
                elif self._talks_on:
                    self._ended_at, self._talks_on = None, False
                else:
                    self._answer(now)
        return frame

    def cleared(self) -> None:
        self._sounded_at, self._talks_on = None, False

    def _answer(self, at: float) -> None:
        assert self._ended_at is not None
        self.news.append(BotAnswered(self._until * 20, round((at - self._ended_at) * 1000)))
        self._ended_at = self._answered_at = None
        self._talks_on = False
