"""What `--help` says, as a terminal shows it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sidecar.cli import app

SAID = {
    "serve": "http://127.0.0.1:8080",
    "doctor": "variables alone",
    "freeswitch": "all, each after its name",
    "demo": "demo.wav",
    "echo": "ws://127.0.0.1:8765/",
    "call": "a melody",
    "bench": "docs/performance.md",
}


@pytest.mark.parametrize("command", SAID)
def test_what_is_taken_when_nothing_is_said_is_shown(command: str) -> None:
    """Rich reads what stands in square brackets as a style, and does not show it."""
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert SAID[command] in result.output


def test_every_command_is_here() -> None:
    commands = [command.callback for command in app.registered_commands]
    assert {each.__name__ for each in commands if each is not None} == set(SAID)


def test_help_waits_for_nothing_that_it_does_not_need() -> None:
    heavy = {"numpy", "av", "pydantic", "uvloop"}
    code = f"import sidecar.cli, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
