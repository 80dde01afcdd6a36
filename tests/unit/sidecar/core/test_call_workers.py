"""Calls on several media workers: who is asked, what happens when one dies, overload, and draining."""

from __future__ import annotations

from sidecar.core.events import Disconnected
from sidecar.core.link import (
    BotConnected,
    BotFailed,
    BotText,
    CloseStream,
    StreamEnded,
    StreamRefused,
    StreamStats,
    WorkerLoad,
    WorkerReady,
)
from sidecar.core.worker_counts import WorkerCounted
from sip import CallAnswered, CallEnded, EndCause, Request, Response, SessionDescription
from tests.support.call_rig import BOT, CallRig

ANY_BOT = {"X-STREAM_URL": BOT}
LATE, IN_TIME = WorkerLoad(streams=1, late_p99_ms=30.0, late_max_ms=40.0, busy=0.97), WorkerLoad(busy=0.1)


def rig_with_workers(count: int = 2) -> CallRig:
    rig = CallRig(ready=False, late_ms=20.0)
    for number in range(count):
        rig.worker_says(WorkerReady(40000 + 2 * number), worker=number)
    return rig


def connected(rig: CallRig, headers: dict[str, str] | None = None) -> str:
    """Place a call whose bot is there; return its stream."""
    rig.call(headers or ANY_BOT)
    stream = rig.stream
    rig.worker_says(BotConnected(stream), worker=rig.control.workers.worker_of(stream) or 0)
    return stream


def lose(rig: CallRig, worker: int) -> None:
    rig.control.worker_lost(worker, "the media worker died", now=rig.simulation.now)
    rig.run(1.0)


def refusal(rig: CallRig) -> Response:
    ended = rig.heard[-1]
    assert isinstance(ended, CallEnded)
    assert isinstance(ended.message, Response)
    return ended.message


def reason(ended: CallEnded) -> str | None:
    assert ended.cause is EndCause.REMOTE_BYE
    assert isinstance(ended.message, Request)
    return ended.message.headers.get("Reason")


def test_calls_are_spread_and_each_is_told_the_port_of_its_worker() -> None:
    rig = rig_with_workers()
    streams = [connected(rig) for _ in range(3)]
    assert [rig.control.workers.worker_of(stream) for stream in streams] == [0, 1, 0]
    answers = [event.response.body for event in rig.heard if isinstance(event, CallAnswered)]
    assert [SessionDescription.parse(answer).media[0].port for answer in answers] == [40000, 40002, 40000]


def test_a_stream_that_has_stopped_stops_no_second_time_when_its_worker_dies() -> None:
    rig = rig_with_workers(1)
    stream = connected(rig)
    rig.worker_says(StreamEnded(stream, StreamStats()))
    lose(rig, 0)
    assert [event.kind for event in rig.events].count("stop") == 1
    assert not rig.control.calls


def test_a_worker_that_dies_ends_its_calls_and_no_other() -> None:
    rig = rig_with_workers()
    first, second, third = (connected(rig) for _ in range(3))
    lose(rig, 0)
    ended = [event for event in rig.heard if isinstance(event, CallEnded)]
    assert [reason(each) for each in ended] == ['Q.850;cause=41;text="the media worker died"'] * 2
    for stream in (first, third):
        events = [event for event in rig.events if event.stream == stream]
        assert [event.kind for event in events] == ["start", "connect", "error", "disconnect", "stop"]
        assert events[2].body.value() == {"status": "error", "message": {"code": 1, "error": "the media worker died"}}
        assert events[3].body.value() == {
            "status": "disconnected",
            "message": {"code": 1006, "reason": "the media worker died"},
        }
    assert rig.control.calls == 1
    assert not [message for message in rig.told if isinstance(message, CloseStream)]  # nobody would hear it
    rig.worker_says(BotText(second, "still here"), worker=1)
    assert rig.events[-1].body.value() == "still here"


def test_calls_that_are_not_answered_yet_get_503_when_their_worker_dies() -> None:
    rig = rig_with_workers()
    rig.call(ANY_BOT)
    lose(rig, 0)
    assert refusal(rig).status == 503
    assert refusal(rig).headers.get("Retry-After") == "5"
    rig.run(40.0)
    assert rig.control.calls == 0


def test_a_call_that_has_ended_needs_no_more_of_a_worker_that_dies() -> None:
    rig = rig_with_workers()
    call = rig.call(ANY_BOT)
    rig.hang_up(call)  # the worker has yet to say how it was
    lose(rig, 0)
    assert rig.event_kinds() == ["start", "stop"]
    assert rig.control.calls == 0


