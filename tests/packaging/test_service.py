"""The service of systemd: what its unit promises, that systemd takes it, and that the guide installs it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.settings import Settings, load_settings
from tests.packaging.dockerfile import ROOT

UNIT = ROOT / "examples/systemd/audio-stream-sidecar.service"
GUIDE = (ROOT / "docs/one-host.md").read_text()


@pytest.fixture
def settings() -> Settings:
    """What the guide puts into /etc."""
    return load_settings(ROOT / "examples/systemd/sidecar.toml")


def values(name: str) -> list[str]:
    """Return what the unit says of a name."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), flags=re.MULTILINE)


def test_it_drains_before_it_is_killed_and_has_files_enough(settings: Settings) -> None:
    assert values("TimeoutStopSec") == [f"{settings.drain_timeout + 15:.0f}"]
    assert int(values("LimitNOFILE")[0]) > 3 * settings.sip.max_calls + settings.sip.max_connections


def test_nothing_is_opened_to_the_network(settings: Settings) -> None:
    assert {settings.sip.host, settings.rtp.host, settings.api.host} == {"127.0.0.1"}


def test_the_guide_installs_what_the_unit_runs() -> None:
    (command,) = values("ExecStart")
    program, serve, option, config = command.split()
    assert (serve, option) == ("serve", "--config")
    environment = Path(program).parent.parent
    assert f"venv {environment}\n" in GUIDE
    assert f"examples/systemd/sidecar.toml {config}\n" in GUIDE
    assert values("EnvironmentFile") == [f"-{Path(config).with_name('environment')}"]
    files = re.findall(r"(?:--requirement|--mode 644) (\S+)", GUIDE)
    assert len(files) == 4
    assert [name for name in files if not (ROOT / name).exists()] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit_and_finds_little_to_take_away(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/audio-stream-sidecar/bin", str(Path(sys.executable).parent)))
    told = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")
    security = [
        "systemd-analyze",
        "security",
        "--offline=true",
        "--threshold=20",
        str(unit),
    ]  # tenths, of 10 for no bounds
    told = subprocess.run(security, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout
