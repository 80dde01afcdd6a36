"""A stream with two calls: who may be the second, and what becomes of the stream as each comes and goes."""

from __future__ import annotations

from typing import Any

import pytest

from rtp import PortAllocator
from sidecar.core.commands import Dial
from sidecar.core.joining import JOIN_SECONDS, Joinable, Owner, check_join
from sidecar.core.link import (
    BotConnected,
    BotFailed,
    ChangeLeg,
    CloseStream,
    DigitHeard,
    HangupAsked,
    JoinStream,
    LeaveStream,
    LegChanged,
    LegJoined,
    LegLeft,
    LegRefused,
    MediaLost,
    NothingHeard,
    OpenStream,
    SendDigits,
    StartMedia,
    StreamEnded,
    StreamRefused,
    StreamStats,
    WorkerReady,
)
from sidecar.core.options import OptionError, Profile, StreamOptions, Track
from sip import (
    CallAnswered,
    CallEnded,
    CallRef,
    Codec,
    EndCause,
    MediaCapabilities,
    OfferAnswered,
    Origin,
    Request,
    Response,
    make_offer,
)
from tests.support.call_rig import BOT, CallRig

CALLER = {"X-STREAM_URL": BOT, "X-STREAM_ID": "pair", "X-STREAM_TRACK": "caller", "X-STREAM_CALL": "uuid-1"}
CALLEE = {**CALLER, "X-STREAM_TRACK": "callee"}
STREAM, SECOND = "pair", "pair callee"


def two_legs(rig: CallRig, **options: str) -> tuple[CallRef, CallRef]:
    """Let both legs come, and the bot after them."""
    headers = {f"X-STREAM_{name.upper()}": value for name, value in options.items()}
    first, second = rig.call({**CALLER, **headers}), rig.call({**CALLEE, **headers})
    rig.worker_says(LegJoined(SECOND))
    rig.worker_says(BotConnected(STREAM))
    return first, second


def answered(rig: CallRig) -> list[CallRef]:
    return [event.call for event in rig.heard if isinstance(event, CallAnswered)]


def ended(rig: CallRig) -> dict[CallRef, CallEnded]:
    return {event.call: event for event in rig.heard if isinstance(event, CallEnded)}


def refusal(rig: CallRig, call: CallRef) -> Response:
    message = ended(rig)[call].message
    assert isinstance(message, Response)
    return message


def goodbye(rig: CallRig, call: CallRef) -> str | None:
    message = ended(rig)[call].message
    assert isinstance(message, Request)
    return message.headers.get("Reason")


def legs_told(rig: CallRig) -> list[Any]:
    return [event.body.value() for event in rig.events if event.kind == "leg"]


def assert_nothing_is_left(rig: CallRig) -> None:
    rig.run(40.0)
    assert rig.control.calls == 0
    assert rig.control.workers.worker_of(STREAM) is None
    assert rig.control.workers.worker_of(SECOND) is None
    assert rig.agent.idle
    assert rig.caller.idle


# --- both come


def test_two_calls_with_one_id_are_one_stream() -> None:
    rig = CallRig()
    first, second = two_legs(rig)
    opened, joined, *started = rig.told
    assert isinstance(opened, OpenStream)
    assert isinstance(joined, JoinStream)
    assert (opened.stream, opened.options.call) == (STREAM, "uuid-1")
    assert (joined.stream, joined.of, joined.track) == (SECOND, STREAM, Track.CALLEE)
    assert joined.leg is not None
    assert joined.leg.port == 30000
    assert started == [StartMedia(STREAM), StartMedia(SECOND)]
    assert answered(rig) == [first, second]
    assert rig.event_kinds() == ["start", "leg", "connect"]
    assert {event.call for event in rig.events} == {"uuid-1"}
    told = legs_told(rig)[0]
    assert (told["status"], told["track"], told["warnings"]) == ("joined", "callee", [])
    assert told["from"] == "sip:caller@127.0.0.1"
    assert rig.control.calls == 1
    assert [each.id for each in rig.control.streams()] == [STREAM]