def test_after_a_worker_died_the_others_take_calls_and_the_next_one_does() -> None:
    rig = rig_with_workers()
    lose(rig, 0)
    assert rig.control.workers.worker_of(connected(rig)) == 1
    lose(rig, 1)
    rig.call(ANY_BOT)
    assert (refusal(rig).status, refusal(rig).reason) == (503, "No Media Worker Is Ready")
    rig.worker_says(WorkerReady(40000), worker=0)
    assert rig.control.workers.worker_of(connected(rig)) == 0


def test_overloaded_workers_take_no_calls_until_they_are_in_time_again() -> None:
    rig = rig_with_workers(1)
    stream = connected(rig)
    rig.worker_says(LATE)
    rig.call(ANY_BOT)
    assert (refusal(rig).status, refusal(rig).reason) == (503, "Overloaded")
    assert refusal(rig).headers.get("Retry-After") == "5"
    told = rig.control.readiness()
    assert not told.ready
    assert (told.why_not, told.calls, told.late_ms, told.draining) == ("Overloaded", 1, 20.0, False)
    assert [(each.worker, each.late, each.streams, each.load) for each in told.workers] == [(0, True, 1, LATE)]
    rig.run(4.0)
    rig.worker_says(IN_TIME)
    assert rig.control.readiness().ready
    connected(rig)
    rig.worker_says(BotText(stream, "all the time"))
    assert rig.events[-1].body.value() == "all the time"


def test_as_many_calls_as_there_may_be_are_too_many_for_one_more() -> None:
    rig = rig_with_workers(1)
    rig.agent._max_calls = 1
    connected(rig)
    told = rig.control.readiness()
    assert (told.why_not, told.calls, told.max_calls) == ("Too many calls", 1, 1)


def test_draining_refuses_new_calls_and_lets_live_ones_be() -> None:
    rig = rig_with_workers(1)
    stream = connected(rig)
    rig.control.drain()
    assert rig.control.readiness().draining
    rig.call(ANY_BOT)
    assert (refusal(rig).status, refusal(rig).reason) == (503, "Draining")
    rig.worker_says(WorkerReady(40002), worker=1)  # one that was being restarted
    assert rig.control.readiness().why_not == "Draining"
    rig.worker_says(BotText(stream, "and on"))
    assert rig.events[-1].body.value() == "and on"
    assert rig.control.calls == 1


def test_at_the_end_bots_are_told_that_the_sidecar_goes_away() -> None:
    rig = rig_with_workers(1)
    stream = connected(rig)
    rig.control.hang_up_all(now=rig.simulation.now)
    rig.run(1.0)
    assert rig.told[-1] == CloseStream(stream, 1001, "the sidecar stops")
    ended = rig.heard[-1]
    assert isinstance(ended, CallEnded)
    assert reason(ended) == 'Q.850;cause=41;text="the sidecar stops"'
    rig.worker_says(StreamEnded(stream, StreamStats()))
    gone = next(event for event in rig.events if event.kind == "disconnect")
    assert isinstance(gone.body, Disconnected)
    assert gone.body.message.code == 1001


def test_a_stream_whose_bot_failed_and_whose_worker_died_is_told_once_of_the_end() -> None:
    rig = rig_with_workers(1)
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": "immediate", "X-STREAM_ON_BOT_LOST": "keep"})
    rig.worker_says(BotFailed(rig.stream, 6, "Connection refused"))
    lose(rig, 0)
    assert rig.event_kinds() == ["start", "error", "error", "stop"]
    assert rig.control.calls == 0


def test_what_workers_count_is_added_up_and_outlives_them() -> None:
    rig = rig_with_workers()
    rig.worker_says(WorkerCounted({"packets_received": {"": 5}}), worker=0)
    rig.worker_says(WorkerCounted({"packets_received": {"": 7}}), worker=1)
    lose(rig, 0)
    assert rig.control.workers.totals.counts == {"packets_received": {"": 12}}


def test_calls_are_counted_by_state_and_by_how_they_ended() -> None:
    rig = rig_with_workers(1)
    figures = rig.control.figures
    stream = connected(rig)
    rig.call(ANY_BOT)
    assert rig.control.states() == {"up": 1, "starting": 1}
    assert (sum(figures.set_up.counts), figures.set_up.total < 1.0) == (1, True)
    rig.worker_says(StreamRefused(rig.stream, "no room"))
    rig.worker_says(BotFailed(stream, 6, "Connection refused"))
    assert rig.control.states() == {"ending": 1}
    rig.worker_says(StreamEnded(stream, StreamStats()))
    rig.call({"X-STREAM_URL": "no URL"})
    assert figures.refused == {400: 1}
    assert figures.errors == {1: 1, 6: 1, 4: 1}
    assert figures.legs_refused == 1
    assert figures.ended == {"rejected": 2, "local_bye": 1}
    assert (rig.control.ports_refused, rig.control.infos_refused) == (0, 0)
