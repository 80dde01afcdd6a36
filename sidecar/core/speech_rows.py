"""What callers do with their voices: speak, interrupt, and wait for an answer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp import FRAME_MS, QUIETEST, START_FRAMES, Frames, Rows, VoiceDetector, voice_power
from sidecar.core.barge_ins import BargeIns
from sidecar.core.options import BargeIn, EventKind, MixMode, StreamOptions
from sidecar.core.response_times import ResponseTimes
from sidecar.core.speech_events import BargedIn, BotAnswered, SpeechEvent, SpeechStarted, SpeechStopped


class SpeechTotals(NamedTuple):
    """What there was of it in a call; times are in ms, None where there was none."""

    barge_ins: int = 0
    responses: int = 0
    last_ms: int | None = None
    mean_ms: int | None = None
    max_ms: int | None = None


class SpeechRows:
    """Hears the callers of those calls that want it, and what these callers hear. Sans-IO.

    While no call wants it, `is_used` is False, and there is nothing to be told.
    """

    def __init__(self, rows: int) -> None:
        self.is_used = False
        self._detector = VoiceDetector(rows)
        self._barge_ins = BargeIns(rows)
        self._responses = ResponseTimes(rows)
        self._watched = np.zeros(rows, np.bool_)
        self._held = np.zeros(rows, np.bool_)  # the caller does not listen any more: what comes is music
        self._listens = np.zeros(rows, np.bool_)  # or has listened
        self._paired = np.zeros(rows, np.bool_)  # the bot hears what is played too: that is its time
        self._heard = np.zeros(rows, np.int64)  # frames
        self._played = np.zeros(rows, np.int64)
        self._voiced_until = np.zeros(rows, np.int64)
        self._news: list[tuple[int, SpeechEvent]] = []

    # --- calls come and go

    def open(self, row: int, options: StreamOptions) -> None:
        """Begin a call in `row`; it is listened to if somebody wants to know."""
        self._watched[row] = options.barge_in is not BargeIn.OFF or EventKind.VAD in options.events
        self.is_used = bool(self._watched.any())
        self._held[row] = self._listens[row] = False
        self._paired[row] = options.mix is not MixMode.MONO
        self._heard[row] = self._played[row] = self._voiced_until[row] = 0
        self._detector.reset(row)
        self._barge_ins.open(row, options.barge_in)
        self._responses.open(row)

    def start(self, row: int, *, listens: bool) -> None:
        """The caller has media; one that has listened and does so no more is on hold, and that is silence."""
        held = bool(self._listens[row]) and not listens
        if held and self._watched[row]:
            if self._detector.speaks(row):
                self._stopped(row)
            self._responses.forget(row)
            self._detector.reset(row)
        self._held[row] = held
        self._listens[row] |= listens

    def close(self, row: int) -> None:
        """End the call in `row`."""
        self._watched[row] = False
        self.is_used = bool(self._watched.any())
        self._news = [news for news in self._news if news[0] != row]

    # --- what is heard and played

    def process(self, frames: Frames, *, now: float) -> None:
        """Take a frame of each of some callers."""
        rows, pcm = frames
        self._heard[rows] += 1
        wanted = self._watched[rows] & ~self._held[rows]
        if not wanted.all():
            rows, pcm = rows[wanted], pcm[wanted]
            if not len(rows):
                return
        voices = self._detector.process(rows, pcm)
        if voices.voiced.any():
            voiced = rows[voices.voiced]
            self._voiced_until[voiced] = self._position(voiced)
            self._responses.voiced(voiced, now=now)
        for row in voices.started.tolist():
            began = max(0, int(self._position(row)) - START_FRAMES)
            self._news.append((row, SpeechStarted(FRAME_MS * began)))
        for row in self._barge_ins.process(rows, voices).tolist():
            at_ms = FRAME_MS * int(self._position(row))
            self._news.append((row, BargedIn(at_ms, self._barge_ins.action(row))))
        for row in voices.stopped.tolist():
            self._stopped(row)

    def played(self, frames: Frames, plays: NDArray[np.bool_], *, now: float) -> Frames:
        """Take the next frame to play of each of some rows, and where it is of the bot; return what is to be heard."""
        self._played[frames.rows] += 1
        watched = self._watched[frames.rows]
        if not watched.any():
            return frames
        rows, plays = frames.rows[watched], plays[watched]
        pcm = frames.pcm[watched]
        lowered = self._barge_ins.ducked(rows, pcm)
        power = voice_power(lowered)
        self._barge_ins.played(rows, plays, power)
        sounds = plays & (power > QUIETEST)
        if sounds.any():
            self._sounded(rows[sounds], now=now)
        if lowered is pcm:
            return frames
        pcm = frames.pcm.copy()
        pcm[watched] = lowered
        return Frames(frames.rows, pcm)

    def cleared(self, row: int) -> None:
        """Take note that what was played, or was to be, is over."""
        self._responses.cleared(row)

    # --- what is asked

    def take_news(self) -> list[tuple[int, SpeechEvent]]:
        """Return what has happened, and in which rows."""
        news, self._news = self._news, []
        return news

    def totals(self, row: int) -> SpeechTotals:
        """Return what there was in the call in `row`."""
        barge_ins, responses = int(self._barge_ins.total[row]), self._responses
        if not responses.count[row]:
            return SpeechTotals(barge_ins)
        mean = responses.total[row] / responses.count[row]
        return SpeechTotals(
            barge_ins, int(responses.count[row]), _ms(responses.last[row]), _ms(mean), _ms(responses.longest[row])
        )

    # --- how it works

    def _position(self, rows: Rows) -> NDArray[np.int64]:
        """Return how many frames the bots of these rows have been given, the last of the caller's being one."""
        return np.where(self._paired[rows], self._played[rows], self._heard[rows])

    def _stopped(self, row: int) -> None:
        at_ms = FRAME_MS * int(self._voiced_until[row])
        self._news.append((row, SpeechStopped(at_ms)))
        self._barge_ins.speech_over(row)
        seconds = self._responses.speech_over(row)
        if seconds is not None:
            self._news.append((row, BotAnswered(at_ms, _ms(seconds))))

    def _sounded(self, rows: Rows, *, now: float) -> None:
        speaks = self._detector.speaking(rows)
        for row, seconds in self._responses.sounded(rows, speaks, now=now):
            self._news.append((row, BotAnswered(FRAME_MS * int(self._voiced_until[row]), _ms(seconds))))


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
