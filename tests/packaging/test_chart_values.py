"""The values of the chart: its schema knows them all; Helm 3 and Helm 4 refuse what is wrong, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from helm import make_schema
from sidecar.settings import Settings
from tests.packaging.chart import CHART, HELMS, helm

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

GUARDED = "networkPolicy.enabled=true,networkPolicy.freeswitch[0].ipBlock.cidr=10.1.0.0/16"

helms = pytest.mark.parametrize("which", HELMS)


@helms
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("mode=statefulset", ["mode", "daemonset"]),
        ("replicaCount=many", ["replicaCount", "integer"]),
        ("sip.prot=5060", ["sip", "prot"]),
        ("image.digest=latest", ["digest"]),
        ("advertised=sip.example.com", ["advertised"]),
        ("advertised=300.1.1.1", ["advertised"]),
        ("nosuchvalue=1", ["nosuchvalue"]),
        ("settings.nosuchsection=1", ["settings", "nosuchsection"]),
        ("settings.sip.alow={10.0.0.0/8}", ["settings", "sip", "alow"]),
        ("settings.rtp.srtp=always", ["settings", "rtp", "srtp", "required"]),
        ("settings.stream.rte=16k", ["settings", "stream", "rte"]),
        ("settings.freeswitch.main.password=ClueCon", ["settings", "freeswitch", "main", "password", "(env|file)"]),
        ("settings.stream.auth=bearer 0123456789", ["settings", "stream", "auth", "(env|file)"]),
        ("settings.api.enabled=false", ["settings", "api", "enabled"]),
        ("directory.url=redis://:secret@redis", ["directory", "url"]),
        ("fullnameOverride=Not_A_Name", ["fullnameOverride"]),
        ("podDisruptionBudget.maxUnavailable=0", ["podDisruptionBudget", "maxUnavailable"]),
        ("settings.sip.port=5060", ["settings.sip.port: the chart has a value of its own"]),
        ("rtp.mode=ports", ["rtp.mode: `ports` needs the network of the node"]),
        ("service.enabled=true", ["service.enabled: `advertised` must be the address"]),
        ("service.type=NodePort", ["service", "type"]),
        ("freeswitch.host=fs", ["freeswitch.existingSecret"]),
        ("networkPolicy.enabled=true", ["networkPolicy.freeswitch: say who may call"]),
        ("api.ingress.enabled=true", ["api.ingress.host"]),
    ],
)
def test_wrong_values_are_refused_by_name(which: str, given: str, named: list[str]) -> None:
    told = helm(which, "template", "sidecar", CHART, "--set", given)
    assert told.returncode != 0
    assert [word for word in named if word not in told.stderr] == []


@helms
def test_what_does_not_go_together_is_refused(which: str) -> None:
    for values, why in (
        ("mode=daemonset,autoscaling.enabled=true", "a DaemonSet has one pod a node"),
        ("mode=daemonset,networkPolicy.enabled=true", "no power over pods on the network of the node"),
        ("autoscaling.enabled=true,autoscaling.targetCalls=0,autoscaling.targetCPU=0", "nothing to go by"),
        ("hostNetwork=true,rtp.mode=ports,service.enabled=true,advertised=10.0.0.1", "cannot carry a range"),
    ):
        told = helm(which, "template", "sidecar", CHART, "--set", values)
        assert (told.returncode != 0, why in told.stderr) == (True, True), told.stderr


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ("sip.port=8080", "api.port and sip.port are both 8080"),
        ("sip.tls.existingSecret=x,sip.tls.port=8080", "sip.tls.port and api.port are both 8080"),
        ("sip.port=40003,workers=2", "sip.port: 40003 is an RTP port of a worker"),
        ("rtp.port=65530,workers=4", "rtp.port: too high"),
        ("hostNetwork=true,rtp.mode=ports,rtp.portMin=30000", "rtp.portMin: it must be below rtp.portMax"),
        ("hostNetwork=true,rtp.mode=ports,sip.port=25060", "sip.port: it is between rtp.portMin and rtp.portMax"),
        ("autoscaling.enabled=true,autoscaling.minReplicas=20", "autoscaling.minReplicas: it is above maxReplicas"),
        ("autoscaling.enabled=true,maxCalls=250", "autoscaling.targetCalls: pods refuse calls at maxCalls"),
        ("autoscaling.enabled=true,resources.requests.cpu=null", "resources.requests.cpu, which is not there"),
        ("api.tls.existingSecret=x,directory.url=redis://redis", "api.tls.name: the name in the certificate"),
        ("directory.url=redis://redis,directory.existingSecret=redis", "directory: give its `url`, or"),
        (f"{GUARDED},monitoring.serviceMonitor.enabled=true", "networkPolicy.api: say where Prometheus"),
        (
            f"{GUARDED},api.ingress.enabled=true,api.ingress.host=a,api.ingress.tlsSecret=b",
            "the ingress controller are",
        ),
    ],
)
def test_what_would_not_work_in_the_cluster_is_refused_before(values: str, why: str) -> None:
    told = helm("helm4", "template", "sidecar", CHART, "--set", values)
    assert (told.returncode != 0, why in told.stderr) == (True, True), told.stderr


def test_the_schema_knows_every_value_and_no_other() -> None:
    assert set(paths(SCHEMA)) - {"global"} == set(defaults(VALUES))


def paths(schema: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield each value that a strict schema names; what may have any names is a leaf, and so is `settings`."""
    for name, each in schema["properties"].items():
        if "properties" in each and name not in ("settings", "resources"):
            assert each["additionalProperties"] is False, name
            yield from paths(each, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def defaults(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, each in values.items():
        if isinstance(each, dict) and each and name not in ("resources", "labels"):
            yield from defaults(each, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_the_schema_knows_every_section_of_the_settings() -> None:
    """But the two that the chart has values for."""
    assert SCHEMA["properties"]["settings"]["properties"].keys() == Settings.model_fields.keys() - {
        "workers",
        "drain_timeout",
    }


def test_the_schema_of_the_settings_is_made_of_the_settings() -> None:
    assert make_schema.SCHEMA.read_text() == make_schema.schema(), "make chart-schema"
