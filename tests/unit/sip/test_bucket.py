from __future__ import annotations

from sip.admission import Bucket


def test_so_many_at_once_and_so_many_a_second() -> None:
    allowance = Bucket(10.0, 3)
    assert [allowance.take(now=1.0) for _ in range(5)] == [True, True, True, False, False]
    assert allowance.take(now=1.1)
    assert not allowance.take(now=1.1)
    assert [allowance.take(now=100.0) for _ in range(4)] == [True, True, True, False]


def test_in_the_long_run_the_rate_decides() -> None:
    allowance = Bucket(50.0, 10)
    taken = sum(allowance.take(now=at / 1000) for at in range(10_000))
    assert abs(taken - 510) <= 1


def test_many_may_be_taken_at_once_or_none() -> None:
    allowance = Bucket(10.0, 30)
    assert allowance.take(now=0.0, count=20)
    assert not allowance.take(now=0.0, count=20)
    assert allowance.take(now=0.0, count=10)
