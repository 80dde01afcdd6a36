"""RTP that nobody has read in time is not worked off."""

from __future__ import annotations

from sidecar.core.backlog import STALE_AFTER, Backlog

MOST = 100
CALLS = 20  # who say so much in 100 ms


def turned(backlog: Backlog, *, since: float, until: float) -> None:
    """Let the event loop come round every 5 ms."""
    for number in range(round((until - since) / 0.005) + 1):
        backlog.turn(now=since + 0.005 * number)


def new_backlog(*, now: float) -> Backlog:
    backlog = Backlog(most=MOST)
    backlog.begin(now=now)
    return backlog


def test_what_is_read_as_it_comes_is_fresh_and_so_is_the_first_after_a_silence() -> None:
    backlog = new_backlog(now=10.0)
    assert not backlog.is_stale(5, calls=CALLS, now=10.001)
    turned(backlog, since=10.0, until=20.0)
    assert not backlog.is_stale(5, calls=CALLS, now=20.001)


def test_after_a_stall_all_that_waited_is_stale_and_what_follows_is_not() -> None:
    backlog = new_backlog(now=10.0)
    turned(backlog, since=10.0, until=11.0)
    assert backlog.is_stale(MOST, calls=CALLS, now=12.0)
    backlog.turn(now=12.001)
    assert backlog.is_stale(MOST, calls=CALLS, now=12.002)
    assert backlog.is_stale(MOST - 1, calls=CALLS, now=12.003)
    assert not backlog.is_stale(MOST, calls=CALLS, now=12.004)


def test_who_is_a_little_late_all_the_time_is_not_stale() -> None:
    """Every read is full, and leaves something: but time goes on in what is read as fast as in the world."""
    backlog = new_backlog(now=10.0)
    for number in range(100):
        backlog.turn(now=10.1 + 0.1 * number)
        assert not backlog.is_stale(MOST, calls=CALLS, now=10.1 + 0.1 * number)


def test_of_a_longer_stall_only_what_is_old_is_dropped() -> None:
    backlog = new_backlog(now=10.0)
    stale = [backlog.is_stale(MOST, calls=CALLS, now=11.0) for _ in range(12)]
    assert all(stale[:8])
    assert not any(stale[9:])


def test_the_turn_that_comes_before_the_read_makes_nothing_fresh() -> None:
    backlog = new_backlog(now=10.0)
    turned(backlog, since=10.0, until=11.0)
    backlog.turn(now=12.0)
    assert backlog.is_stale(1, calls=CALLS, now=12.001)


def test_a_short_stall_is_worked_off() -> None:
    backlog = new_backlog(now=10.0)
    assert not backlog.is_stale(MOST, calls=CALLS, now=10.1)
    assert not backlog.is_stale(3, calls=CALLS, now=10.11)


def test_who_never_comes_to_the_end_begins_afresh_now_and_then() -> None:
    """Twice as much comes as can be done: of what is worked off, nothing is older than it may be."""
    backlog, now, oldest, done, dropped = new_backlog(now=0.0), 0.0, 0.0, 0, 0
    waiting: list[float] = []
    arrivals = iter(number * 0.001 for number in range(100_000))
    following = next(arrivals)
    while now < 5.0:
        backlog.turn(now=now)
        while following <= now:
            waiting.append(following)
            following = next(arrivals)
        read, waiting = waiting[:MOST], waiting[MOST:]
        if backlog.is_stale(len(read), calls=CALLS, now=now):
            dropped += len(read)
            now += 0.000_01
        else:
            oldest = max([oldest, *(now - at for at in read)])
            done += len(read)
            now += 0.002 * len(read) + 0.000_01
    assert oldest <= STALE_AFTER + 0.03
    assert 0.4 < done / (done + dropped) < 0.6


def test_the_first_call_after_a_long_silence_is_heard() -> None:
    backlog = new_backlog(now=10.0)
    backlog.begin(now=500.0)
    assert not backlog.is_stale(1, calls=CALLS, now=500.1)
