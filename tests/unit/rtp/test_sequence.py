"""Arithmetic across the wrap of sequence numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtp.sequence import (
    SEQUENCE_MODULUS,
    next_sequence_number,
    sequence_delta,
)


def test_after_the_last_sequence_number_comes_the_first() -> None:
    assert next_sequence_number(65535) == 0
    assert next_sequence_number(0) == 1


def test_a_delta_takes_the_short_way_around() -> None:
    assert sequence_delta(0, 65535) == 1
    assert sequence_delta(65535, 0) == -1
    assert sequence_delta(32768, 0) == -32768


@given(st.integers(0, SEQUENCE_MODULUS - 1), st.integers(-32768, 32767))
def test_a_sequence_delta_is_what_was_added(start: int, step: int) -> None:
    assert sequence_delta((start + step) % SEQUENCE_MODULUS, start) == step
