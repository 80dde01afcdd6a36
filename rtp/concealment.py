"""What is heard where a packet is missing."""

from __future__ import annotations

import numpy as np

from rtp.pcm import Pcm

FADE_SAMPLES = 480
"""Repeated sound fades to silence within this many samples (60 ms at 8000 Hz): longer repeats sound robotic."""


def conceal(last: Pcm, *, already: int) -> Pcm:
    """Return a stand-in int16[m] for a lost packet: the last one again, fading.

    `already` is how many samples have been concealed just before.
    """
    position = already + np.arange(len(last))
    fade = np.maximum(FADE_SAMPLES - position, 0)
    return (last.astype(np.int64) * fade // FADE_SAMPLES).astype(np.int16)
