"""The targets of the guided fuzzing hold for what they begin with, and for small changes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, seeds

SEEDS = {name: seeds(name) for name in TARGETS}
EVERY = pytest.mark.parametrize("name", list(TARGETS))


@EVERY
def test_the_seeds_hold(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@EVERY
@given(
    number=st.integers(0, 1000),
    changes=st.lists(st.tuples(st.integers(0, 800), st.integers(0, 20), st.binary(max_size=20)), max_size=4),
)
def test_changed_seeds_hold(name: str, number: int, changes: list[tuple[int, int, bytes]]) -> None:
    data = SEEDS[name][number % len(SEEDS[name])]
    for at, length, put in changes:
        data = data[:at] + put + data[at + length :]
    TARGETS[name](data)
