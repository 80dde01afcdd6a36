"""The chart under Helm 3 and 4: what it makes is valid, and what the application reads; what is wrong is refused."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate.utils
import pytest
import yaml

from sidecar.settings import load_settings
from tests.packaging.chart import (
    CHART,
    HELMS,
    POD_IP,
    POD_NAME,
    SCENARIOS,
    Object,
    helm,
    one,
    pods,
    rendered,
    settings_of,
    workload,
)
from tests.packaging.dockerfile import ROOT

LAST_THREE = list(dict.fromkeys(kubernetes_validate.utils.all_versions()))[-3:]
EXAMPLE = CHART / "examples/with-freeswitch.yaml"
OF_THE_OPERATOR = {"PrometheusRule", "ServiceMonitor"}  # whose schemas Kubernetes does not have

scenarios = pytest.mark.parametrize("scenario", SCENARIOS)
helms = pytest.mark.parametrize("which", HELMS)


@helms
@scenarios
def test_helm_has_nothing_to_say(which: str, scenario: str) -> None:
    told = helm(which, "lint", "--strict", "--quiet", CHART, "--values", CHART / f"ci/{scenario}-values.yaml")
    assert told.returncode == 0, told.stdout + told.stderr


@scenarios
def test_helm_3_and_helm_4_make_the_same(scenario: str) -> None:
    three, four = ([each for each in rendered(which, scenario) if each["kind"] != "Secret"] for which in HELMS)
    assert three == four


@pytest.mark.parametrize("version", LAST_THREE)
@scenarios
def test_kubernetes_takes_every_object(scenario: str, version: str) -> None:
    objects = rendered("helm4", scenario)
    assert len(objects) > 4
    for each in objects:
        if each["kind"] not in OF_THE_OPERATOR:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("version", LAST_THREE)
def test_kubernetes_takes_the_example_of_a_sidecar_container(version: str) -> None:
    for each in yaml.safe_load_all(EXAMPLE.read_text()):
        kubernetes_validate.validate(each, version, strict=True)


@scenarios
def test_the_application_reads_its_settings_and_listens_where_the_pod_says(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = rendered("helm4", scenario)
    settings = settings_of(objects, tmp_path, monkeypatch)
    pod = workload(objects)["spec"]["template"]["spec"]
    ports = {(each["protocol"], each["containerPort"]) for each in pod["containers"][0]["ports"]}
    tls = {("TCP", settings.sip.tls_port)} if settings.sip.tls_certificate else set()
    rtp = {("UDP", port + more) for port in settings.rtp_ports() for more in (0, 1)}
    sip = {("UDP", settings.sip.port), ("TCP", settings.sip.port)}
    assert ports == sip | tls | rtp | {("TCP", settings.api.port)}
    assert {settings.sip.host, settings.rtp.host, settings.api.host} == {"0.0.0.0"}
    assert settings.sip.advertised == settings.rtp.advertised
    pre_stop = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pre_stop + settings.drain_timeout + 15
    # what hangs is not waited for, and a new pod is, where it needs the ports of one that drains
    assert pod["containers"][0]["livenessProbe"]["terminationGracePeriodSeconds"] < pre_stop
    if workload(objects)["kind"] == "Deployment" and pod.get("hostNetwork"):
        deadline = workload(objects)["spec"]["progressDeadlineSeconds"]
        assert deadline > pod["terminationGracePeriodSeconds"]


def test_pods_are_told_their_own_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(rendered("helm4", "deployment"), tmp_path, monkeypatch)
    assert (settings.sip.advertised, settings.rtp.advertised) == (POD_IP, POD_IP)


def test_pods_tell_each_other_who_they_are_and_let_each_other_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = rendered("helm4", "directory")
    directory = settings_of(objects, tmp_path, monkeypatch).directory
    assert (directory.name, directory.address) == (POD_NAME, f"http://{POD_IP}:8080")
    assert (directory.prefix, directory.lease) == ("voice:", 10)
    assert directory.url is not None
    assert directory.url.get_secret_value() == "redis://redis.voice.svc:6379/0"
    rules = one(objects, "NetworkPolicy")["spec"]["ingress"]
    labels = workload(objects)["spec"]["template"]["metadata"]["labels"]
    (peers,) = (rule["from"] for rule in rules if {"port": "api", "protocol": "TCP"} in rule["ports"])
    assert peers[0]["podSelector"]["matchLabels"].items() <= labels.items()


def test_what_the_application_is_told_is_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, lists, tables, and letters that TOML or HTML might take for something else."""
    given = yaml.safe_load((CHART / "ci/locked-down-values.yaml").read_text())["settings"]
    settings = settings_of(rendered("helm4", "locked-down"), tmp_path, monkeypatch)
    assert settings.sip.t1 == given["sip"]["t1"]
    assert settings.sip.auth.users.keys() == given["sip"]["auth"]["users"].keys()
    assert list(settings.bot.allow) == given["bot"]["allow"]
    assert settings.profiles["sales"].profile().options["url"] == given["profiles"]["sales"]["url"]
    assert settings.profiles["sales"].profile().options["buffer_size"] == "100"
    assert settings.webhooks["crm"].events == ("start", "stop")
    assert settings.freeswitch["main"].host == "freeswitch.voice.svc"


