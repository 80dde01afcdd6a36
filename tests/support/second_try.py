"""Tests in real time are tried again if the machine has stalled: then they have said nothing about the product."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.stalls import stalls_beside

STALLED = 0.05
"""Seconds in all, as an empty program beside the test has seen them; on an idle machine it sees none."""

BUSY = 0.15
"""Of the time of a test, for which it could have run, and other programs had the processor."""

TRIES = 3
TRIED_AGAIN = "tried again"


def run_in_real_time(test: pytest.Function, run: Callable[[], None]) -> None:
    """Run a test; where it is run again, a property of the test says so."""
    for others in reversed(range(TRIES)):
        began, waited = time.monotonic(), waited_seconds()
        with stalls_beside() as stalls:
            try:
                run()
                return
            except Exception as error:
                failure = error
        took, waited = time.monotonic() - began, waited_seconds() - waited
        if not others or (stalls.total < STALLED and waited < BUSY * took):
            raise failure
        why = f"stalls of {stalls.total:.2f} s, waited {waited:.2f} of {took:.2f} s for a processor"
        test.user_properties.append((TRIED_AGAIN, f"{type(failure).__name__}; {why}"))
        directory = test.funcargs.get("tmp_path")
        if isinstance(directory, Path):
            _empty(directory)


def waited_seconds() -> float:
    """Return for how long this thread could have run, and did not, so far; 0 where the kernel does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def _empty(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
