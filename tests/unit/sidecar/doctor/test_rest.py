"""Who may ask over REST."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.doctor.rest import RunningSidecar, access_finding, find_running, running_finding
from sidecar.settings import load_settings

FULL, READ = {"ops": "0123456789abcdef"}, {"grafana": "fedcba9876543210"}


@pytest.mark.parametrize(
    ("api", "verdict", "said"),
    [
        ({"enabled": False}, "ok", "off"),
        ({}, "ok", "without a token"),
        ({"tokens": FULL, "read_tokens": READ}, "ok", "tokens: 1 for everything, 1 for reading"),
        ({"read_tokens": READ}, "warn", "nobody may steer"),
        ({"host": "0.0.0.0", "tokens": FULL}, "warn", "over the network"),
    ],
)
def test_access(api: dict[str, Any], verdict: str, said: str) -> None:
    found = access_finding(load_settings(values={"api": api}).api)
    assert found.verdict.value == verdict
    assert said in found.what
    assert not any(secret in f"{found.what}{found.fix}" for secret in (*FULL.values(), *READ.values()))


def test_a_sidecar_that_runs() -> None:
    assert running_finding(None).verdict.value == "ok"
    assert running_finding(RunningSidecar(3, 10, None)).verdict.value == "ok"
    full = running_finding(RunningSidecar(10, 10, "Too many calls"))
    assert full.verdict.value == "warn"
    assert "Too many calls" in full.what


def test_nobody_is_asked_where_there_is_no_port() -> None:
    for api in ({"enabled": False}, {"port": 0}):
        assert find_running(load_settings(values={"api": api}).api) is None
