"""Our own addresses, as peers of either family reach them."""

from __future__ import annotations

import contextlib
import errno
import socket
from ipaddress import ip_address

import pytest

from sidecar.io.network import (
    OwnAddresses,
    bind_trouble,
    bound_pair,
    bound_socket,
    mapped_host,
    own_address,
    plain_host,
)


@pytest.mark.parametrize(
    ("host", "peer", "ours"),
    [
        ("192.0.2.20", "127.0.0.1", "192.0.2.20"),
        ("2001:db8::1", "::1", "2001:db8::1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.9", "127.0.0.1"),
        ("0.0.0.0", "::1", "127.0.0.1"),  # of one family for the other: the same machine
        ("::", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_peer_reaches_the_address_that_the_route_to_it_leaves_from(host: str, peer: str, ours: str) -> None:
    assert own_address(host, peer=peer) == ours
    assert OwnAddresses(host)(peer) == ours


@pytest.mark.parametrize(("host", "peer"), [("0.0.0.0", None), ("::", None), ("0.0.0.0", "2001:db8::9")])
def test_without_a_peer_that_can_be_reached_there_still_is_an_address(host: str, peer: str | None) -> None:
    ours = ip_address(own_address(host, peer=peer))
    assert ours.version == ip_address(host).version
    assert not ours.is_unspecified


def test_what_the_settings_say_goes_before_all() -> None:
    addresses = OwnAddresses("0.0.0.0", "192.0.2.20")
    assert {addresses(peer) for peer in ("127.0.0.1", "::1", "198.51.100.1")} == {"192.0.2.20"}


def test_routes_are_remembered_for_a_while_and_not_without_bound() -> None:
    now = 0.0
    addresses = OwnAddresses("0.0.0.0", clock=lambda: now)
    for number in range(1000):
        assert addresses(f"127.0.{number // 256}.{number % 256}") == "127.0.0.1"
    assert len(addresses._known) <= 256
    addresses._known["127.0.0.1"] = "192.0.2.99", 10.0
    assert addresses("127.0.0.1") == "192.0.2.99"
    now = 10.0
    assert addresses("127.0.0.1") == "127.0.0.1"


def test_an_ipv6_socket_has_ipv4_addresses_in_disguise() -> None:
    for host in ("192.0.2.1", "2001:db8::1", "::1"):
        assert plain_host(mapped_host(host)) == plain_host(host) == host


def test_udp_and_tcp_have_the_same_port() -> None:
    udp, tcp = bound_pair("127.0.0.1", 0)
    with udp, tcp:
        assert udp.getsockname() == tcp.getsockname()
        host, port = udp.getsockname()
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            trouble = bind_trouble(host, port, kind)
            assert trouble is not None
            assert trouble.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match="Address already in use"):
            bound_pair(host, port)
        with bound_socket("127.0.0.2", 0) as other:
            assert bind_trouble("127.0.0.2", other.getsockname()[1], socket.SOCK_STREAM) is None


def test_an_exact_ipv6_address_leaves_ipv4_to_others() -> None:
    with bound_socket("::1", 0) as sock, contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", sock.getsockname()[1]))
