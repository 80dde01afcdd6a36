"""What `/metrics` tells: all that is documented and nothing else, of all that is bounded, without end to no label."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from tests.support.bots import Bot
from tests.support.live_call import live_call
from tests.support.ports import LOOPBACK
from tests.support.rest import ask
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sip_messages import request

DOCS = Path(__file__).parents[2] / "docs"
MONITORING = DOCS.parent / "monitoring"
PROMTOOL = shutil.which("promtool")
_HEADS = ("| metric", "| what")


def families(car: SidecarUnderTest) -> list[Metric]:
    assert car.sidecar.api is not None
    return list(car.sidecar.api.registry.collect())


def name_of(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def value(text: str, sample: str) -> float:
    """Return the figure of one sample of an answer."""
    (found,) = re.findall(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found)


def table(text: str) -> list[list[str]]:
    rows = [line for line in text.split("\n") if line.startswith("| ") and line.split(" | ")[0] not in _HEADS]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


async def test_what_is_exposed_is_documented_and_what_is_bounded_is_counted() -> None:
    async with sidecar_under_test(api={}) as car:
        exposed = families(car)
    documented = table((DOCS / "metrics.md").read_text())
    told = [
        [f"`{name_of(each)}`", each.type, ", ".join(each._labelnames), each.documentation]  # type: ignore[attr-defined]
        for each in exposed
    ]
    assert sorted(documented) == sorted(told)
    bounds = table((DOCS / "architecture.md").read_text().partition("## Bounds")[2])
    assert len(bounds) > 60
    known = {name_of(each): each._labelnames for each in exposed}  # type: ignore[attr-defined]
    for what, *_, counted in bounds:
        metrics = re.findall(r"`(sidecar_\w+)(?:\{(\w+)=[^}]*\})?`", counted)
        assert metrics or counted in ("nothing is lost", "log `stopping`"), what
        for name, label in metrics:
            assert name in known, what
            assert not label or label in known[name], what


async def test_what_peers_make_up_becomes_no_label() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        async with sidecar_under_test(api={}) as car:
            await _ask_for_what_nobody_knows(car, sock)


async def _ask_for_what_nobody_knows(car: SidecarUnderTest, sock: socket.socket) -> None:
    sock.connect(car.sidecar.sip_address)
    sock.setblocking(False)
    via = f"Via: SIP/2.0/UDP {LOOPBACK}:{sock.getsockname()[1]};branch=z9hG4bK-"
    before = {(each.name, *each.labels.items()) for family in families(car) for each in family.samples}
    for number in range(30):
        uri, call_id = f"sip:profile{number}@sidecar", f"call-{number}"
        sock.send(request(f"METHOD{number}", uri=uri, via=f"{via}{number}", contact=None, call_id=call_id))
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65535), 5.0)
    after = {(each.name, *each.labels.items()) for family in families(car) for each in family.samples}
    new = {tuple(labels) for _, *labels in after - before}
    assert new == {(("method", "other"),), (("status", "501"),)}
    text = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
    assert value(text, 'sidecar_sip_requests_received_total{method="other"}') == 30


async def test_a_call_is_counted_while_it_is_up_and_once_it_is_over() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car:
        async with live_call(car):
            counts = car.sidecar.control.workers.totals.counts
            async with asyncio.timeout(5):
                while "packets_sent" not in counts:  # noqa: ASYNC110  it is told once a second
                    await asyncio.sleep(0.02)
            live = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
        await car.until_no_calls()
        over = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
    assert value(live, 'sidecar_streams{state="up"}') == 1
    assert value(live, "sidecar_rtp_packets_sent_total") > 0
    assert value(live, "sidecar_bot_connect_seconds_count") == 1
    assert value(over, 'sidecar_streams{state="up"}') == 0
    assert value(over, 'sidecar_calls_ended_total{cause="remote_bye"}') == 1
    assert value(over, "sidecar_call_set_up_seconds_count") == 1
    if PROMTOOL is None:
        return
    linting = await asyncio.create_subprocess_exec(PROMTOOL, "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    said, _ = await linting.communicate(over.encode())
    assert (linting.returncode, said) == (0, b"")


# --- what is made of it


def _metrics_in(expression: str) -> set[str]:
    """Return the families of ours that an expression of PromQL is about."""
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bsidecar_\w+", expression)}


def _documented() -> set[str]:
    return {row[0].strip("`") for row in table((DOCS / "metrics.md").read_text())}


def test_alerts_and_dashboard_ask_for_what_there_is() -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    asked = set[str]()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        targets = panel.get("targets", [])
        assert (panel["type"] == "row") == (not targets)
        assert len({target["refId"] for target in targets}) == len(targets)
        asked |= {name for target in targets for name in _metrics_in(target["expr"])}
    asked |= {name for each in dashboard["templating"]["list"][1:] for name in _metrics_in(each["query"]["query"])}
    assert len(asked) > 40
    asked |= _metrics_in((MONITORING / "alerts.yaml").read_text())
    assert asked <= _documented(), asked - _documented()


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
def test_alerts_see_what_they_are_to_see() -> None:
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        assert PROMTOOL is not None
        done = subprocess.run([PROMTOOL, *command], cwd=MONITORING, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
