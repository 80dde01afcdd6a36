"""What the system lets us have."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from sidecar.doctor.finding import Verdict
from sidecar.doctor.machine import (
    buffer_finding,
    clock_finding,
    clock_is_synchronised,
    examine_machine,
    features_finding,
    files_finding,
    processors_finding,
    read_quota,
    threads_finding,
)
from sidecar.settings import load_settings

MANY = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "verdict", "said"),
    [
        (2000, 2000, Verdict.OK, "2000 allowed"),
        (MANY, MANY, Verdict.OK, "any number"),
        (1024, 4096, Verdict.WARN, "ulimit -n 2000"),
        (1024, MANY, Verdict.WARN, "ulimit -n 2000"),
        (1024, 1024, Verdict.WARN, "ulimit -Hn 2000"),
    ],
)
def test_open_files(soft: int, hard: int, verdict: Verdict, said: str) -> None:
    found = files_finding(2000, soft=soft, hard=hard)
    assert found.verdict is verdict
    assert said in f"{found.what} {found.fix}"


def test_a_call_with_ports_of_its_own_needs_three_files() -> None:
    def needed(**values: object) -> int:
        what = examine_machine(load_settings(values={"sip": {"max_calls": 3000}, **values}))[0].what
        return int(what.partition(", ")[2].removeprefix("and ").split()[0])

    alone = needed(workers=0)
    assert needed(workers=2) == alone - 1024 - 256
    assert needed(workers=2, rtp={"mode": "ports"}) == needed(workers=2) + 2 * 3000


@pytest.mark.parametrize(("most", "verdict"), [(None, Verdict.OK), (8 << 20, Verdict.OK), (212_992, Verdict.WARN)])
def test_receive_buffer(most: int | None, verdict: Verdict) -> None:
    assert buffer_finding(most, asked=8 << 20).verdict is verdict


@pytest.mark.parametrize(
    ("workers", "quota", "verdict", "said"),
    [
        (3, None, Verdict.OK, "3 for 4 cores"),
        (0, None, Verdict.OK, "in the control process"),
        (5, None, Verdict.WARN, "workers = 3"),
        (3, 2.0, Verdict.WARN, "workers = 1"),
        (1, 2.0, Verdict.OK, "1 for 4"),
        (0, 0.5, Verdict.WARN, "0.5"),
    ],
)
def test_processors(workers: int, quota: float | None, verdict: Verdict, said: str) -> None:
    found = processors_finding(workers, cores=4, quota=quota)
    assert found.verdict is verdict
    assert said in f"{found.what} {found.fix}"


def test_a_quota_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cpu.max"
    assert read_quota(path) is None
    path.write_text("max 100000\n")
    assert read_quota(path) is None
    path.write_text("150000 100000\n")
    assert read_quota(path) == 1.5


def test_features_are_asked_of_x86_alone() -> None:
    assert not features_finding(None)
    assert not features_finding("Features\t: fp asimd")
    assert not features_finding("flags\t\t: fpu avx avx2\n")
    assert features_finding("flags\t\t: fpu sse2\n")[0].verdict is Verdict.WARN


def test_threads_of_the_matrix_library_are_told() -> None:
    assert not threads_finding({})
    assert not threads_finding({"OPENBLAS_NUM_THREADS": "1"})
    assert threads_finding({"OPENBLAS_NUM_THREADS": "8"})[0].verdict is Verdict.WARN


def test_the_clock() -> None:
    assert clock_is_synchronised() in (True, False, None)
    assert clock_finding(synchronised=False).verdict is Verdict.WARN
    for synchronised in (True, None):
        assert clock_finding(synchronised=synchronised).verdict is Verdict.OK
