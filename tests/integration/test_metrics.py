"""What `/metrics` tells: all that is documented and nothing else, of all that is bounded, without end to no label."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from sip import parse_message
from tests.support.bots import Bot
from tests.support.live_call import live_call
from tests.support.ports import LOOPBACK
from tests.support.rest import ask
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sip_messages import request

DOCS = Path(__file__).parents[2] / "docs"
_KINDS = ("calls_refused", "stream_errors")


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
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


async def test_what_is_exposed_is_documented_and_what_is_bounded_is_counted() -> None:
    async with sidecar_under_test(api={}) as car:
        exposed = families(car)
    documented = table((DOCS / "metrics.md").read_text())[1:]
    told = [
        [f"`{name_of(each)}`", each.type, ", ".join(each._labelnames), each.documentation]  # type: ignore[attr-defined]
        for each in exposed
    ]
    assert sorted(documented) == sorted(told)
    bounds = table((DOCS / "architecture.md").read_text().partition("## Bounds")[2])[1:]
    assert len(bounds) > 60
    known = {name_of(each): each._labelnames for each in exposed}  # type: ignore[attr-defined]
    for what, *_, counted in bounds:
        metrics = re.findall(r"`(sidecar_\w+)(?:\{(\w+)=[^}]*\})?`", counted)
        assert metrics or counted in ("nothing is lost", "log `stopping`"), what
        for name, label in metrics:
            assert name in known, what
            assert not label or label in known[name], what


async def test_what_peers_make_up_becomes_no_label() -> None:
    async with sidecar_under_test(api={}) as car, sidecar_socket(car) as sock:
        before = {(each.name, *each.labels.items()) for family in families(car) for each in family.samples}
        for number in range(30):
            words = {"branch": f"z9hG4bK-{number}", "call_id": f"call-{number}"}
            sock.send(request(f"METHOD{number}", uri=f"sip:profile{number}@sidecar", contact=None, **words))
            parse_message(sock.recv(65535))
        after = {(each.name, *each.labels.items()) for family in families(car) for each in family.samples}
        new = {tuple(labels) for _, *labels in after - before}
        assert new == {(("method", "other"),), (("status", "501"),)}
        text = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
        assert value(text, 'sidecar_sip_requests_received_total{method="other"}') == 30


async def test_a_call_is_counted_while_it_is_up_and_once_it_is_over() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car:
        async with live_call(car) as call:
            live = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
            await call.ended()
        await car.until_no_calls()
        over = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
    assert value(live, 'sidecar_streams{state="up"}') == 1
    assert value(over, 'sidecar_streams{state="up"}') == 0
    assert value(over, 'sidecar_calls_ended_total{cause="remote_bye"}') == 1
    assert value(over, "sidecar_call_set_up_seconds_count") == 1
    check = shutil.which("promtool")
    if check is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    linted = subprocess.run([check, "check", "metrics"], input=over, capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")
