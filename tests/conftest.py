"""Skips the tests that need a program this machine does not have."""

from __future__ import annotations

import shutil

import pytest

DEBIAN_PACKAGE = {"baresip": "baresip-core", "sipp": "sip-tester", "sox": "sox", "tshark": "tshark"}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        for program in mark.args:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed: apt-get install {DEBIAN_PACKAGE[program]}")
