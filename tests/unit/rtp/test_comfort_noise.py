"""Noise of the level that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from rtp.comfort_noise import LOUDEST, background_level, noise, noise_level


@pytest.mark.parametrize(("payload", "level"), [(b"\0", 32768.0), (b"\x28", 327.68), (b"\xa8\x05", 327.68), (b"", 0.0)])
def test_the_level_is_in_decibels_below_overload(payload: bytes, level: float) -> None:
    assert noise_level(payload) == pytest.approx(level)


def test_noise_has_its_level_and_goes_on_where_it_was() -> None:
    whole = noise(0, 16000, 200.0)
    assert np.sqrt(np.mean(whole**2)) == pytest.approx(200.0, rel=0.03)
    assert np.array_equal(np.concatenate([noise(0, 333, 200.0), noise(333, 15667, 200.0)]), whole)
    assert len(noise(1 << 40, 480, 1.0)) == 480


def test_the_background_is_what_is_heard_between_words() -> None:
    quiet, loud = np.full(80, 20, np.int16), np.full(80, 9000, np.int16)
    assert background_level(np.concatenate([loud, quiet, loud]), 8000) == pytest.approx(20.0)
    assert background_level(loud, 8000) == LOUDEST
    assert background_level(loud[:10], 8000) == LOUDEST
