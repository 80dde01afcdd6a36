"""run.py on machines that lack something, with a small project in place of this one: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "small"
version = "1"
[project.optional-dependencies]
dev = []
"""

# As little of PEP 660 as pip needs. The wheel holds a `sidecar` that says its arguments.
BACKEND = """\
import zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    open("builds", "a").write("built ")
    name = "small-1-py3-none-any.whl"
    info = "small-1.dist-info"
    files = {
        "small.py": "import sys\\ndef main():\\n    print('ran', *sys.argv[1:])\\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\nProvides-Extra: dev\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: none\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[console_scripts]\\nsidecar = small:main\\n",
    }
    record = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)
    return name
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with run.py and a small project."""
    shutil.copy(ROOT / "run.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    os.utime(tmp_path / "pyproject.toml", (1, 1))
    (tmp_path / "backend.py").write_text(BACKEND)
    return tmp_path


def run_demo(project: Path, *, hidden: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run it with a Python that does not find the modules that are `hidden`, as some systems leave them out."""
    customize = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in hidden)
    (project / "hiding").mkdir(exist_ok=True)
    (project / "hiding" / "sitecustomize.py").write_text(customize)
    environment = {**os.environ, "PYTHONPATH": str(project / "hiding"), "PIP_NO_INDEX": "1"}
    return subprocess.run(
        [sys.executable, "run.py", "demo", "--json"], cwd=project, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("hidden", [(), ("ensurepip",)], ids=["whole", "without ensurepip"])
def test_it_installs_once_and_runs(project: Path, hidden: tuple[str, ...]) -> None:
    for _ in range(2):
        result = run_demo(project, hidden=hidden)
        assert (result.returncode, result.stdout) == (0, "ran demo --json\n"), result.stderr
    assert (project / "builds").read_text() == "built "


def test_what_a_run_that_failed_has_left_is_made_again(project: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=project, check=True)
    result = run_demo(project)
    assert (result.returncode, result.stdout) == (0, "ran demo --json\n"), result.stderr


def test_without_ensurepip_and_pip_it_says_what_to_install(project: Path) -> None:
    result = run_demo(project, hidden=("ensurepip", "pip"))
    assert result.returncode == 1
    assert "apt-get install python3-venv" in result.stderr
    assert "Traceback" not in result.stderr
    again = run_demo(project)
    assert again.returncode == 0, again.stderr


def test_a_pip_that_fails_leaves_nothing_that_is_taken_for_done(project: Path) -> None:
    backend = project / "backend.py"
    backend.write_text("raise SystemExit('no')")
    assert run_demo(project).returncode == 1
    backend.write_text(BACKEND)
    assert run_demo(project).returncode == 0
