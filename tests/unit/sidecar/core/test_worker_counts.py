"""What workers count, and what control makes of it when they come and go."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.histogram import Histogram
from sidecar.core.link import FromWorker, StreamStats
from sidecar.core.stream_tally import COUNTED, StreamTally
from sidecar.core.worker_counts import HISTOGRAMS, CountsTold, WorkerCounted, WorkerTotals

NOTHING: Mapping[str, float] = {}


def over_the_wire(counted: WorkerCounted) -> WorkerCounted:
    message = msgspec.msgpack.decode(msgspec.msgpack.encode(counted), type=FromWorker)
    assert isinstance(message, WorkerCounted)
    return message


def test_an_observation_is_counted_at_the_least_bound_that_it_does_not_exceed() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.observe(value)
    assert (histogram.counts, histogram.total) == ([2, 2, 1], 7.5)


def test_only_what_is_news_is_told() -> None:
    told = CountsTold()
    assert told.tell({"a": {"": 3}, "b": {"x": 0, "y": 2}}, {"waiting": 7}) == WorkerCounted(
        {"a": {"": 3}, "b": {"y": 2}}, {}, {"waiting": 7}
    )
    assert told.tell({"a": {"": 3}, "b": {"x": 1, "y": 2}}, NOTHING) == WorkerCounted({"b": {"x": 1}})
    assert told.tell({"a": {"": 3}, "b": {"x": 1, "y": 2}}, NOTHING) == WorkerCounted()


def test_a_count_that_falls_takes_nothing_back() -> None:
    told, totals = CountsTold(), WorkerTotals()
    for count in (5, 2, 6):
        totals.add(0, told.tell({"a": {"": count}}, NOTHING))
    assert totals.counts == {"a": {"": 6}}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50), st.booleans()), max_size=30))
def test_counters_never_go_backwards_however_often_workers_die(steps: list[tuple[int, int, bool]]) -> None:
    totals, workers = WorkerTotals(), {number: CountsTold() for number in range(3)}
    counted, sizes = dict.fromkeys(range(3), 0), 0
    expected, before = 0, (0.0, 0)
    for worker, more, dies in steps:
        counted[worker] += more
        expected += more
        workers[worker].histograms["grid_late_seconds"].observe(more / 100)
        sizes += 1
        counts = {"packets_received": {"": counted[worker]}}
        totals.add(worker, over_the_wire(workers[worker].tell(counts, {"waiting": float(more)})))
        if dies:
            totals.lost(worker)
            workers[worker], counted[worker] = CountsTold(), 0
        now = totals.counts.get("packets_received", {}).get("", 0), sum(totals.histograms["grid_late_seconds"].counts)
        assert now == (expected, sizes)
        assert now >= before
        before = now


def test_what_waits_in_a_worker_is_gone_with_it() -> None:
    totals = WorkerTotals()
    totals.add(0, WorkerCounted(levels={"waiting": 3.0}))
    totals.add(1, WorkerCounted(levels={"waiting": 4.0}))
    assert totals.level("waiting") == 7.0
    totals.lost(0)
    totals.lost(0)
    assert totals.level("waiting") == 4.0


def test_sizes_are_told_once() -> None:
    told, totals = CountsTold(), WorkerTotals()
    told.histograms["rtp_batch_datagrams"].observe(3)
    totals.add(0, told.tell({}, NOTHING))
    told.histograms["rtp_batch_datagrams"].observe(5)
    totals.add(0, told.tell({}, NOTHING))
    totals.add(0, told.tell({}, NOTHING))
    observed = totals.histograms["rtp_batch_datagrams"]
    assert (sum(observed.counts), observed.total) == (2, 8.0)
    assert set(totals.histograms) == set(HISTOGRAMS)


def test_a_leg_is_counted_as_it_goes_on_and_once() -> None:
    tally = StreamTally()
    tally.note("one", StreamStats(packets_received=10, underruns=1))
    tally.note("two", StreamStats(packets_received=5))
    tally.note("one", StreamStats(packets_received=30, underruns=1))
    tally.end("one", StreamStats(packets_received=31, underruns=2))
    assert (tally.totals["packets_received"], tally.totals["underruns"]) == (36, 2)
    tally.note("one", StreamStats(packets_received=4))  # another, of the same name
    assert tally.totals["packets_received"] == 40


def test_all_that_is_counted_of_a_stream_only_grows() -> None:
    may_fall = {"jitter_ms", "remote_loss", "remote_jitter_ms", "round_trip_ms", "mos", "remote_mos"}
    may_fall |= {"response_ms_last", "response_ms_mean", "response_ms_max"}
    assert set(COUNTED) == set(StreamStats.__struct_fields__) - may_fall
