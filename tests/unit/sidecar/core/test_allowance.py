from __future__ import annotations

from sidecar.core.allowance import Allowance


def test_so_many_at_once_and_so_many_a_second() -> None:
    allowance = Allowance(per_second=10.0, at_once=3)
    assert [allowance.take(now=1.0) for _ in range(5)] == [True, True, True, False, False]
    assert allowance.take(now=1.1)
    assert not allowance.take(now=1.1)
    assert [allowance.take(now=100.0) for _ in range(4)] == [True, True, True, False]


def test_in_the_long_run_the_rate_decides() -> None:
    allowance = Allowance(per_second=50.0, at_once=10)
    taken = sum(allowance.take(now=at / 1000) for at in range(10_000))
    assert abs(taken - 510) <= 1
