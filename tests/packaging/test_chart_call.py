"""What `helm test` does in a cluster, done here: the chart's settings, its probes, and the call of its test pod."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.chart import fill, one, rendered, workload
from tests.support.ports import LOOPBACK, free_port

BIN = Path(sys.executable).parent


@contextlib.contextmanager
def running(*command: str, says: str, env: dict[str, str]) -> Iterator[None]:
    """Run a program from when it has said that it is ready until it is told to stop."""
    with subprocess.Popen(
        [BIN / "sidecar", *command], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if says in line:
                break
        else:
            pytest.fail("".join(said))
        try:
            yield
        finally:
            process.terminate()
            process.communicate(timeout=20)


def get(port: int, path: str, token: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_the_test_pod_calls_a_sidecar_with_the_settings_of_the_chart(tmp_path: Path) -> None:
    objects = rendered("helm4", "deployment")
    fill(tmp_path / "api")
    toml = one(objects, "ConfigMap")["data"]["sidecar.toml"]
    (tmp_path / "sidecar.toml").write_text(toml.replace("/run/secrets/", f"{tmp_path}/"))
    sip, api, bot = free_port(), free_port(), free_port()
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    here = environment | {
        **{f"SIDECAR_{section}__HOST": LOOPBACK for section in ("SIP", "RTP", "API")},
        **{"SIDECAR_SIP__PORT": str(sip), "SIDECAR_API__PORT": str(api), "SIDECAR_RTP__PORT": "0"},
    }
    pod = one(objects, "Pod")["spec"]
    name = one(objects, "Service", "audio-stream-sidecar")["metadata"]["name"]
    places = {"0.0.0.0": LOOPBACK, "8765": str(bot), "$(POD_IP)": LOOPBACK, f"{name}:5070": f"{LOOPBACK}:{sip}"}

    def moved(words: list[str]) -> list[str]:
        for there, to in places.items():
            words = [word.replace(there, to) for word in words]
        return words

    echo, caller = pod["initContainers"][0]["args"], pod["containers"][0]["command"]
    serve = ["serve", "--config", str(tmp_path / "sidecar.toml")]
    with running(*moved(echo), says="listens", env=environment), running(*serve, says='"ready"', env=here):
        container = workload(objects)["spec"]["template"]["spec"]["containers"][0]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert get(api, container[probe]["httpGet"]["path"])[0] == 200
        told = subprocess.run(moved(caller), env=environment, text=True, capture_output=True)
        assert told.returncode == 0, told.stdout + told.stderr
        nobody = subprocess.run([*moved(caller)[:-1], f"ws://{LOOPBACK}:1/"], env=environment, capture_output=True)
        assert nobody.returncode == 1  # without its bot the test fails
        scaler = one(rendered("helm4", "autoscaling"), "HorizontalPodAutoscaler")["spec"]["metrics"][0]
        status, metrics = get(api, "/metrics", "read-token-0123456789abcdef")
        assert (status, f"\n{scaler['pods']['metric']['name']} " in metrics) == (200, True)
