"""Ports: free or taken, and enough of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sidecar.doctor.finding import Verdict
from sidecar.doctor.ports import (
    ListenedPort,
    examine_ports,
    listened_ports,
    port_finding,
    range_finding,
    read_local_range,
)
from sidecar.io.network import bound_pair, bound_socket
from sidecar.settings import load_settings
from tests.support.certificates import write_certificate

SIP = ListenedPort("SIP", "sip.port", "127.0.0.1", 5070)


def trouble(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_each_port_is_looked_at(tmp_path: Path) -> None:
    certificate = str(write_certificate(tmp_path))
    settings = load_settings(values={"workers": 2, "sip": {"tls_certificate": certificate}})
    ports = [(each.name, each.port) for each in listened_ports(settings)]
    assert ports == [
        *(("SIP", 5070), ("SIP over TCP", 5070), ("SIP over TLS", 5071)),
        *(("RTP", 40000), ("RTCP", 40001), ("RTP", 40002), ("RTCP", 40003), ("REST", 8080)),
    ]
    few = load_settings(values={"api": {"enabled": False}, "rtp": {"mode": "ports"}})
    assert [each.name for each in listened_ports(few)] == ["SIP", "SIP over TCP"]


@pytest.mark.parametrize(
    ("error", "running", "verdict", "said"),
    [
        (None, False, Verdict.OK, "free"),
        (None, True, Verdict.WARN, "another configuration"),
        (errno.EADDRINUSE, False, Verdict.FAIL, "ss -ulpn 'sport = :5070'"),
        (errno.EADDRINUSE, True, Verdict.OK, "as is right"),
        (errno.EADDRNOTAVAIL, True, Verdict.FAIL, "sip.host"),
        (errno.EACCES, False, Verdict.FAIL, "1023"),
        (errno.EAFNOSUPPORT, False, Verdict.FAIL, "not supported"),
    ],
)
def test_a_port_is_judged(error: int | None, running: bool, verdict: Verdict, said: str) -> None:
    found = port_finding("sip.port", [(SIP, trouble(error) if error else None)], running=running)
    assert (found.verdict, found.check) == (verdict, "sip.port")
    assert said in f"{found.what} {found.fix}"


def test_any_port_is_always_free() -> None:
    settings = load_settings(values={"sip": {"port": 0}, "rtp": {"port": 0}, "api": {"port": 0}})
    found = examine_ports(settings, running=True)
    assert [each.verdict for each in found] == [Verdict.OK] * 3


def test_a_port_that_is_taken_is_seen() -> None:
    udp, tcp = bound_pair("127.0.0.1", 0)
    with udp, tcp:
        port = udp.getsockname()[1]
        settings = load_settings(values={"sip": {"port": port}, "rtp": {"port": 0}, "api": {"enabled": False}})
        sip, rtp = examine_ports(settings, running=False)
    assert sip.verdict is Verdict.FAIL
    assert f"127.0.0.1:{port}: taken" in sip.what
    assert rtp.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("pairs", "taken", "local", "verdict", "said"),
    [
        (100, 0, None, Verdict.OK, "100 pairs of ports for 50 calls"),
        (100, 50, (32768, 60999), Verdict.OK, "rests"),
        (100, 51, None, Verdict.WARN, "others have 51"),
        (49, 0, None, Verdict.WARN, "sip.max_calls"),
        (100, 0, (20199, 60999), Verdict.WARN, "20199 to 60999"),
    ],
)
def test_a_range_is_judged(pairs: int, taken: int, local: tuple[int, int] | None, verdict: Verdict, said: str) -> None:
    found = range_finding(pairs, taken, max_calls=50, span=(20000, 20199), local=local)
    assert found.verdict is verdict
    assert said in f"{found.what} {found.fix}"


def test_pairs_of_which_one_port_is_taken_do_not_count() -> None:
    with bound_socket("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        rtp = {"mode": "ports", "port_min": port - port % 2, "port_max": port - port % 2 + 1}
        values = {"sip": {"port": 0, "max_calls": 1}, "rtp": rtp, "api": {"enabled": False}}
        found = examine_ports(load_settings(values=values), running=False)[-1]
    assert found.verdict is Verdict.WARN
    assert "1 pairs of ports for 1 calls, and others have 1 of them" in found.what


def test_a_range_of_an_address_that_is_not_ours() -> None:
    found = examine_ports(load_settings(values={"rtp": {"mode": "ports", "host": "192.0.2.1"}}), running=False)[-1]
    assert (found.verdict, found.check) == (Verdict.FAIL, "rtp.port_min")
    assert "does not have that address" in found.what


def test_the_system_may_not_say_which_ports_it_gives(tmp_path: Path) -> None:
    path = tmp_path / "range"
    assert read_local_range(path) is None
    path.write_text("32768\t60999\n")
    assert read_local_range(path) == (32768, 60999)