def test_a_leg_that_comes_later_is_answered_once_the_worker_has_it() -> None:
    rig = CallRig()
    first = rig.call(CALLER)
    rig.worker_says(BotConnected(STREAM))
    assert answered(rig) == [first]
    second = rig.call(CALLEE)
    assert answered(rig) == [first]
    rig.worker_says(LegJoined(SECOND))
    assert answered(rig) == [first, second]


def test_the_callee_may_be_the_first() -> None:
    rig = CallRig()
    first, second = rig.call(CALLEE), rig.call(CALLER)
    assert isinstance(rig.told[-1], JoinStream)
    assert (rig.told[-1].stream, rig.told[-1].track) == ("pair caller", Track.CALLER)
    rig.worker_says(LegJoined("pair caller"))
    rig.worker_says(BotConnected(STREAM))
    assert answered(rig) == [first, second]


def test_a_leg_that_says_no_track_is_the_callers() -> None:
    rig = CallRig()
    rig.call(CALLEE)
    rig.call({name: value for name, value in CALLER.items() if not name.endswith("TRACK")})
    assert isinstance(rig.told[-1], JoinStream)
    assert rig.told[-1].track is Track.CALLER


def test_a_stream_that_is_answered_at_once_answers_both_legs_so() -> None:
    rig = CallRig()
    first = rig.call({**CALLER, "X-STREAM_ANSWER": "immediate"})
    second = rig.call(CALLEE)
    rig.worker_says(LegJoined(SECOND))
    assert answered(rig) == [first, second]


def test_early_media_is_for_both_legs() -> None:
    rig = CallRig()
    rig.call({**CALLER, "X-STREAM_ANSWER": "early"})
    second = rig.call(CALLEE)
    rig.worker_says(LegJoined(SECOND))
    assert rig.told[-1:] == [StartMedia(SECOND, receives=False)]
    assert answered(rig) == []
    rig.hang_up(second)
    assert rig.told[-1:] == [LeaveStream(SECOND)]


def test_other_options_of_the_second_leg_are_those_of_the_first_and_need_not_be_given() -> None:
    rig = CallRig()
    rig.call({**CALLER, "X-STREAM_MIX": "stereo", "X-STREAM_RATE": "16k"})
    contradicting = {**CALLEE, "X-STREAM_MIX": "mono", "X-STREAM_RATE": "16000", "X-STREAM_FOO": "1"}
    del contradicting["X-STREAM_URL"]
    rig.call(contradicting)
    assert legs_told(rig)[0]["warnings"] == [
        "mix: that of the first leg holds, ignored",
        "foo: no such option, ignored",
    ]


def test_each_leg_has_a_port_of_its_own_where_calls_have() -> None:
    ports = PortAllocator(20000, 20003)
    rig = CallRig(ports=ports)
    first, second = two_legs(rig)
    opened, joined, *_ = rig.told
    assert isinstance(opened, OpenStream)
    assert isinstance(joined, JoinStream)
    assert (opened.port, joined.port) == (20000, 20002)
    rig.hang_up(second)
    rig.hang_up(first)
    assert ports.taken == 2
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    assert ports.taken == 0


# --- who may not


def test_a_voice_has_one_leg() -> None:
    rig = CallRig()
    first, _ = two_legs(rig)
    third = rig.call(CALLEE)
    assert refusal(rig, third).status == 486
    assert (
        refusal(rig, third).headers.get("Warning") == '399 127.0.0.1 "track: the stream has its callee\'s leg already"'
    )
    assert rig.event_kinds()[-1] == "error"
    assert rig.events[-1].stream == ""
    fourth = rig.call(CALLER)
    assert refusal(rig, fourth).status == 486
    assert rig.control.calls == 1
    assert first not in ended(rig)


@pytest.mark.parametrize("call", ["uuid-2", None])
def test_a_leg_of_another_call_does_not_get_in(call: str | None) -> None:
    rig = CallRig()
    rig.call(CALLER)
    headers = {**CALLEE, "X-STREAM_CALL": call or ""}
    second = rig.call(headers)
    assert refusal(rig, second).status == 403
    assert refusal(rig, second).headers.get("Warning") == '399 127.0.0.1 "id: is that of another call\'s stream"'


