"""The messages of RFC 4475 and RFC 5118: each is understood, refused or dropped as expected.toml says."""

from __future__ import annotations

import tomllib
from functools import reduce
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from sip import CallReceived, SessionDescription, SipError, SipUri, parse_message
from tests.support.sip_messages import CALLER, Peer

MESSAGES = Path(__file__).parent / "messages"
EXPECTED: dict[tuple[str, str], dict[str, Any]] = {
    (rfc, name): expected
    for rfc, table in tomllib.loads((MESSAGES / "expected.toml").read_text()).items()
    for name, expected in table.items()
}


def read(rfc: str, name: str) -> bytes:
    """Return the bytes of a message."""
    return (MESSAGES / rfc / f"{name}.dat").read_bytes()


def test_every_message_has_an_expectation() -> None:
    files = {(path.parent.name, path.stem) for path in MESSAGES.glob("*/*.dat")}
    assert files == set(EXPECTED)
    assert len(files) == 49 + 12


@pytest.mark.parametrize(("rfc", "name"), sorted(EXPECTED))
def test_the_message_is_answered_or_dropped(rfc: str, name: str) -> None:
    peer = Peer()
    peer.agent.receive_datagram(read(rfc, name), CALLER, now=0.0)
    lines = [data.split(b" ", 2)[1] for data, _ in peer.agent.datagrams_to_send()]
    status = EXPECTED[rfc, name].get("status")
    assert lines == ([] if status is None else [b"%d" % status])
    assert any(isinstance(event, CallReceived) for event in peer.events()) == (status == 100)
    peer.wait(100.0)
    assert peer.agent.idle or status == 100


@pytest.mark.parametrize(("rfc", "name"), sorted(key for key, each in EXPECTED.items() if "understood" in each))
def test_the_message_is_understood(rfc: str, name: str) -> None:
    message = parse_message(read(rfc, name))
    for path, value in EXPECTED[rfc, name]["understood"].items():
        found = reduce(getattr, path.split("."), message)
        assert (found.decode() if isinstance(found, bytes) else found) == value, path


@pytest.mark.parametrize("name", ["bcast", "noreason", "unreason"])
def test_a_response_to_nothing_is_a_stray(name: str) -> None:
    peer = Peer()
    assert peer.send(read("rfc4475", name)) == []
    assert peer.agent.counters.stray_responses == 1


def test_the_addresses_of_rfc_5118_are_the_addresses_that_it_means() -> None:
    uris = {name: SipUri.parse(parse_message(read("rfc5118", name)).uri) for name in (  # type: ignore[union-attr]
        "ipv6-good", "port-ambiguous", "port-unambiguous", "ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"
    )}  # fmt: skip
    assert [(uri.host, uri.port) for uri in uris.values()] == [
        ("2001:db8::10", None),
        ("2001:db8::10:5070", None),
        ("2001:db8::10", 5070),
        ("2001:db8::192.0.2.1", None),
        ("2001:db8::192.0.2.1", None),
    ]
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        assert parse_message(read("rfc5118", name)).via.response_address() == ("2001:db8::9:255", 5060)
    vias = parse_message(read("rfc5118", "mult-ip-in-header")).vias
    assert [(via.transport, via.host, via.parameters.get("received")) for via in vias] == [
        ("UDP", "2001:db8::9:1", None),
        ("UDP", "192.0.2.1", None),
        ("TCP", "2001:db8::9:255", "192.0.2.200"),
    ]


def test_the_descriptions_of_rfc_5118_have_the_addresses_that_it_means() -> None:
    def addresses(name: str) -> list[str | None]:
        session = SessionDescription.parse(parse_message(read("rfc5118", name)).body)
        return [media.connection_address or session.connection_address for media in session.media]

    assert addresses("ipv6-in-sdp") == ["2001:db8::20", "2001:db8::20"]
    assert addresses("mult-ip-in-sdp") == ["192.0.2.1", "2001:db8::1"]
    (first, _) = addresses("ipv4-mapped-ipv6")
    assert ip_address(first or "") == ip_address("::ffff:192.0.2.2")


def test_what_rfc_4475_folds_and_escapes_is_unfolded_and_kept() -> None:
    message = parse_message(read("rfc4475", "wsinv"))
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.headers.get("Subject") == ""
    assert [via.transport for via in message.vias] == ["UDP", "TCP", "UDP"]
    assert message.headers.get_list("Route") == ("<sip:services.example.com;lr;unknownwith=value;unknown-no-value>",)
    assert len(parse_message(read("rfc4475", "longreq")).vias) == 34
    with pytest.raises(SipError):
        parse_message(read("rfc4475", "bigcode"))
