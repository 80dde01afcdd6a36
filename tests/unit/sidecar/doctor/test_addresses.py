"""Addresses that others are told."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from sidecar.doctor.addresses import advertised_finding, both_reached, examine_addresses, is_own
from sidecar.doctor.finding import Verdict
from sidecar.settings import load_settings

OUTWARD = "10.0.0.5"
PRIVATE = [ip_network("10.0.0.0/8")]
INTERNET = [*PRIVATE, ip_network("0.0.0.0/0")]


@pytest.mark.parametrize(
    ("host", "advertised", "verdict", "said"),
    [
        ("127.0.0.1", "auto", Verdict.OK, "this machine alone"),
        ("0.0.0.0", "auto", Verdict.OK, "10.0.0.5 for most"),
        ("10.0.0.5", "auto", Verdict.OK, "told 10.0.0.5"),
        ("127.0.0.1", "8.8.8.8", Verdict.FAIL, "only loopback"),
        ("0.0.0.0", "127.0.0.1", Verdict.FAIL, "themselves"),
        ("127.0.0.1", "127.0.0.1", Verdict.OK, "ours"),
        ("0.0.0.0", "2001:db8::1", Verdict.FAIL, "only IPv4"),
        ("0.0.0.0", "10.0.0.5", Verdict.OK, "ours"),
        ("0.0.0.0", "8.8.8.8", Verdict.OK, "NAT has to forward"),
        ("0.0.0.0", "10.9.9.9", Verdict.WARN, "no interface"),
    ],
)
def test_what_others_are_told_is_judged(host: str, advertised: str, verdict: Verdict, said: str) -> None:
    ours = {"127.0.0.1", OUTWARD}
    found = advertised_finding(
        "sip", host, advertised, outward=OUTWARD, is_own=lambda address: address in ours, allow=PRIVATE
    )
    assert found.verdict is verdict
    assert said in found.what


@pytest.mark.parametrize(
    ("outward", "verdict", "said"),
    [
        ("10.0.0.5", Verdict.WARN, "which is private"),
        ("8.8.4.4", Verdict.OK, "8.8.4.4"),
        ("127.0.0.1", Verdict.WARN, "no route"),
    ],
)
def test_who_calls_from_the_internet_must_not_be_told_a_private_address(
    outward: str, verdict: Verdict, said: str
) -> None:
    found = advertised_finding("rtp", "0.0.0.0", "auto", outward=outward, is_own=lambda _: False, allow=INTERNET)
    assert found.verdict is verdict
    assert said in found.what


def test_media_must_be_reached_where_sip_is() -> None:
    assert not both_reached("127.0.0.1", "127.0.0.1")
    assert not both_reached("0.0.0.0", "10.0.0.5")
    (found,) = both_reached("0.0.0.0", "127.0.0.1")
    assert (found.verdict, found.check) == (Verdict.FAIL, "rtp.host")


def test_this_machine_has_loopback() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.1")
    assert {each.verdict for each in examine_addresses(load_settings())} == {Verdict.OK}
