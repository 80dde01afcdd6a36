"""Which worker gets the next stream."""

from __future__ import annotations

from sidecar.core.link import WorkerLoad
from sidecar.core.workers import CALM_SECONDS, Workers

LATE, BETWEEN, IN_TIME = WorkerLoad(late_p99_ms=21.0), WorkerLoad(late_p99_ms=15.0), WorkerLoad(late_p99_ms=2.0)


def workers_of(count: int, *, late_ms: float = 20.0) -> Workers:
    workers = Workers(late_ms=late_ms)
    for number in range(count):
        workers.ready(number, 40000 + 2 * number)
    return workers


def placed(workers: Workers, stream: str) -> int:
    worker = workers.choose()
    assert worker is not None
    workers.place(stream, worker)
    return worker


def test_no_stream_is_taken_before_a_worker_is_ready() -> None:
    workers = workers_of(0)
    assert workers.choose() is None
    assert workers.why_not == "No Media Worker Is Ready"
    workers.ready(0, 40000)
    assert workers.choose() == 0
    assert workers.why_not is None
    assert workers.port(0) == 40000


def test_the_worker_with_the_fewest_streams_gets_the_next() -> None:
    workers = workers_of(3)
    assert [placed(workers, f"s{number}") for number in range(6)] == [0, 1, 2, 0, 1, 2]
    workers.forget("s4")
    assert placed(workers, "s6") == 1
    assert [reading.streams for reading in workers.readings()] == [2, 2, 2]


def test_a_leg_goes_to_the_worker_of_the_other_whatever_that_does() -> None:
    workers = workers_of(2)
    assert placed(workers, "left") == 0
    workers.loaded(0, LATE, now=1.0)
    assert workers.choose(beside="left") == 0
    assert workers.choose(beside="unknown") == 1


def test_a_worker_that_is_late_gets_no_streams_until_it_has_been_in_time_for_a_while() -> None:
    workers = workers_of(2)
    workers.loaded(0, LATE, now=0.0)
    assert [placed(workers, f"s{number}") for number in range(3)] == [1, 1, 1]
    assert [reading.late for reading in workers.readings()] == [True, False]
    workers.loaded(0, BETWEEN, now=CALM_SECONDS)  # better, but not well
    workers.loaded(0, IN_TIME, now=CALM_SECONDS + 1)
    assert workers.choose() == 1
    workers.loaded(0, BETWEEN, now=2 * CALM_SECONDS - 0.1)
    workers.loaded(0, IN_TIME, now=3 * CALM_SECONDS)
    assert workers.choose() == 0
    workers.loaded(0, BETWEEN, now=3 * CALM_SECONDS + 1)  # who was in time may be as late as that
    assert workers.choose() == 0


def test_where_all_are_late_nobody_gets_a_stream() -> None:
    workers = workers_of(2)
    for number in range(2):
        workers.loaded(number, LATE, now=0.0)
    assert workers.choose() is None
    assert workers.why_not == "Overloaded"


def test_without_a_limit_lateness_does_not_matter() -> None:
    workers = workers_of(1, late_ms=0.0)
    workers.loaded(0, LATE, now=0.0)
    assert workers.choose() == 0
    assert workers.readings()[0].load == LATE


def test_a_worker_that_is_lost_had_these_streams() -> None:
    workers = workers_of(2)
    for number in range(4):
        placed(workers, f"s{number}")
    assert workers.lost(0) == ["s0", "s2"]
    assert workers.worker_of("s0") is None
    assert workers.worker_of("s1") == 1
    workers.forget("s0")  # says call control later
    assert workers.lost(7) == []  # never was
    assert workers.lost_workers == 1
    assert workers.choose() == 1
    workers.ready(0, 40000)
    assert workers.choose() == 0
