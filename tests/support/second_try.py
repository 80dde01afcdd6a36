"""Tests in real time are tried again if the machine has stalled: then they have said nothing about the product."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.stalls import stalls_beside

STALLED = 0.05
"""Seconds in all, as an empty program beside the test has seen them; on an idle machine it sees none."""

TRIES = 3
TRIED_AGAIN = "tried again"


def run_in_real_time(test: pytest.Function, run: Callable[[], None]) -> None:
    """Run a test; where it is run again, a property of the test says so."""
    for others in reversed(range(TRIES)):
        with stalls_beside() as stalls:
            try:
                run()
                return
            except Exception as error:
                failure = error
        if not others or stalls.total < STALLED:
            raise failure
        test.user_properties.append((TRIED_AGAIN, f"{type(failure).__name__}; stalls of {stalls.total:.2f} s"))
        directory = test.funcargs.get("tmp_path")
        if isinstance(directory, Path):
            _empty(directory)


def _empty(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