def test_a_leg_by_another_profile_does_not_get_in() -> None:
    rig = CallRig(profiles={"sales": Profile({"url": BOT})})
    rig.call(CALLER, user="sales")
    assert refusal(rig, rig.call(CALLEE)).status == 403
    assert refusal(rig, rig.call(CALLEE, user="any")).status == 403
    rig.call(CALLEE, user="sales")
    assert isinstance(rig.told[-1], JoinStream)


def test_a_leg_from_another_host_does_not_get_in() -> None:
    owner, options = Owner("192.0.2.1", ""), StreamOptions(url=BOT, id="pair")
    stream = Joinable(owner, options, 30.0, frozenset({Track.CALLER}))
    given = {"id": "pair", "track": "callee"}
    assert check_join(stream, given, [], owner=owner, now=0.0) == (Track.CALLEE, [])
    with pytest.raises(OptionError) as caught:
        check_join(stream, given, [], owner=Owner("192.0.2.2", ""), now=0.0)
    assert caught.value.sip_status == 403


def test_nobody_joins_a_stream_that_has_been_up_for_long() -> None:
    rig = CallRig()
    rig.call(CALLER)
    rig.run(JOIN_SECONDS)
    late = rig.call(CALLEE)
    assert refusal(rig, late).status == 403
    assert "within 30 s" in (refusal(rig, late).headers.get("Warning") or "")


def test_nobody_joins_a_stream_whose_name_was_not_given() -> None:
    rig = CallRig()
    rig.call({"X-STREAM_URL": BOT})
    assert refusal(rig, rig.call({"X-STREAM_ID": rig.stream, "X-STREAM_TRACK": "callee"})).status == 403


def test_nobody_joins_a_stream_that_is_ending() -> None:
    rig = CallRig()
    first = rig.call(CALLER)
    rig.hang_up(first)
    late = rig.call(CALLEE)
    assert refusal(rig, late).status == 486
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    rig.call(CALLEE)
    assert isinstance(rig.told[-1], OpenStream), "it has made room for another of its name"


def test_nobody_joins_a_stream_whose_worker_is_lost() -> None:
    rig = CallRig()
    two_legs(rig)
    rig.control.worker_lost(0, "killed", now=rig.simulation.now)
    rig.run(1.0)
    assert len(ended(rig)) == 2
    assert_nothing_is_left(rig)


def test_a_profile_that_gives_an_id_has_one_stream_at_a_time() -> None:
    rig = CallRig(default_profile=Profile({"url": BOT, "id": "only"}))
    rig.call()
    assert refusal(rig, rig.call()).status == 486


@pytest.mark.parametrize("name", ["track", "id"])
def test_what_a_profile_locks_a_leg_that_joins_cannot_set_either(name: str) -> None:
    profile = Profile({}, frozenset({name}))
    stream = Joinable(Owner("", ""), StreamOptions(url=BOT, id="pair"), 30.0, frozenset())
    with pytest.raises(OptionError, match="locked"):
        check_join(stream, {"id": "pair", "track": "callee"}, [profile], owner=Owner("", ""), now=0.0)


@pytest.mark.parametrize("headers", [{"X-STREAM_RATE": "9k"}, {"X-STREAM_TRACK": "both"}])
def test_what_is_not_valid_is_refused_in_a_leg_that_joins(headers: dict[str, str]) -> None:
    rig = CallRig()
    rig.call(CALLER)
    assert refusal(rig, rig.call({**CALLEE, **headers})).status == 400


def test_an_offer_that_does_not_fit_refuses_the_leg_alone() -> None:
    rig = CallRig()
    rig.call(CALLER)
    assert refusal(rig, rig.call(CALLEE, codecs=(Codec("FOO", 8000),))).status == 488
    rig.worker_says(BotConnected(STREAM))
    rig.call(CALLEE)
    assert isinstance(rig.told[-1], JoinStream)


def test_a_leg_that_the_worker_cannot_take_is_refused_and_the_stream_goes_on() -> None:
    rig = CallRig()
    first, second = rig.call(CALLER), rig.call(CALLEE)
    rig.worker_says(StreamRefused(SECOND, "no room"))
    assert refusal(rig, second).status == 503
    assert refusal(rig, second).headers.get("Retry-After") == "5"
    error = rig.events[-1].body.value()["message"]["error"]
    assert error == "the callee's leg: no room"
    rig.worker_says(BotConnected(STREAM))
    assert answered(rig) == [first]
    rig.hang_up(first)
    assert rig.told[-1:] == [CloseStream(STREAM)]
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    assert_nothing_is_left(rig)


