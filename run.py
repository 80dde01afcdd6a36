#!/usr/bin/env python3
"""Runs the demo or the tests on a machine that has only git, Python 3.11 and pip.

    python3 run.py demo [options]    place a call through the sidecar and an echo bot, and tell what was heard
    python3 run.py test [options]    run all tests; options go to pytest

Each makes a virtual environment in .venv, installs what it needs there, and runs. What is said on the way
goes to standard error, so that `python3 run.py demo --json` prints JSON alone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PIP_WITH_PYTHON_OPTION = (22, 3)
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
# Debian's names of the programs that the tests talk to.
PEERS = {"sipp": "sip-tester", "baresip": "baresip-core", "kamailio": "kamailio", "redis-server": "redis-server"}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def succeeds(*command: str) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def pip_of(python: str) -> list[str]:
    """Return the command of a Python's pip, or nothing where it has none."""
    return [python, "-m", "pip"] if succeeds(python, "-m", "pip", "--version") else []


def pip_version(pip: list[str]) -> tuple[int, ...]:
    text = subprocess.run([*pip, "--version"], stdout=subprocess.PIPE, text=True).stdout
    found = re.match(r"pip (\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()


def make_environment() -> list[str]:
    """Make .venv, or what is missing of it, and return the pip that installs there; exit where there is none.

    Debian ships Python without ensurepip, unless python3-venv is installed: then the pip beside this Python does it.
    """
    python = str(BIN / "python")
    if importlib.util.find_spec("ensurepip") and succeeds(sys.executable, "-m", "venv", str(VENV)):
        return pip_of(python)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], check=True, stdout=sys.stderr)
    if pip := pip_of(python):
        return pip
    pip = pip_of(sys.executable)
    if pip and pip_version(pip) >= PIP_WITH_PYTHON_OPTION:
        return [*pip, "--python", python]
    sys.exit(
        f"{sys.executable} has neither ensurepip nor pip 22.3 or newer, and one of them is needed."
        " On Debian: apt-get install python3-venv"
    )


def install(requirement: str) -> None:
    """Bring .venv up to date with pyproject.toml; a second run without changes costs nothing.

    Only the stamp at the end says that it is done: whatever a run that failed has left is made again.
    """
    stamp = VENV / f"installed-{requirement.strip('.[]') or 'base'}"
    if stamp.exists() and stamp.stat().st_mtime > (ROOT / "pyproject.toml").stat().st_mtime:
        return
    say("Installing into .venv (once, about a minute) ...")
    pip = [*make_environment(), "--disable-pip-version-check", "--quiet"]
    command = [*pip, "install", "--editable", requirement]
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode != 0:
        sys.exit("pip could not install it; what it says is above.")
    stamp.touch()


def install_peers() -> None:
    """Bring sipp and baresip by apt where that is allowed; tests that need them say so where it is not."""
    missing = [package for program, package in PEERS.items() if shutil.which(program, path=PATH) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say(f"Not installed, and apt is not ours to use here: {', '.join(missing)}. Their tests are skipped.")
        return
    say(f"Installing {', '.join(missing)} by apt ...")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *missing]):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
            say(f"apt could not install {', '.join(missing)}. Their tests are skipped.")
            return


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  whoever runs this may not have read the README
        say(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.")
        return 2
    command, options = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if command == "demo":
        install(".")
        return subprocess.run([str(BIN / "sidecar"), "demo", *options]).returncode
    if command == "test":
        install(".[dev]")
        install_peers()
        return subprocess.run([str(BIN / "python"), "-m", "pytest", *options], cwd=ROOT).returncode
    say(__doc__ or "")
    return 2


if __name__ == "__main__":
    sys.exit(main())
