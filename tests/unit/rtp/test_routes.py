"""The table of source addresses."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import address_key, address_of_key
from rtp.routes import NOBODY, Routes

hosts = st.ip_addresses(v=4).map(str)
ports = st.integers(0, 65535)


@given(hosts, ports)
def test_a_key_is_an_address_and_back(host: str, port: int) -> None:
    assert address_of_key(address_key(host, port)) == (host, port)


@given(hosts, ports)
def test_a_key_is_how_linux_lays_an_address_out(host: str, port: int) -> None:
    raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host)
    assert address_key(host, port) == np.frombuffer(raw, np.uint64)[0]


@pytest.mark.parametrize("host", ["::1", "bot.example", "1.2.3", "1.2.3.4.5", ""])
def test_what_is_no_ipv4_address_has_no_key(host: str) -> None:
    with pytest.raises(ValueError, match=r"IPv4|octet|empty"):
        address_key(host, 4000)


def test_nobody_is_found_in_an_empty_table() -> None:
    assert Routes().find(np.array([1, 2], np.uint64)).tolist() == [NOBODY, NOBODY]


def test_an_address_belongs_to_the_first_that_took_it() -> None:
    routes = Routes()
    assert routes.add(7, 1)
    assert routes.add(7, 1)
    assert not routes.add(7, 2)
    assert len(routes) == 1
    assert routes.find(np.array([7], np.uint64)).tolist() == [1]


def test_the_largest_and_the_smallest_key_are_found() -> None:
    routes = Routes()
    routes.add((1 << 64) - 1, 1)
    routes.add(0, 2)
    assert routes.find(np.array([0, 5, (1 << 64) - 1], np.uint64)).tolist() == [2, NOBODY, 1]


def test_all_addresses_of_a_row_may_be_forgotten_but_some() -> None:
    routes = Routes()
    for key, row in ((1, 0), (2, 0), (3, 0), (4, 1)):
        routes.add(key, row)
    routes.remove_row(0, but=(2, 4))
    assert routes.find(np.array([1, 2, 3, 4], np.uint64)).tolist() == [NOBODY, 0, NOBODY, 1]


keys = st.sampled_from([0, 1, 2, 3, 1 << 62, 1 << 63, (1 << 63) + 1, (1 << 64) - 1])
rows = st.integers(0, 3)


@given(st.lists(st.tuples(keys, rows) | rows))
def test_a_table_does_what_a_dict_does(steps: list[tuple[int, int] | int]) -> None:
    routes, expected = Routes(), dict[int, int]()
    probes = np.array([0, 1, 2, 3, 4, 1 << 62, 1 << 63, (1 << 63) + 1, (1 << 64) - 2, (1 << 64) - 1], np.uint64)
    for step in steps:
        if isinstance(step, int):
            routes.remove_row(step)
            expected = {key: row for key, row in expected.items() if row != step}
        else:
            key, row = step
            assert routes.add(key, row) == (expected.setdefault(key, row) == row)
        assert len(routes) == len(expected)
        assert routes.find(probes).tolist() == [expected.get(int(key), NOBODY) for key in probes]
