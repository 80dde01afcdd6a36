from __future__ import annotations

from random import Random

import numpy as np

from bench.make_sample import melody, pluck
from sidecar.sample import load_melody
from tests.support.tones import find_tone


def test_the_melody_is_made_again_bit_for_bit() -> None:
    np.testing.assert_array_equal(melody(), load_melody())


def test_a_string_is_in_tune() -> None:
    for hertz in (97.999, 220.0, 440.0, 739.989):
        sound = pluck(hertz, seconds=1.0, random=Random(1))
        pcm = (sound / np.abs(sound).max() * 20000).astype(np.int16)
        found = find_tone(pcm, 32000).frequency_hz
        overtone = max(1, round(found / hertz))
        cents = 1200 * np.log2(found / overtone / hertz)
        assert abs(cents) < 8, f"{hertz} Hz is {cents:+.1f} cents off"
