from __future__ import annotations

import pytest

from tests.conftest import pytest_runtest_setup


def test_a_test_that_needs_a_missing_program_is_skipped_with_the_command_that_installs_it(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    request.node.add_marker(pytest.mark.peer("sipp"))
    with pytest.raises(pytest.skip.Exception, match=r"^sipp is not installed: apt-get install sip-tester$"):
        pytest_runtest_setup(request.node)


def test_a_test_that_needs_a_program_of_this_machine_runs(request: pytest.FixtureRequest) -> None:
    request.node.add_marker(pytest.mark.peer("sh"))
    pytest_runtest_setup(request.node)
