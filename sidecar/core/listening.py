"""What a caller heard of its own voice: the echo's delay and level, and the silence where none should be.

Levels are in dBFS; a sine that peaks at full scale has 0 dBFS. Audio is int16 at 8 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtp import CLOCK_RATE, FRAME_MS, Pcm, frame_samples
from sidecar.core.talker import Recording

SILENCE_DBFS = -55.0
"""Below it nothing is heard."""

LONGEST_ROUND_TRIP = 2.0
"""Seconds within which an echo is looked for."""

_FRAME = frame_samples(CLOCK_RATE)
_FULL_SCALE = 32767 / np.sqrt(2)
_WINDOW_FRAMES = 10  # 200 ms
_HOP_FRAMES = 5
_MOST_WINDOWS = 500
_CLEAR = 0.8  # correlation at which an echo is believed
_BLOCK = CLOCK_RATE // 200  # 5 ms
_GAP_MS = 15.0  # a frame of silence, less the edges that fall into blocks with sound

_MOST_LOUDER_DB = 3.0
_FEWEST_ECHOES = 0.9
_FEWEST_FRAMES = 0.95


@dataclass(frozen=True, slots=True)
class Echo:
    """One piece of 200 ms, found again in what was heard."""

    at_ms: float  # where it begins in what was sent
    delay_ms: float  # from sending its last packet to hearing the packet that completes it
    gain_db: float


@dataclass(frozen=True, slots=True)
class Span:
    """The middle of a distribution, and where its worst hundredth begins."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of the echo of a call, and what was wrong with it."""

    frames_sent: int
    frames_received: int
    sent_dbfs: float
    heard_dbfs: float
    round_trip_ms: Span | None  # None: no echo was found
    arrival_ms: Span | None  # between one frame and the next
    gaps: int  # silences that were not in what was said
    longest_gap_ms: float
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the whole came back: in time, as loud as it was, without holes."""
        return not self.problems


def level_dbfs(pcm: Pcm) -> float:
    """Return the level of int16[n] in dBFS; -200 for digital silence."""
    if not pcm.any():
        return -200.0
    return float(20 * np.log10(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)) / _FULL_SCALE))


def silences_ms(pcm: Pcm) -> list[float]:
    """Return the lengths in ms of all silences between the first sound and the last, to 5 ms."""
    blocks = pcm[: len(pcm) // _BLOCK * _BLOCK].astype(np.float64).reshape(-1, _BLOCK)
    audible = np.sqrt(np.mean(blocks**2, axis=1)) > _FULL_SCALE * 10 ** (SILENCE_DBFS / 20)
    quiet = np.diff(np.flatnonzero(audible)) - 1
    return [float(blocks) * _BLOCK * 1000 / CLOCK_RATE for blocks in quiet if blocks]


def find_echoes(recording: Recording) -> tuple[list[Echo], int]:
    """Return the pieces that were found again, and how many were looked for: those that are audible.

    Pieces begin every 100 ms (less often in a call of more than 50 s). Each is looked for by cross-correlation in what
    was heard within `LONGEST_ROUND_TRIP` after it was sent.
    """
    last = len(recording.sent_at) - _WINDOW_FRAMES
    hop = max(_HOP_FRAMES, -(-last // _MOST_WINDOWS))
    echoes, looked_for = [], 0
    for first in range(0, last + 1, hop):
        piece = recording.sent[first * _FRAME : (first + _WINDOW_FRAMES) * _FRAME]
        if level_dbfs(piece) < SILENCE_DBFS:
            continue
        looked_for += 1
        echo = _find(recording, first, piece)
        if echo is not None:
            echoes.append(echo)
    return echoes, looked_for


def judge(recording: Recording) -> Heard:
    """Tell what was heard of a call to something that echoes, and whether that is all that was said."""
    echoes, looked_for = find_echoes(recording)
    held_back_ms = max(0.0, float(np.diff(recording.sent_at).max(initial=0.0)) * 1000 - FRAME_MS)  # by ourselves
    allowed_ms = max(silences_ms(recording.sent), default=0.0) + held_back_ms + _GAP_MS
    gaps = [length for length in silences_ms(recording.heard) if length > allowed_ms]
    frames_sent = len(recording.sent_at)
    frames_received = len(recording.heard_at) - recording.packets_lost
    problems = []
    if not looked_for or len(echoes) < _FEWEST_ECHOES * looked_for:
        problems.append(f"of {looked_for} pieces of what was said, {len(echoes)} were heard again")
    gain_db = float(np.median([echo.gain_db for echo in echoes])) if echoes else 0.0
    if abs(gain_db) > _MOST_LOUDER_DB:
        problems.append(f"the level changed by {gain_db:+.1f} dB")
    if gaps:
        problems.append(f"{len(gaps)} silent gaps, the longest of {max(gaps):.0f} ms")
    if frames_received < _FEWEST_FRAMES * frames_sent:
        problems.append(f"{frames_received} frames came back for {frames_sent} that were sent")
    return Heard(
        frames_sent=frames_sent,
        frames_received=frames_received,
        sent_dbfs=level_dbfs(recording.sent),
        heard_dbfs=level_dbfs(recording.heard),
        round_trip_ms=_span(np.array([echo.delay_ms for echo in echoes])),
        arrival_ms=_span(np.diff(recording.heard_at) * 1000),
        gaps=len(gaps),
        longest_gap_ms=max(gaps, default=0.0),
        problems=tuple(problems),
    )


def side_by_side(recording: Recording) -> Pcm:
    """Return stereo int16[n, 2] on one time line: left what was said, right what was heard."""
    if not len(recording.sent_at):
        return np.empty((0, 2), np.int16)
    late = 0
    if len(recording.heard_at):
        late = max(0, round((recording.heard_at[0] - recording.sent_at[0]) * CLOCK_RATE))
    stereo = np.zeros((max(len(recording.sent), late + len(recording.heard)), 2), np.int16)
    stereo[: len(recording.sent), 0] = recording.sent
    stereo[late : late + len(recording.heard), 1] = recording.heard
    return stereo


def _find(recording: Recording, first: int, piece: Pcm) -> Echo | None:
    """Look for a piece that begins with the frame `first`."""
    sent_at = recording.sent_at[first : first + _WINDOW_FRAMES]
    begin = int(np.searchsorted(recording.heard_at, sent_at[0])) * _FRAME
    end = int(np.searchsorted(recording.heard_at, sent_at[-1] + LONGEST_ROUND_TRIP)) * _FRAME
    heard = recording.heard[begin:end]
    if len(heard) < len(piece):
        return None
    correlation = _correlate(heard.astype(np.float64), piece.astype(np.float64))
    at = int(np.argmax(correlation))
    if correlation[at] < _CLEAR:
        return None
    completed_at = recording.heard_at[(begin + at + len(piece) - 1) // _FRAME]
    return Echo(
        at_ms=first * FRAME_MS,
        delay_ms=float(completed_at - sent_at[-1]) * 1000,
        gain_db=level_dbfs(heard[at : at + len(piece)]) - level_dbfs(piece),
    )


def _correlate(heard: NDArray[np.float64], piece: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how like `piece` each stretch of `heard` is, -1..1: float64[len(heard) - len(piece) + 1]."""
    size = 1 << (len(heard) + len(piece) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(piece, size).conj(), size)
    energy = np.concatenate([[0.0], np.cumsum(heard**2)])
    energies = energy[len(piece) :] - energy[: -len(piece)]
    scale = np.sqrt(np.maximum(energies, 1.0) * np.sum(piece**2))
    likeness: NDArray[np.float64] = product[: len(energies)] / scale
    return likeness


def _span(values: NDArray[np.float64]) -> Span | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, [50, 99])
    return Span(float(p50), float(p99))
