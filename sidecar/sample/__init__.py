"""The melody that the demo plays; bench/make_sample.py makes it."""

from __future__ import annotations

import wave
from importlib.resources import files

import numpy as np

from rtp import CLOCK_RATE, Pcm

__all__ = ["load_melody"]


def load_melody() -> Pcm:
    """Return the melody, about 8 s: int16[n], 8 kHz, mono."""
    with files(__name__).joinpath("melody.wav").open("rb") as file, wave.open(file) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (CLOCK_RATE, 1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").astype(np.int16)
