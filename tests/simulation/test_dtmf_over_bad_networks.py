"""Digits over networks that lose, repeat and reorder: none lost, none double. All in virtual time."""

from __future__ import annotations

import pytest

from rtp import DtmfReceiver, DtmfSender, RtpPacket
from tests.support.simulation import Link, Simulation

DIALLED = "0123456789*#ABCD" * 5 + "11223344556677889900"


class Dialling:
    """A sender and a receiver with a bad network between them."""

    def __init__(self, simulation: Simulation, *, loss: float, duration_ms: int) -> None:
        self.heard = ""
        self._simulation = simulation
        self._sender = DtmfSender()
        self._receiver = DtmfReceiver()
        self._timestamp = simulation.random.getrandbits(32)
        self._link = Link(simulation, self._receive, jitter=0.030, loss=loss, duplication=0.05)
        assert self._sender.dial(DIALLED, duration_ms=duration_ms)
        self._tick()

    def _tick(self) -> None:
        for packet in self._sender.packets(self._timestamp):
            self._link.send(bytes(RtpPacket(101, 0, packet.timestamp, 1, packet.payload, packet.marker)))
        self._timestamp = (self._timestamp + 160) % (1 << 32)
        self._simulation.call_at(self._simulation.now + 0.020, self._tick)

    def _receive(self, data: bytes) -> None:
        packet = RtpPacket.parse(data)
        self._receiver.receive(packet.payload, packet.timestamp, now=self._simulation.now)
        self._drain()

    def _handle_timeout(self) -> None:
        self._receiver.handle_timeout(now=self._simulation.now)
        self._drain()

    def _drain(self) -> None:
        while (digit := self._receiver.next_event()) is not None:
            self.heard += digit.digit
        if (at := self._receiver.next_timeout()) is not None:
            self._simulation.call_at(at, self._handle_timeout)


@pytest.mark.parametrize(("duration_ms", "seconds"), [(25, 5.0), (40, 8.0), (100, 16.0)])
def test_at_five_percent_loss_every_digit_arrives_once(duration_ms: int, seconds: float) -> None:
    """The first is twenty digits a second."""
    for seed in range(60):
        simulation = Simulation(seed=seed)
        call = Dialling(simulation, loss=0.05, duration_ms=duration_ms)
        simulation.run(until=seconds + 1)
        assert call.heard == DIALLED, f"seed {seed}"
