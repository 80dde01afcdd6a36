"""Pairs of ports: even ones, each for one call, rested before the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import PortAllocator


def test_pairs_are_even_and_within_the_range() -> None:
    ports = PortAllocator(20001, 20008)
    assert [ports.take(now=0.0) for _ in range(4)] == [20002, 20004, 20006, None]
    assert ports.taken == 3
    assert ports.refused == 1


def test_a_pair_rests_before_it_is_used_again() -> None:
    ports = PortAllocator(20000, 20003, rest=30.0)
    first, second = ports.take(now=0.0), ports.take(now=0.0)
    assert (first, second) == (20000, 20002)
    ports.give_back(20002, now=10.0)
    ports.give_back(20000, now=20.0)
    assert ports.taken == 0
    assert ports.take(now=39.9) is None
    assert ports.take(now=40.0) == 20002
    assert ports.take(now=45.0) is None
    assert ports.take(now=50.0) == 20000


def test_the_longest_rested_goes_first() -> None:
    ports = PortAllocator(20000, 20005, rest=0.0)
    assert ports.take(now=0.0) == 20000
    ports.give_back(20000, now=0.0)
    assert ports.take(now=1.0) == 20002


@pytest.mark.parametrize(("low", "high"), [(20000, 20000), (20001, 20002), (0, 10), (65535, 65536), (30000, 20000)])
def test_a_range_without_a_pair_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"between {low} and {high}"):
        PortAllocator(low, high)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20)), max_size=60))
def test_no_pair_is_ever_in_two_calls_or_used_too_soon(steps: list[tuple[bool, float]]) -> None:
    ports, now, held, rested = PortAllocator(20000, 20009), 0.0, list[int](), dict[int, float]()
    for take, later in steps:
        now += later
        if take:
            port = ports.take(now=now)
            if port is None:
                assert len(held) == 5 or any(at > now for at in rested.values())
                continue
            assert port not in held
            assert rested.pop(port, now) <= now
            held.append(port)
        elif held:
            port = held.pop(0)
            ports.give_back(port, now=now)
            rested[port] = now + 30.0
        assert ports.taken == len(held)
