"""The chart, rendered by the real Helm; and its settings, as a pod would read them."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.settings import Settings, load_settings
from tests.packaging.dockerfile import ROOT
from tests.support.certificates import write_certificate

CHART = ROOT / "helm/audio-stream-sidecar"
SCENARIOS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
HELMS = ("helm3", "helm4")
POD_IP = "10.1.2.3"
POD_NAME = "sidecar-7d9c5b4f6-x2x4z"
_FIELDS = {"status.podIP": POD_IP, "metadata.name": POD_NAME}
_VARIABLES = {  # what the Secrets of the scenarios hold
    "FREESWITCH_PASSWORD": "secret",
    "CRM_SECRET": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
}

Object = dict[str, Any]


def helm(which: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm; skip the test where there is none."""
    program = Path(sys.executable).with_name(which)
    if not program.exists():
        pytest.skip(f"{which} is not here: make chart-tools")
    return subprocess.run([program, *arguments], capture_output=True, text=True)


@functools.cache
def rendered(which: str, scenario: str) -> list[Object]:
    """Return the objects of a scenario."""
    values = CHART / f"ci/{scenario}-values.yaml"
    told = helm(which, "template", "sidecar", CHART, "--namespace", "voice", "--values", values)
    assert told.returncode == 0, told.stderr
    return [each for each in yaml.safe_load_all(told.stdout) if each]


def one(objects: list[Object], kind: str, name: str = "") -> Object:
    """Return the only object of a kind, or the one whose name ends so."""
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(name)]
    assert len(found) == 1, (kind, name, [each["metadata"]["name"] for each in found])
    return found[0]


def workload(objects: list[Object]) -> Object:
    """Return the Deployment or the DaemonSet."""
    (found,) = (each for each in objects if each["kind"] in ("Deployment", "DaemonSet"))
    return found


def pods(objects: list[Object]) -> list[Object]:
    """Return the specification of each pod that there would be."""
    specs = [each["spec"]["template"]["spec"] for each in objects if "template" in each.get("spec", {})]
    return specs + [each["spec"] for each in objects if each["kind"] == "Pod"]


def settings_of(objects: list[Object], directory: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Load what the pod loads, with Secrets of ours in the place of those that are mounted."""
    container = workload(objects)["spec"]["template"]["spec"]["containers"][0]
    for mount in container["volumeMounts"]:
        if mount["mountPath"].startswith("/run/secrets/"):
            fill(directory / mount["mountPath"].removeprefix("/"))
    for variable in container.get("env", ()):
        source = variable.get("valueFrom")
        value = (
            variable["value"].replace("$(POD_IP)", POD_IP)
            if source is None
            else _FIELDS[source["fieldRef"]["fieldPath"]]
        )
        monkeypatch.setenv(variable["name"], value)
    for name in _VARIABLES if "envFrom" in container else ():
        monkeypatch.setenv(name, _VARIABLES[name])
    text = one(objects, "ConfigMap", "audio-stream-sidecar")["data"]["sidecar.toml"]
    path = directory / "sidecar.toml"
    path.write_text(text.replace("/run/secrets/", f"{directory}/run/secrets/"))
    return load_settings(path)


def fill(secret: Path) -> None:
    """Write what any of the Secrets may hold."""
    secret.mkdir(parents=True)
    pem = write_certificate(secret).read_text()
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (secret / name).write_text(pem)
    for name in ("token", "read-token", "password"):
        (secret / name).write_text(f"{name}-0123456789abcdef")
    (secret / "url").write_text("redis://:secret@redis.voice.svc/0")
