"""Both kinds of datagrams do the same on loopback."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from rtp import PACKET_BYTES, address_key
from sidecar.io.datagrams import BATCH, BatchDatagrams, Datagrams, PortableDatagrams, datagrams_on
from sidecar.io.network import bound_socket
from tests.support.ports import LOOPBACK


@pytest.fixture(params=[False, True], ids=["batched", "portable"])
def datagrams(request: pytest.FixtureRequest) -> Iterator[Datagrams]:
    opened = datagrams_on(bound_socket(LOOPBACK, 0), portable=request.param)
    assert isinstance(opened, PortableDatagrams if request.param else BatchDatagrams | PortableDatagrams)
    yield opened
    opened.close()


@pytest.fixture
def peers() -> Iterator[list[socket.socket]]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for sock in sockets:
        sock.bind((LOOPBACK, 0))
        sock.settimeout(2.0)
    yield sockets
    for sock in sockets:
        sock.close()


def fill(datagrams: Datagrams, destinations: list[tuple[str, int]]) -> None:
    """Put one packet for each destination into the batch, each with its number."""
    for row, (host, port) in enumerate(destinations):
        datagrams.packets[row] = row % 256
        datagrams.packet_lengths[row] = PACKET_BYTES - row
        datagrams.destinations[row] = address_key(host, port)


def test_each_is_received_whole_with_its_length_and_its_source(
    datagrams: Datagrams, peers: list[socket.socket]
) -> None:
    sent = [(peer, bytes([number]) * size) for number, (peer, size) in enumerate(zip(peers, (1, 172, 0), strict=True))]
    for peer, data in sent:
        peer.sendto(data, (LOOPBACK, datagrams.port))
    assert select.select([datagrams.fileno()], [], [], 2.0)[0]
    assert datagrams.receive() == len(sent)
    for row, (peer, data) in enumerate(sent):
        assert datagrams.data[row, : datagrams.lengths[row]].tobytes() == data
        assert datagrams.sources[row] == address_key(*peer.getsockname())
    assert datagrams.receive() == 0


def test_what_the_system_has_dropped_is_known_if_it_tells(datagrams: Datagrams, peers: list[socket.socket]) -> None:
    with socket.fromfd(datagrams.fileno(), socket.AF_INET, socket.SOCK_DGRAM) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    assert datagrams.unread() == 0
    for _ in range(200):
        peers[0].sendto(bytes(172), (LOOPBACK, datagrams.port))
    received = datagrams.receive()
    assert 0 < received < 200
    assert datagrams.unread() == (200 - received if isinstance(datagrams, BatchDatagrams) else 0)


def test_what_is_too_long_is_cut(datagrams: Datagrams, peers: list[socket.socket]) -> None:
    peers[0].sendto(b"x" * 9000, (LOOPBACK, datagrams.port))
    peers[0].sendto(b"next", (LOOPBACK, datagrams.port))
    assert select.select([datagrams.fileno()], [], [], 2.0)[0]
    assert datagrams.receive() == 2
    assert datagrams.lengths[0] == datagrams.data.shape[1]
    assert datagrams.data[1, : datagrams.lengths[1]].tobytes() == b"next"


def test_more_than_a_batch_waits_for_the_next(datagrams: Datagrams, peers: list[socket.socket]) -> None:
    received = 0
    for _ in range(2):
        for number in range(BATCH):
            peers[0].sendto(number.to_bytes(2), (LOOPBACK, datagrams.port))
        received += datagrams.receive()
        assert received % BATCH == 0
        assert int.from_bytes(datagrams.data[BATCH - 1, :2].tobytes()) == BATCH - 1
    assert received == 2 * BATCH


@pytest.mark.parametrize("bad", [("127.0.0.1", 0), ("255.255.255.255", 9)], ids=["no port", "broadcast"])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_bad_destination_costs_the_others_nothing(
    datagrams: Datagrams, peers: list[socket.socket], bad: tuple[str, int], at: int
) -> None:
    destinations = [peer.getsockname() for peer in peers]
    destinations.insert(at, bad)
    fill(datagrams, destinations)
    datagrams.send(len(destinations))
    assert datagrams.send_errors == 1
    for peer in peers:
        data, source = peer.recvfrom(2048)
        number = destinations.index(peer.getsockname())
        assert data == bytes([number]) * (PACKET_BYTES - number)
        assert source == (LOOPBACK, datagrams.port)


def test_only_as_many_are_sent_as_it_is_told(datagrams: Datagrams, peers: list[socket.socket]) -> None:
    fill(datagrams, [peer.getsockname() for peer in peers])
    datagrams.send(1)
    datagrams.send(0)
    assert peers[0].recv(2048) == bytes(PACKET_BYTES)
    for peer in peers:
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(2048)


def test_a_destination_that_is_closed_does_not_stop_receiving(datagrams: Datagrams, peers: list[socket.socket]) -> None:
    closed = peers[2].getsockname()
    peers[2].close()
    fill(datagrams, [closed])
    datagrams.send(1)  # an ICMP error comes back, and waits on our socket
    peers[0].sendto(b"still here", (LOOPBACK, datagrams.port))
    received = 0
    for _ in range(3):
        select.select([datagrams.fileno()], [], [], 0.5)
        received += datagrams.receive()
        if received:
            break
    assert received == 1
    assert datagrams.data[0, : datagrams.lengths[0]].tobytes() == b"still here"


def test_a_port_that_is_taken_is_an_os_error_and_leaves_no_socket(datagrams: Datagrams) -> None:
    with pytest.raises(OSError, match="in use"):
        bound_socket(LOOPBACK, datagrams.port)
