#!/usr/bin/env python3
"""Makes the melody that the demo plays, sidecar/sample/melody.wav, the same bit for bit on every machine.

The tune is this project's own, under its licence (MIT). It is plucked: a burst of noise runs round a delay line as long
as one period and loses its highs on the way (K. Karplus and A. Strong, "Digital Synthesis of Plucked-String and Drum
Timbres", 1983). Only additions and products of floats in a fixed order, so nothing depends on a maths library.

    python -m bench.make_sample [PATH]
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from rtp import Pcm, Resampler, frame_samples

SAMPLE = Path(__file__).resolve().parent.parent / "sidecar" / "sample" / "melody.wav"
RATE = 8000  # Hz
SECONDS = 8.0
PEAK = 0.6  # of full scale, which is -4.4 dBFS; the whole is about -21 dBFS, as loud as a voice in a call

_WORK_RATE = 32000  # Hz: here a period is long enough to be in tune
_FADE_OUT = 0.040  # seconds
_SECONDS_A_BEAT = 0.25

_HERTZ = {
    name: hertz
    for octave, factor in ((2, 0.5), (3, 1.0), (4, 2.0), (5, 4.0))
    for name, hertz in (
        (f"D{octave}", 146.832 * factor),
        (f"E{octave}", 164.814 * factor),
        (f"F#{octave}", 184.997 * factor),
        (f"G{octave}", 195.998 * factor),
        (f"A{octave}", 220.000 * factor),
        (f"B{octave}", 246.942 * factor),
        (f"C#{octave + 1}", 277.183 * factor),
    )
}

# One line a bar of eight beats; a dot lets the string ring.
_TREBLE = """
    F#4 A4 D5 A4 F#5 E5 D5 A4
    B4 D5 F#4 B4 E5 D5 C#5 B4
    G4 B4 D5 G4 A4 C#5 E5 C#5
    D5 A4 F#4 A4 D5 . F#5 .
"""
_BASS = """
    D3 . A3 . F#3 . A3 .
    B2 . F#3 . D4 . F#3 .
    G2 . D3 . A2 . E3 .
    D3 . A3 . D3 A3 D4 .
"""


def pluck(hertz: float, *, seconds: float, random: Random) -> NDArray[np.float64]:
    """Pluck a string of `hertz`: float64[seconds * 32000]."""
    delay = _WORK_RATE / hertz - 0.5  # the mean of two neighbours is half a sample late
    period = int(delay)
    late = delay - period
    taps = (0.5 * (1 - late), 0.5, 0.5 * late)
    line = np.array([random.uniform(-1.0, 1.0) for _ in range(period + 2)])
    for _ in range(4):  # a soft finger
        line = 0.5 * (line + np.roll(line, 1))
    line -= line.sum() / len(line)
    rings = 0.5 ** (1 / (0.35 * _WORK_RATE / (period + 0.5)))  # half as loud every 0.35 s
    rounds = [line]
    for _ in range(int(seconds * _WORK_RATE / period) + 1):
        before = rounds[-1][-period - 2 :]
        after = rings * (taps[0] * before[2:] + taps[1] * before[1:-1] + taps[2] * before[:-2])
        rounds.append(np.concatenate([before[-2:], after]))
    string = np.concatenate([line, *(each[2:] for each in rounds[1:])])
    return string[: round(seconds * _WORK_RATE)]


def melody() -> Pcm:
    """Play the tune: int16[64000] at 8 kHz."""
    random = Random(1983)
    total = round(SECONDS * _WORK_RATE)
    sound = np.zeros(total)
    for part, loudness in ((_TREBLE, 1.0), (_BASS, 0.8)):
        for beat, name in enumerate(part.split()):
            if name == ".":
                continue
            start = round(beat * _SECONDS_A_BEAT * _WORK_RATE)
            string = pluck(_HERTZ[name], seconds=min(2.0, SECONDS - beat * _SECONDS_A_BEAT), random=random)
            sound[start : start + len(string)] += loudness * string
    fade = round(_FADE_OUT * _WORK_RATE)
    sound[-fade:] *= np.arange(fade, 0, -1) / fade
    sound *= 0.5 * 32767 / np.abs(sound).max()
    pcm = _to_telephone_rate(np.rint(sound).astype(np.int16))
    scaled: Pcm = np.rint(pcm * (PEAK * 32767 / np.abs(pcm).max())).astype(np.int16)
    return scaled


def _to_telephone_rate(pcm: Pcm) -> Pcm:
    resampler, row = Resampler(_WORK_RATE, RATE, rows=1), np.zeros(1, np.int64)
    frames = pcm.reshape(-1, 1, frame_samples(_WORK_RATE))
    return np.concatenate([resampler.process(row, frame)[0] for frame in frames])


def main() -> None:
    """Write the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(melody().astype("<i2").tobytes())


if __name__ == "__main__":
    main()
