"""A lost packet sounds like the one before it, and fades."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtp.concealment import FADE_SAMPLES, conceal


def test_the_first_stand_in_begins_as_loud_as_the_last_packet_and_gets_softer() -> None:
    last = np.full(160, 9600, np.int16)
    heard = conceal(last, already=0)
    assert heard[0] == 9600
    assert (np.diff(heard) == -20).all()


def test_the_fade_goes_on_from_stand_in_to_stand_in_and_ends_in_silence() -> None:
    last = np.full(160, -9600, np.int16)
    heard = np.concatenate([conceal(last, already=160 * number) for number in range(4)])
    assert (np.diff(heard[:480]) == 20).all()
    assert not heard[480:].any()


@given(st.integers(-32768, 32767), st.integers(0, 2 * FADE_SAMPLES), st.integers(0, 480))
def test_a_stand_in_is_as_long_as_the_packet_and_never_louder(sample: int, already: int, length: int) -> None:
    heard = conceal(np.full(length, sample, np.int16), already=already)
    assert heard.dtype == np.int16
    assert len(heard) == length
    assert (np.abs(heard.astype(int)) <= abs(sample)).all()