# --- each goes


def test_the_stream_goes_on_with_the_leg_that_is_left_and_ends_with_the_last() -> None:
    rig = CallRig()
    first, second = two_legs(rig)
    rig.hang_up(second)
    assert rig.told[-1:] == [LeaveStream(SECOND)]
    rig.worker_says(LegLeft(SECOND, StreamStats(packets_received=7)))
    left = legs_told(rig)[-1]
    assert (left["status"], left["track"], left["stats"]["packets_received"]) == ("left", "callee", 7)
    assert "disconnect" not in rig.event_kinds()
    rig.hang_up(first)
    assert rig.told[-1:] == [CloseStream(STREAM)]
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    assert rig.event_kinds()[-2:] == ["disconnect", "stop"]
    assert rig.event_kinds().count("start") == rig.event_kinds().count("stop") == 1
    assert_nothing_is_left(rig)


def test_the_first_leg_may_go_first() -> None:
    rig = CallRig()
    first, second = two_legs(rig)
    rig.hang_up(first)
    assert rig.told[-1:] == [LeaveStream(STREAM)]
    assert legs_told(rig)[-1] == {"status": "left", "track": "caller", "stats": None}
    rig.hang_up(second)
    assert rig.told[-1:] == [CloseStream(STREAM)]
    rig.worker_says(LegLeft(SECOND, StreamStats()))
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    assert rig.event_kinds()[-3:] == ["disconnect", "leg", "stop"]
    assert_nothing_is_left(rig)


def test_when_the_call_that_is_listened_to_ends_both_legs_do() -> None:
    """As a FreeSWITCH does it: BYE on both, at once."""
    rig = CallRig()
    for call in two_legs(rig):
        rig.caller.hang_up(call, now=rig.simulation.now)
    rig.run(1.0)
    assert rig.told[-2:] in ([LeaveStream(STREAM), CloseStream(STREAM)], [LeaveStream(SECOND), CloseStream(STREAM)])
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    assert_nothing_is_left(rig)


def test_a_bot_that_hangs_up_ends_both() -> None:
    rig = CallRig()
    first, second = two_legs(rig)
    rig.worker_says(HangupAsked(STREAM, False, "USER_BUSY"))
    for call in (first, second):
        assert ended(rig)[call].cause is EndCause.REMOTE_BYE
        assert goodbye(rig, call) == 'Q.850;cause=17;text="the bot hangs up"'
    assert rig.told[-1:] == [CloseStream(STREAM)]
    assert rig.event_kinds().count("disconnect") == 1
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    assert_nothing_is_left(rig)


def test_a_bot_that_cannot_be_reached_refuses_both() -> None:
    rig = CallRig()
    first, second = rig.call(CALLER), rig.call(CALLEE)
    rig.worker_says(LegJoined(SECOND))
    rig.worker_says(BotFailed(STREAM, 6, "refused"))
    assert [refusal(rig, call).status for call in (first, second)] == [503, 503]
    rig.worker_says(StreamEnded(STREAM, StreamStats()))
    assert_nothing_is_left(rig)


@pytest.mark.parametrize("which", [0, 1])
def test_a_leg_that_falls_silent_is_ended_alone(which: int) -> None:
    rig = CallRig()
    calls = two_legs(rig)
    rig.worker_says(MediaLost((STREAM, SECOND)[which], 300.0, True))
    assert list(ended(rig)) == [calls[which]]
    assert goodbye(rig, calls[which]) == 'Q.850;cause=102;text="no RTP for 300 s"'
    assert rig.told[-1:] == [LeaveStream((STREAM, SECOND)[which])]
    rig.worker_says(MediaLost((STREAM, SECOND)[1 - which], 300.0, True))
    assert rig.told[-1:] == [CloseStream(STREAM)]


def test_a_leg_that_has_gone_before_the_worker_had_it_leaves_when_it_has() -> None:
    rig = CallRig()
    rig.call(CALLER)
    second = rig.call(CALLEE)
    rig.hang_up(second)
    assert isinstance(rig.told[-1], JoinStream)
    rig.worker_says(LegJoined(SECOND))
    assert rig.told[-1:] == [LeaveStream(SECOND)]