def test_the_example_of_a_sidecar_container_can_be_read(tmp_path: Path) -> None:
    config, freeswitch = yaml.safe_load_all(EXAMPLE.read_text())
    (tmp_path / "sidecar.toml").write_text(config["data"]["sidecar.toml"])
    settings = load_settings(tmp_path / "sidecar.toml")
    assert freeswitch["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > settings.drain_timeout
    assert {settings.sip.host, settings.rtp.host, settings.api.host} == {"127.0.0.1"}


@scenarios
def test_no_container_may_do_more_than_it_must(scenario: str) -> None:
    for pod in pods(rendered("helm4", scenario)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False  # variables of a Service named `sidecar-api` look like settings
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


@scenarios
def test_what_chooses_pods_chooses_those_of_the_sidecar(scenario: str) -> None:
    objects = rendered("helm4", scenario)
    of_the_sidecar = workload(objects)["spec"]["template"]["metadata"]["labels"]
    of_the_test = one(objects, "Pod")["metadata"]["labels"]
    for selector in selectors(objects):
        assert selector.items() <= of_the_sidecar.items()
        assert not selector.items() <= of_the_test.items()
    named = {port["name"] for port in workload(objects)["spec"]["template"]["spec"]["containers"][0]["ports"]}
    targets = {port["targetPort"] for each in objects if each["kind"] == "Service" for port in each["spec"]["ports"]}
    assert targets <= named
    assert all(len(name) <= 15 for name in named)


def selectors(objects: list[Object]) -> Iterator[dict[str, str]]:
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            yield spec["selector"]
        elif each["kind"] in ("Deployment", "DaemonSet", "PodDisruptionBudget"):
            yield spec["selector"]["matchLabels"]
        elif each["kind"] == "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]


def test_dns_has_the_records_that_sip_looks_up() -> None:
    """`_sip._udp`, `_sip._tcp` and `_sips._tcp` of RFC 3263, by the names of ports of Services without an address."""
    services = [each for each in rendered("helm4", "tls") if each["kind"] == "Service"]
    headless = [each for each in services if each["spec"].get("clusterIP") == "None"]
    ports = {(port["name"], port["protocol"]) for each in headless for port in each["spec"]["ports"]}
    assert ports >= {("sip", "UDP"), ("sip", "TCP"), ("sips", "TCP")}


def test_a_plain_service_carries_sip_and_the_rtp_of_all_workers() -> None:
    service = one(rendered("helm4", "service"), "Service", "-calls")["spec"]
    assert [port["port"] for port in service["ports"]] == [5070, 40000, 40001, 40002, 40003]
    assert {port["protocol"] for port in service["ports"]} == {"UDP"}
    assert (service["sessionAffinity"], service["externalTrafficPolicy"]) == ("ClientIP", "Local")
    values = yaml.safe_load((CHART / "ci/cluster-ip-values.yaml").read_text())
    objects = rendered("helm4", "cluster-ip")
    service = one(objects, "Service", "-calls")["spec"]
    assert service["clusterIP"] == values["advertised"]
    assert {"name": "sips", "port": 5071, "targetPort": "sips", "protocol": "TCP"} in service["ports"]
    called = one(objects, "Pod")["spec"]["containers"][0]["command"][3]
    assert called == f"sip:bot@{values['advertised']}:5070"  # by its name SIP would come to one pod, and RTP to another


def test_a_daemonset_is_on_the_network_of_its_node() -> None:
    daemons = workload(rendered("helm4", "daemonset"))
    pod = daemons["spec"]["template"]["spec"]
    assert (daemons["kind"], pod["hostNetwork"], pod["dnsPolicy"]) == ("DaemonSet", True, "ClusterFirstWithHostNet")


def test_pods_follow_the_calls() -> None:
    objects = rendered("helm4", "autoscaling")
    scaler = one(objects, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == workload(objects)["metadata"]["name"]
    assert "replicas" not in workload(objects)["spec"]
    calls, cpu = scaler["metrics"]
    assert calls["pods"]["metric"]["name"] == "sidecar_calls"
    assert cpu["resource"]["name"] == "cpu"


def test_prometheus_reads_the_metrics_with_the_token_that_may_only_read() -> None:
    objects = rendered("helm4", "autoscaling")
    monitor = one(objects, "ServiceMonitor")["spec"]
    service = one(objects, "Service", "-metrics")
    assert service["spec"]["publishNotReadyAddresses"] is True  # of pods that are full, or drain, too
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    credentials = endpoint["authorization"]["credentials"]
    assert credentials == {"name": one(objects, "Secret")["metadata"]["name"], "key": "read-token"}


def test_rest_over_tls_is_known_to_all_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = rendered("helm4", "tls")
    settings = settings_of(objects, tmp_path, monkeypatch)
    assert settings.api.tls() is not None
    directory = settings.directory
    assert (directory.address, directory.tls_name) == (f"https://{POD_IP}:8080", "sidecar.example.svc")
    assert directory.tls_ca is not None
    (container,) = workload(objects)["spec"]["template"]["spec"]["containers"]
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {container[probe]["httpGet"]["scheme"] for probe in probes} == {"HTTPS"}
    (endpoint,) = one(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]["serverName"]) == ("https", directory.tls_name)


def test_the_alerts_and_the_dashboard_are_those_of_the_project() -> None:
    objects = rendered("helm4", "autoscaling")
    alerts = yaml.safe_load((ROOT / "monitoring/alerts.yaml").read_text())
    assert one(objects, "PrometheusRule")["spec"] == {"groups": alerts["groups"]}
    assert alerts["groups"]
    dashboard = one(objects, "ConfigMap", "-dashboard")["data"]["audio-stream-sidecar.json"]
    assert json.loads(dashboard) == json.loads((ROOT / "monitoring/dashboard.json").read_text())


def test_secrets_that_exist_are_not_made() -> None:
    assert not [each for each in rendered("helm4", "tls") if each["kind"] == "Secret"]
    made = one(rendered("helm4", "deployment"), "Secret")["data"]
    assert made.keys() == {"token", "read-token"}
    assert len(set(made.values())) == 2


@helms
def test_the_documented_commands_are_right(which: str) -> None:
    text = (ROOT / "docs/kubernetes.md").read_text()
    commands = re.findall(r"helm install (\S+) (helm\S+)((?:[^\n\\]|\\\n)*)", text)
    assert len(commands) == 2
    for release, chart, options in commands:
        words = shlex.split(options.replace("\\\n", " "))
        told = helm(which, "template", release, ROOT / chart, *(each for each in words if each != "--create-namespace"))
        assert told.returncode == 0, told.stderr
    name = one(rendered(which, "deployment"), "Service", "audio-stream-sidecar")["metadata"]["name"]
    whole = f"sip:bot@{name}.voice.svc.cluster.local"  # FreeSWITCH adds no search domain
    told = helm("helm4", "install", "sidecar", CHART, "--namespace", "voice", "--dry-run=client")
    assert whole in text
    assert whole in told.stdout


def test_the_readme_is_made_of_the_values() -> None:
    told = subprocess.run([sys.executable, ROOT / "helm/make_readme.py", "--check"], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'__version__ = "([^"]+)"', (ROOT / "sidecar/__init__.py").read_text())
    assert version is not None
    assert chart["appVersion"] == version[1]
