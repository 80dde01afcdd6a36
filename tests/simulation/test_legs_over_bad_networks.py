"""Digits, encryption and reports through all that a media worker has of a leg, over bad networks, in virtual time."""

from __future__ import annotations

import pytest

from sidecar.core.link import DigitHeard
from tests.support.leg_end import LegEnd, call, leg_to, secure_leg_to
from tests.support.simulation import Simulation

DIALLED = "0123456789*#ABCD" * 5 + "11223344556677889900"


def digits(end: LegEnd) -> str:
    return "".join(said.digit for said in end.said if isinstance(said, DigitHeard))


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(("codec", "ptime_ms"), [("PCMU", 20), ("L16_16K", 40)])
def test_twenty_digits_a_second_arrive_once_each_in_both_directions(secure: bool, codec: str, ptime_ms: int) -> None:
    for seed in range(8):
        simulation = Simulation(seed=seed)
        make = secure_leg_to if secure else leg_to
        legs = {"one": make(1, codec=codec, ptime_ms=ptime_ms), "other": make(0, codec=codec, ptime_ms=ptime_ms)}
        ends = call(simulation, **legs, loss=0.05, jitter=0.02, duplication=0.05)
        simulation.run(until=0.2)
        for end in ends:
            assert end.legs.dial(end.row, DIALLED, duration_ms=25)
        simulation.run(until=6.5)
        for end in ends:
            assert digits(end) == DIALLED, f"seed {seed}"


def test_an_encrypted_call_is_heard_and_reported_on() -> None:
    simulation = Simulation(seed=3)
    one, other = call(simulation, one=secure_leg_to(1), other=secure_leg_to(0), loss=0.1, jitter=0.02)
    simulation.run(until=40.0)
    stats = one.legs.close(one.row, now=simulation.now, wall_clock=simulation.now)
    assert stats.packets_received == pytest.approx(0.9 * 2000, abs=60)
    assert stats.packets_unauthentic == 0
    assert stats.remote_loss == pytest.approx(0.1, abs=0.08)
    assert stats.round_trip_ms == pytest.approx(20, abs=45)
    assert stats.mos is not None
    assert 2.0 < stats.mos < 4.3
    assert len(other.heard) == pytest.approx(2000, abs=30)
