"""Ports of their own, on real sockets of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from rtp import Report, RtpPacket, SenderReport, compound
from sidecar.core.legs import port_key
from sidecar.core.link import MediaLeg, SrtpKeys
from sidecar.io.port_pairs import PortPairs
from sidecar.io.readiness import open_readiness
from tests.support.media_caller import bound_pair, new_socket
from tests.support.ports import LOOPBACK

PACKET = bytes(RtpPacket(0, 1, 160, 7, b"\xff" * 160))
FORGED = b"forged"
REPORT = compound([SenderReport(7, 0, 0, 0, 0)])


class Worker:
    """Takes what a `PortPairs` reads."""

    def __init__(self) -> None:
        self.sockets = PortPairs(LOOPBACK)
        self.readiness = open_readiness(asyncio.get_running_loop())
        self.sockets.watch(self.readiness, self._on_datagrams, lambda data, key: self.reports.append((data, key)))
        self.datagrams: list[tuple[bytes, int]] = []
        self.reports: list[tuple[bytes, int]] = []

    def _on_datagrams(self, count: int) -> bool:
        for at in range(count):
            length = int(self.sockets.lengths[at])
            self.datagrams.append((self.sockets.data[at, :length].tobytes(), int(self.sockets.sources[at])))
        return not any(FORGED in data for data, _ in self.datagrams[-count:])

    def send(self, data: bytes, port: int) -> None:
        self.sockets.packets[0, : len(data)] = memoryview(data)
        self.sockets.packet_lengths[0], self.sockets.destinations[0] = len(data), port_key(port)
        self.sockets.send(1)

    def close(self) -> None:
        self.readiness.close()
        self.sockets.close()


def free_pair() -> int:
    rtp, rtcp = bound_pair()
    port: int = rtp.getsockname()[1]
    rtp.close()
    rtcp.close()
    return port


def leg_of(sock: socket.socket, rtcp_port: int = 0) -> MediaLeg:
    port: int = sock.getsockname()[1]
    return MediaLeg("PCMU", 0, 0, LOOPBACK, port, [], rtcp_port=rtcp_port)


def received(sock: socket.socket) -> bytes | None:
    try:
        return sock.recv(2048)
    except BlockingIOError:
        return None


@pytest.fixture
def telephones() -> Iterator[tuple[socket.socket, socket.socket]]:
    with new_socket() as one, new_socket() as other:
        yield one, other


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0.005)


async def test_of_an_encrypted_leg_the_first_genuine_packet_is_believed(
    telephones: tuple[socket.socket, socket.socket],
) -> None:
    stranger, real = telephones
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(30), "AES_CM_128_HMAC_SHA1_80", bytes(30))
    worker, port, plain = Worker(), free_pair(), free_pair()
    worker.sockets.open_leg(port, replace(leg_of(stranger), srtp=keys))
    worker.sockets.open_leg(plain, leg_of(real))
    for data, sock, to in (
        (bytes(RtpPacket(0, 1, 160, 7, FORGED)), stranger, port),
        (PACKET, real, plain),
        (PACKET, real, port),
        (PACKET, stranger, port),
    ):
        sock.sendto(data, (LOOPBACK, to))
        await settle()
    assert worker.datagrams.count((PACKET, port_key(port))) == 1
    assert worker.datagrams.count((PACKET, port_key(plain))) == 1
    assert worker.sockets.unknown_source == 2
    worker.send(b"to whom it proved", port)
    await settle()
    assert (received(real), received(stranger)) == (b"to whom it proved", None)
    worker.close()


async def test_audio_goes_where_it_comes_from_until_the_leg_is_changed(
    telephones: tuple[socket.socket, socket.socket],
) -> None:
    said, real = telephones
    worker, port = Worker(), free_pair()
    unknown = worker.sockets.open_leg(port, leg_of(said))
    worker.send(b"before", port)
    for sock in (real, said):
        for _ in range(20):
            sock.sendto(PACKET, (LOOPBACK, port))
        await settle()
    worker.send(b"after", port)
    await settle()
    assert worker.datagrams == [(PACKET, port_key(port))] * 20
    assert (received(said), received(said), received(real)) == (b"before", None, b"after")
    assert worker.sockets.unknown_source == 20
    now = asyncio.get_running_loop().time()
    assert unknown.likeliest(LOOPBACK, now=now) == said.getsockname()
    worker.sockets.change_leg(port, leg_of(said))
    said.sendto(PACKET, (LOOPBACK, port))
    await settle()
    assert len(worker.datagrams) == 21
    worker.sockets.close_leg(port)
    worker.close()


async def test_before_a_leg_is_known_nobody_is_heard_and_nothing_is_sent(
    telephones: tuple[socket.socket, socket.socket],
) -> None:
    worker, port = Worker(), free_pair()
    worker.sockets.open_leg(port, None)
    telephones[0].sendto(PACKET, (LOOPBACK, port))
    telephones[0].sendto(REPORT, (LOOPBACK, port + 1))
    worker.send(b"x", port)
    worker.sockets.send_report(Report(b"x", port_key(port), False))
    await settle()
    assert (worker.datagrams, worker.reports) == ([], [])
    worker.close()


async def test_reports_go_to_the_next_port_or_where_they_come_from(
    telephones: tuple[socket.socket, socket.socket],
) -> None:
    said, real = telephones
    worker, port = Worker(), free_pair()
    worker.sockets.open_leg(port, leg_of(said, rtcp_port=said.getsockname()[1]))
    report = Report(b"report", port_key(port), False)
    worker.sockets.send_report(report)
    real.sendto(REPORT, (LOOPBACK, port + 1))
    await settle()
    assert worker.reports == [(REPORT, port_key(port))]
    worker.sockets.send_report(report)
    worker.sockets.send_report(Report(b"muxed", port_key(port), True))
    await settle()
    assert (received(said), received(said), received(real)) == (b"report", b"muxed", b"report")
    worker.close()


async def test_a_port_that_is_taken_is_not_opened(telephones: tuple[socket.socket, socket.socket]) -> None:
    worker, (rtp, rtcp) = Worker(), bound_pair()
    port: int = rtp.getsockname()[1]
    with rtp, rtcp:
        with pytest.raises(OSError, match="in use"):
            worker.sockets.open_leg(port, leg_of(telephones[0]))
        rtp.close()
        with pytest.raises(OSError, match="in use"):
            worker.sockets.open_leg(port, leg_of(telephones[0]))
    worker.sockets.open_leg(port, leg_of(telephones[0]))
    worker.close()
