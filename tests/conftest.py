"""Runs coroutine tests, and skips the tests that need a program this machine does not have."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import shutil

import pytest
import uvloop
from hypothesis import settings

from tests.support.second_try import TRIED_AGAIN, run_in_real_time

DEBIAN_PACKAGE = {
    "baresip": "baresip-core",
    "kamailio": "kamailio",
    "node": "nodejs",
    "sipp": "sip-tester",
    "sox": "sox",
    "tshark": "tshark",
}
DAEMONS = "/usr/sbin"  # which users do not have in their PATH
LONGEST_TEST_SECONDS = float(os.environ.get("LONGEST_TEST_SECONDS", "60"))

# How long an example of a property test takes says more about the machine than the code.
settings.register_profile("patient", deadline=None)
settings.register_profile("long", deadline=None, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))


def pytest_collection_finish() -> None:
    """Let no collection go through all that was imported: a sidecar in this process would stand still meanwhile."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        for program in mark.args:
            if shutil.which(program) is None and shutil.which(program, path=DAEMONS) is None:
                pytest.skip(f"{program} is not installed: apt-get install {DEBIAN_PACKAGE[program]}")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def test_...` in an event loop of its own, and never for ever: uvloop, or asyncio's if `portable`."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    if "integration" in pyfuncitem.path.parts:
        run_in_real_time(pyfuncitem, lambda: _run(pyfuncitem))
    else:
        _run(pyfuncitem)
    return True


def _run(pyfuncitem: pytest.Function) -> None:
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    portable = "portable" in pyfuncitem.nodeid
    with asyncio.Runner(loop_factory=None if portable else uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LONGEST_TEST_SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that were tried again."""
    reports = [report for each in terminalreporter.stats.values() for report in each if hasattr(report, "when")]
    said = [
        f"{report.nodeid}: {what}"
        for report in reports
        if report.when == "call"
        for name, what in report.user_properties
        if name == TRIED_AGAIN
    ]
    if said:
        terminalreporter.section(TRIED_AGAIN)
        terminalreporter.write_line("\n".join(said))