# --- each is a call of its own


def offer_to(call_port: int, direction: str = "sendrecv") -> bytes:
    offer = make_offer(
        MediaCapabilities("127.0.0.1", call_port, (Codec("PCMU", 8000),), telephone_event=False),
        origin=Origin(1, 2, "127.0.0.1"),
    )
    return bytes(offer).replace(b"a=sendrecv", b"a=" + direction.encode())


@pytest.mark.parametrize("which", [0, 1])
def test_one_leg_may_be_held_or_move_while_the_other_stays(which: int) -> None:
    rig = CallRig()
    calls, name = two_legs(rig), (STREAM, SECOND)[which]
    rig.caller.reoffer(calls[which], offer_to(30000, "sendonly"), now=rig.simulation.now)
    rig.run(1.0)
    assert rig.told[-1:] == [StartMedia(name, sends=False)]
    rig.caller.reoffer(calls[which], offer_to(30010), now=rig.simulation.now)
    rig.run(1.0)
    changed = rig.told[-1]
    assert isinstance(changed, ChangeLeg)
    assert (changed.stream, changed.leg.port) == (name, 30010)
    rig.worker_says(LegChanged(name))
    assert rig.told[-1:] == [StartMedia(name)]
    assert {event.call for event in rig.heard if isinstance(event, OfferAnswered)} == {calls[which]}
    rig.caller.reoffer(calls[which], offer_to(30020), now=rig.simulation.now)
    rig.run(1.0)
    rig.worker_says(LegRefused(name, "taken"))
    assert not ended(rig)


def test_a_late_offer_joins_too() -> None:
    rig = CallRig()
    first, second = rig.call(CALLER), rig.call(CALLEE, body=b"")
    joined = rig.told[-1]
    assert isinstance(joined, JoinStream)
    assert joined.leg is None
    rig.worker_says(LegJoined(SECOND))
    rig.worker_says(BotConnected(STREAM))
    assert answered(rig) == [first, second]


def test_digits_and_troubles_say_whose_leg_they_are_of() -> None:
    rig = CallRig()
    two_legs(rig)
    rig.worker_says(DigitHeard(STREAM, "1", 100, "rfc4733"))
    assert rig.events[-1].body.value() == {"digit": "1", "duration_ms": 100, "source": "rfc4733"}
    rig.worker_says(DigitHeard(SECOND, "2", 100, "rfc4733"))
    assert rig.events[-1].body.value() == {"digit": "2", "duration_ms": 100, "source": "rfc4733", "track": "callee"}
    rig.worker_says(NothingHeard(SECOND, "a:1", "b:2", "why"))
    assert rig.event_kinds()[-1] == "error"


def test_digits_are_sent_to_the_first_leg_that_is_there() -> None:
    events = make_offer(
        MediaCapabilities("127.0.0.1", 30000, (Codec("PCMU", 8000),), telephone_event=True),
        origin=Origin(1, 1, "127.0.0.1"),
    )
    rig = CallRig()
    first = rig.call(CALLER, body=bytes(events))
    rig.call(CALLEE, body=bytes(events))
    rig.worker_says(LegJoined(SECOND))
    rig.worker_says(BotConnected(STREAM))
    rig.control.obey(STREAM, Dial("1", 100), now=rig.simulation.now)
    rig.run(0.1)
    assert rig.told[-1:] == [SendDigits(STREAM, "1", 100)]
    rig.hang_up(first)
    rig.control.obey(STREAM, Dial("2", 100), now=rig.simulation.now)
    rig.run(0.1)
    assert rig.told[-1:] == [SendDigits(SECOND, "2", 100)]


def test_both_legs_are_with_the_same_worker() -> None:
    rig = CallRig()
    rig.worker_says(WorkerReady(40002), worker=1)
    rig.call({"X-STREAM_URL": BOT})
    rig.call(CALLER)
    worker = rig.control.workers.worker_of(STREAM)
    rig.call(CALLEE)
    assert rig.control.workers.worker_of(SECOND) == worker is not None
