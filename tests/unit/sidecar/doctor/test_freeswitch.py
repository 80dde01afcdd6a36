"""What the answers of a FreeSWITCH mean."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from rtp import Codec
from sidecar.doctor.finding import Verdict
from sidecar.doctor.freeswitch import (
    codecs_finding,
    events_finding,
    gateway_finding,
    profile_finding,
    reached_finding,
    sofia_status,
    version_finding,
)

ALLOW = [ip_network("10.0.0.0/8")]


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (
            "FreeSWITCH Version 1.10.12-release+git~20240802T210227Z~a88d069d6f~64bit (git a88d069 64bit)\n",
            "ok",
            "1.10.12-release",
        ),
        ("FreeSWITCH Version 1.8.7\n", "warn", "not been tried"),
        ("-ERR permission denied\n", "fail", "permission denied"),
    ],
)
def test_the_version(answer: str, verdict: str, said: str) -> None:
    found = version_finding("main", "127.0.0.1:8021", answer)
    assert found.verdict.value == verdict
    assert said in found.what


def test_events() -> None:
    assert events_finding("main", fired="+OK 1", has_lua=True).verdict is Verdict.OK
    assert events_finding("main", fired="+OK 1", has_lua=False).verdict is Verdict.WARN
    assert events_finding("main", fired="-ERR permission denied", has_lua=True).verdict is Verdict.FAIL


def test_a_freeswitch_elsewhere_cannot_call_loopback() -> None:
    assert reached_finding("main", "10.0.0.7", "127.0.0.1").verdict is Verdict.FAIL
    assert reached_finding("main", "127.0.0.1", "127.0.0.1").verdict is Verdict.OK
    assert reached_finding("main", "10.0.0.7", "0.0.0.0").verdict is Verdict.OK


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Name    \tsidecar\nStatus  \tUP (ping)\n", "ok"),
        ("Status  \tDOWN (ping)\n", "warn"),
        ("Invalid Gateway!\n", "fail"),
    ],
)
def test_a_gateway(answer: str, verdict: str) -> None:
    assert gateway_finding("main", "sidecar", answer).verdict.value == verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("SIP-IP           \t10.0.0.7\n", "ok"),
        ("SIP-IP           \t0.0.0.0\n", "ok"),
        ("SIP-IP           \tsip.example.com\n", "ok"),
        ("SIP-IP           \t192.0.2.7\n", "fail"),
        ("Invalid Profile!\n", "fail"),
    ],
)
def test_a_profile_must_be_one_that_is_let_in(answer: str, verdict: str) -> None:
    assert profile_finding("main", "external", sofia_status(answer), allow=ALLOW).verdict.value == verdict


def test_codecs_are_those_that_both_have_and_that_are_loaded() -> None:
    status = sofia_status("CODECS OUT       \tOPUS,G722,PCMU@20i,VP8\n")
    found = codecs_finding("main", status, [Codec.OPUS, Codec.PCMU, Codec.PCMA], missing={Codec.OPUS})
    assert (found.verdict, found.what) == (Verdict.OK, "PCMU; opus: its module is not loaded")
    none = codecs_finding("main", status, [Codec.OPUS], missing={Codec.OPUS})
    assert none.verdict is Verdict.WARN
