"""One call and its stream: late offers, early media, changes of address and codec, digits, transfers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.core.commands import Dial, Transfer
from sidecar.core.link import (
    AnswerAsked,
    BotClosed,
    BotConnected,
    BotFailed,
    BotLost,
    BotResumed,
    BotText,
    ChangeLeg,
    CloseStream,
    DigitHeard,
    HangupAsked,
    LegChanged,
    LegRefused,
    MediaLost,
    NothingHeard,
    OpenStream,
    PlaybackDrained,
    SendDigits,
    SendText,
    StartMedia,
    StreamEnded,
    StreamRefused,
    StreamStats,
    StreamTold,
    TransferAsked,
)
from sidecar.core.media_leg import MediaLeg
from sip import Request, Response, SessionDescription
from tests.support.raw_caller import RawCaller, goodbye, statuses

RELIABLE = "Supported: 100rel"


def sdp(formats: str = "0", *, port: int = 4000, direction: str = "sendrecv", version: int = 1) -> bytes:
    head = f"v=0\r\no=- 1 {version} IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    return f"{head}m=audio {port} RTP/AVP {formats}\r\na={direction}\r\n".encode()


def leg(codec: str = "PCMU", payload_type: int = 0, *, port: int = 4000) -> MediaLeg:
    return MediaLeg(codec, payload_type, payload_type, "192.0.2.10", port, [], rtcp_port=port + 1)


def connected(**options: str) -> RawCaller:
    """Return a call that is up."""
    caller = RawCaller(**options)
    caller.invite(sdp())
    assert 200 in statuses(caller.worker_says(BotConnected(caller.stream)))
    caller.send("ACK", cseq=1)
    return caller


def assert_nothing_is_left(caller: RawCaller) -> None:
    if caller.control.calls:
        caller.worker_says(StreamEnded(caller.stream, StreamStats()))
    caller.wait(80.0)
    assert caller.control.calls == 0
    assert caller.agent.idle


def hang_up(caller: RawCaller) -> None:
    assert statuses(caller.send("BYE")) == [200]
    assert caller.told[-1:] == [CloseStream(caller.stream)]
    assert_nothing_is_left(caller)


# --- late offers


def test_a_call_without_an_offer_is_made_one_once_its_bot_is_connected() -> None:
    caller = RawCaller()
    assert statuses(caller.invite(b"")) == [100]
    (opened,) = caller.told
    assert isinstance(opened, OpenStream)
    assert opened.leg is None
    (ok,) = caller.worker_says(BotConnected(caller.stream))
    assert isinstance(ok, Response)
    offer = SessionDescription.parse(ok.body)
    assert offer.connection_address == "198.51.100.10"
    assert offer.media[0].payload_types[:2] == (0, 8)
    assert caller.told == [opened]
    assert caller.send("ACK", cseq=1, body=sdp("8")) == []
    assert caller.told[1:] == [ChangeLeg(caller.stream, leg("PCMA", 8))]
    caller.worker_says(LegChanged(caller.stream))
    assert caller.told[-1:] == [StartMedia(caller.stream)]
    hang_up(caller)


@pytest.mark.parametrize("answer", [b"", b"v=0\r\nnonsense", sdp("18")])
def test_an_answer_that_does_not_fit_ends_the_call(answer: bytes) -> None:
    caller = RawCaller(answer="immediate")
    assert statuses(caller.invite(b"")) == [100, 200]
    said = goodbye(caller.send("ACK", cseq=1, body=answer))
    assert said is not None
    assert said.startswith("Q.850;cause=88;")
    assert caller.told[-1:] == [CloseStream(caller.stream)]
    assert_nothing_is_left(caller)


def test_an_answer_with_the_address_of_another_call_ends_the_call() -> None:
    caller = RawCaller(answer="immediate")
    caller.invite(b"")
    caller.send("ACK", cseq=1, body=sdp())
    reason = goodbye(caller.worker_says(LegRefused(caller.stream, "192.0.2.10:4000 is in another call")))
    assert reason == 'Q.850;cause=41;text="192.0.2.10:4000 is in another call"'
    assert_nothing_is_left(caller)


def test_a_late_answer_that_holds_is_sent_nothing() -> None:
    caller = RawCaller(answer="immediate")
    caller.invite(b"")
    caller.send("ACK", cseq=1, body=sdp(direction="sendonly"))
    caller.worker_says(LegChanged(caller.stream))
    assert caller.told[-1:] == [StartMedia(caller.stream, sends=False)]


# --- early media


def test_early_media_is_told_reliably_and_the_answer_waits_for_the_prack() -> None:
    caller = RawCaller(answer="early")
    _, ringing = caller.invite(sdp(), headers=[RELIABLE])
    assert isinstance(ringing, Response)
    assert ringing.headers.get("Require") == "100rel"
    assert ringing.headers.get("X-FS-Support") == "send_info"
    assert caller.told[-1:] == [StartMedia(caller.stream, receives=False)]
    caller.worker_says(BotConnected(caller.stream))
    assert caller.worker_says(AnswerAsked(caller.stream)) == []
    rack = f"RAck: {ringing.headers.get('RSeq')} 1 INVITE"
    assert statuses(caller.send("PRACK", headers=[rack])) == [200, 200]
    caller.send("ACK", cseq=1)
    assert caller.told.count(StartMedia(caller.stream)) == 1
    hang_up(caller)


def early_offer() -> tuple[RawCaller, str]:
    """Return a caller that was made an offer in a 183, and the header that acknowledges it."""
    caller = RawCaller(answer="early")
    _, ringing = caller.invite(b"", headers=[RELIABLE])
    assert isinstance(ringing, Response)
    assert ringing.status == 183
    assert ringing.body
    caller.worker_says(BotConnected(caller.stream))
    return caller, f"RAck: {ringing.headers.get('RSeq')} 1 INVITE"


def test_an_offer_in_a_183_is_answered_in_the_prack() -> None:
    caller, rack = early_offer()
    assert statuses(caller.send("PRACK", headers=[rack], body=sdp())) == [200]
    assert caller.told[-1:] == [ChangeLeg(caller.stream, leg())]
    caller.worker_says(LegChanged(caller.stream))
    assert caller.told[-1:] == [StartMedia(caller.stream, receives=False)]
    (ok,) = caller.worker_says(AnswerAsked(caller.stream))
    assert ok.body == b""  # the offer was answered: RFC 3261, section 13.2.1
    caller.send("ACK", cseq=1)
    hang_up(caller)


def test_an_early_answer_that_does_not_fit_is_a_488() -> None:
    caller, rack = early_offer()
    assert statuses(caller.send("PRACK", headers=[rack], body=sdp("18"))) == [200, 488]
    assert caller.told[-1:] == [CloseStream(caller.stream)]


def test_an_early_answer_with_the_address_of_another_call_is_a_503() -> None:
    caller, rack = early_offer()
    caller.send("PRACK", headers=[rack], body=sdp())
    assert statuses(caller.worker_says(LegRefused(caller.stream, "in another call"))) == [503]


def test_an_early_offer_that_was_never_answered_ends_the_call_once_it_is_up() -> None:
    caller, rack = early_offer()
    assert statuses(caller.send("PRACK", headers=[rack])) == [200]
    assert statuses(caller.worker_says(AnswerAsked(caller.stream))) == [200]
    assert goodbye(caller.send("ACK", cseq=1)) is not None


def test_an_offer_is_not_made_in_a_183_that_may_be_lost() -> None:
    caller = RawCaller(answer="early")
    _, ringing = caller.invite(b"")
    assert isinstance(ringing, Response)
    assert (ringing.status, ringing.body) == (183, b"")
    caller.worker_says(BotConnected(caller.stream))
    (ok,) = caller.worker_says(AnswerAsked(caller.stream))
    assert ok.body
    caller.send("ACK", cseq=1, body=sdp())
    caller.worker_says(LegChanged(caller.stream))
    assert caller.told[-1:] == [StartMedia(caller.stream)]
    hang_up(caller)


# --- changes


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_call_moves_and_changes_its_codec_once_the_worker_agrees(method: str) -> None:
    caller = connected()
    assert statuses(caller.send(method, body=sdp("8 0", port=4002, version=2))) in ([100], [])
    assert caller.told[-1:] == [ChangeLeg(caller.stream, leg("PCMA", 8, port=4002))]
    (ok,) = caller.worker_says(LegChanged(caller.stream))
    assert isinstance(ok, Response)
    assert ok.status == 200
    assert SessionDescription.parse(ok.body).media[0].payload_types == (8,)
    assert caller.told[-1:] == [StartMedia(caller.stream)]
    if method == "INVITE":
        caller.send("ACK", cseq=caller.cseq)
    assert [event.kind for event in caller.events] == ["start", "connect"]  # the bot notices nothing
    hang_up(caller)


def test_the_address_of_another_call_is_a_488_and_the_call_goes_on() -> None:
    caller = connected()
    caller.send("INVITE", body=sdp(port=4002, version=2))
    (refused,) = caller.worker_says(LegRefused(caller.stream, "192.0.2.10:4002 is in another call"))
    assert isinstance(refused, Response)
    assert refused.status == 488
    assert refused.headers.get("Reason") == 'Q.850;cause=88;text="192.0.2.10:4002 is in another call"'
    caller.send("ACK", cseq=caller.cseq)
    told = list(caller.told)
    assert statuses(caller.send("UPDATE", body=sdp(direction="sendonly", version=3))) == [200]
    assert caller.told[len(told) :] == [StartMedia(caller.stream, sends=False)]  # where it was, all along
    hang_up(caller)


def test_an_offer_that_does_not_fit_is_a_488_and_the_worker_is_not_asked() -> None:
    caller = connected()
    told = list(caller.told)
    for number, body in enumerate((sdp("18"), sdp(port=0), b"v=0\r\nnonsense")):
        assert statuses(caller.send("UPDATE", body=body))[-1] in (400, 488), number
    assert caller.told == told
    hang_up(caller)


def test_a_caller_that_asks_for_an_offer_is_made_one_and_may_move_by_its_answer() -> None:
    caller = connected()
    _, ok = caller.send("INVITE")
    assert SessionDescription.parse(ok.body).media[0].payload_types[:2] == (0, 8)
    caller.send("ACK", cseq=caller.cseq, body=sdp("8", port=4002, version=2))
    assert caller.told[-1:] == [ChangeLeg(caller.stream, leg("PCMA", 8, port=4002))]
    caller.worker_says(LegChanged(caller.stream))
    _, ok = caller.send("INVITE")
    caller.send("ACK", cseq=caller.cseq, body=sdp("8", port=4002, version=2))
    assert caller.told[-1:] == [StartMedia(caller.stream)]  # nothing new: nobody is asked
    hang_up(caller)


def withdrawn() -> RawCaller:
    """Return a call whose caller wanted to move, and then did not."""
    caller = connected()
    caller.send("INVITE", body=sdp(port=4002, version=2))
    assert statuses(caller.send("CANCEL", cseq=caller.cseq)) == [200, 487]
    return caller


def test_a_move_that_was_withdrawn_is_undone() -> None:
    caller = withdrawn()
    assert caller.worker_says(LegChanged(caller.stream)) == []
    assert caller.told[-1:] == [ChangeLeg(caller.stream, leg())]
    assert caller.worker_says(LegChanged(caller.stream)) == []
    assert caller.told[-1:] == [StartMedia(caller.stream)]
    hang_up(caller)


def test_a_move_that_was_withdrawn_and_refused_needs_no_more() -> None:
    caller = withdrawn()
    told = list(caller.told)
    assert caller.worker_says(LegRefused(caller.stream, "in another call")) == []
    assert caller.told == told
    hang_up(caller)


def test_a_call_whose_place_was_taken_meanwhile_is_over() -> None:
    caller = withdrawn()
    caller.worker_says(LegChanged(caller.stream))
    assert goodbye(caller.worker_says(LegRefused(caller.stream, "in another call"))) is not None
    assert_nothing_is_left(caller)


def test_a_move_after_one_that_was_withdrawn_is_not_undone() -> None:
    caller = withdrawn()
    caller.send("ACK", cseq=caller.cseq)
    caller.send("UPDATE", body=sdp(port=4004, version=3))
    assert caller.worker_says(LegChanged(caller.stream)) == []
    assert statuses(caller.worker_says(LegChanged(caller.stream))) == [200]
    assert caller.told[-2:] == [ChangeLeg(caller.stream, leg(port=4004)), StartMedia(caller.stream)]
    hang_up(caller)


def test_a_move_that_the_worker_is_slow_to_answer_is_refused_and_undone() -> None:
    caller = connected()
    caller.send("UPDATE", body=sdp(port=4002, version=2))
    assert statuses(caller.wait(4.0)) == [504]
    caller.worker_says(LegChanged(caller.stream))
    assert caller.told[-1:] == [ChangeLeg(caller.stream, leg())]


def test_there_is_an_end_to_moves_that_the_worker_has_yet_to_answer() -> None:
    caller = connected()
    for _ in range(8):
        caller.send("UPDATE", body=sdp(port=4002, version=2))
        caller.wait(4.0)
    (busy,) = caller.send("UPDATE", body=sdp(port=4002, version=2))
    assert isinstance(busy, Response)
    assert (busy.status, busy.headers.get("Retry-After")) == (500, "1")
    hang_up(caller)


# --- beside the media


def test_a_digit_in_an_info_is_an_event_and_what_else_there_is_is_counted() -> None:
    caller = connected()
    relay = b"Signal=5\r\nDuration=160\r\n"
    assert statuses(caller.send("INFO", headers=["Content-Type: application/dtmf-relay"], body=relay)) == [200]
    assert caller.events[-1].kind == "dtmf"
    assert caller.events[-1].body.value() == {"digit": "5", "duration_ms": 160, "source": "info"}
    assert statuses(caller.send("INFO", headers=["Content-Type: application/json"], body=b"{}")) == [200]
    assert caller.control.ignored_infos == 1
    assert [event.kind for event in caller.events] == ["start", "connect", "dtmf"]
    hang_up(caller)


def test_a_bot_that_closes_with_an_error_is_a_temporary_failure() -> None:
    caller = connected()
    caller.worker_says(BotClosed(caller.stream, 1011, "out of memory"))
    reason = goodbye(caller.worker_says(PlaybackDrained(caller.stream)))
    assert reason == 'Q.850;cause=41;text="the bot has closed: 1011 out of memory"'


def transferred() -> RawCaller:
    caller = connected()
    caller.control.obey(caller.stream, Transfer("sip:1000@192.0.2.10"), now=0.0)
    (refer,) = caller.drain()
    assert refer.headers.get("Refer-To") == "<sip:1000@192.0.2.10>"
    return caller


def notify(caller: RawCaller, status: str, state: str) -> list[int]:
    headers = ["Event: refer", f"Subscription-State: {state}", "Content-Type: message/sipfrag"]
    return statuses(caller.send("NOTIFY", headers=headers, body=f"SIP/2.0 {status}".encode()))


def test_a_transfer_tells_how_it_goes_and_ends_the_call_when_it_is_done() -> None:
    caller = transferred()
    assert notify(caller, "180 Ringing", "active") == [200]
    assert caller.events[-1].body.value() == {"status": 180, "final": False}
    assert notify(caller, "200 OK", "terminated") == [200]
    assert caller.events[-2].kind == "transfer"
    assert caller.events[-2].body.value() == {"status": 200, "final": True}
    assert caller.events[-1].kind == "disconnect"
    assert caller.told[-1:] == [CloseStream(caller.stream)]


def test_a_call_that_was_not_transferred_goes_on() -> None:
    caller = transferred()
    assert notify(caller, "403 Forbidden", "terminated") == [200]
    assert caller.events[-1].body.value() == {"status": 403, "final": True}
    hang_up(caller)


def test_what_cannot_be_transferred_is_refused() -> None:
    caller = RawCaller(answer="immediate")
    caller.invite(sdp())
    for stream, to, why in (
        ("none", "sip:1000@192.0.2.10", "no such stream"),
        (caller.stream, "sip:1000@192.0.2.10", "not answered"),
        (caller.stream, "tel:+49", "Scheme"),
        (caller.stream, "sip:a>\r\nX: y", "must not"),
    ):
        with pytest.raises(ValueError, match=why):
            caller.control.obey(stream, Transfer(to), now=0.0)
    assert caller.drain() == []


# --- digits, silence


EVENTS = b"a=rtpmap:101 telephone-event/8000\r\n"


def connected_with(description: bytes) -> RawCaller:
    caller = RawCaller()
    caller.invite(description)
    caller.worker_says(BotConnected(caller.stream))
    caller.send("ACK", cseq=1)
    return caller


def test_digits_go_out_as_telephone_events_where_the_caller_takes_those() -> None:
    caller = connected_with(sdp("0 101") + EVENTS)
    caller.control.obey(caller.stream, Dial("12#", 80), now=caller.now)
    caller.wait(0.0)
    assert caller.told[-1:] == [SendDigits(caller.stream, "12#", 80)]
    hang_up(caller)


def test_digits_go_out_by_info_where_it_does_not_one_after_the_other() -> None:
    caller = connected()
    caller.control.obey(caller.stream, Dial("1#", 80), now=caller.now)
    got = caller.drain()
    for digit in (b"1", b"#"):
        (info,) = got
        assert isinstance(info, Request)
        assert (info.method, info.body) == ("INFO", b"Signal=%b\r\nDuration=80\r\n" % digit)
        assert info.content_type == "application/dtmf-relay"
        assert caller.wait(0.1) == []
        got = caller.respond(info, 200)
    assert got == []
    hang_up(caller)


def test_a_freeswitch_is_told_of_events_by_info_once_the_call_is_up_one_after_the_other() -> None:
    caller = RawCaller()
    caller.invite(sdp(), headers=["X-FS-Support: update_display,send_info"])
    assert statuses(caller.worker_says(BotConnected(caller.stream))) == [200]
    caller.worker_says(BotText(caller.stream, '{"type": "said"}'))
    got = caller.send("ACK", cseq=1)
    said = []
    while got:
        (info,) = got
        assert isinstance(info, Request)
        assert (info.method, info.content_type) == ("INFO", "application/json")
        said.append(json.loads(info.body))
        assert caller.wait(0.1) == []
        got = caller.respond(info, 200)
    assert [(each["event"], each["sequence"]) for each in said] == [("start", 1), ("connect", 2), ("json", 3)]
    assert (said[2]["stream"], said[2]["body"]) == (caller.stream, '{"type": "said"}')
    (bye,) = caller.worker_says(StreamRefused(caller.stream, "gone"))
    assert isinstance(bye, Request)
    assert bye.method == "BYE"
    assert caller.respond(bye, 200) == []
    assert_nothing_is_left(caller)


@pytest.mark.parametrize(("digits", "duration_ms"), [("1x", 100), ("1", 1), ("1", 9000), ("1" * 101, 100)])
def test_digits_that_cannot_be_sent_are_refused(digits: str, duration_ms: int) -> None:
    caller = connected()
    with pytest.raises(ValueError, match="digit"):
        caller.control.obey(caller.stream, Dial(digits, duration_ms), now=caller.now)
    with pytest.raises(ValueError, match="no such stream"):
        caller.control.obey("none", Dial("1"), now=caller.now)
    hang_up(caller)


def test_no_digits_go_to_a_call_that_is_not_answered() -> None:
    caller = RawCaller()
    caller.invite(sdp())
    with pytest.raises(ValueError, match="not answered"):
        caller.control.obey(caller.stream, Dial("1"), now=caller.now)


def test_a_digit_that_the_worker_heard_is_an_event() -> None:
    caller = connected()
    caller.worker_says(DigitHeard(caller.stream, "5", 90, "rfc4733"))
    assert caller.events[-1].kind == "dtmf"
    assert caller.events[-1].body.value() == {"digit": "5", "duration_ms": 90, "source": "rfc4733"}
    hang_up(caller)


def test_audio_from_elsewhere_is_told_with_both_addresses() -> None:
    caller = connected()
    caller.worker_says(NothingHeard(caller.stream, "192.0.2.10:4000", "192.0.2.99:1234", "a NAT"))
    assert caller.events[-1].kind == "error"
    assert "192.0.2.10:4000" in str(caller.events[-1].body.value())
    assert "192.0.2.99:1234" in str(caller.events[-1].body.value())
    hang_up(caller)


@pytest.mark.parametrize("ever", [False, True])
def test_a_call_without_audio_is_ended_with_a_reason(ever: bool) -> None:
    caller = connected()
    said = goodbye(caller.worker_says(MediaLost(caller.stream, 30.0, ever)))
    assert said is not None
    assert said.startswith("Q.850;cause=102;")
    assert caller.events[-2].kind == "error"
    assert caller.told[-1:] == [CloseStream(caller.stream)]


def test_while_the_caller_holds_its_silence_means_nothing() -> None:
    caller = connected()
    caller.send("UPDATE", body=sdp(direction="recvonly", version=2))
    assert caller.told[-1:] == [StartMedia(caller.stream, receives=False)]
    hang_up(caller)


# --- what the bot asks


def test_a_bot_that_hangs_up_before_the_answer_refuses_the_call() -> None:
    caller = RawCaller(answer="early")
    caller.invite(sdp())
    caller.worker_says(BotConnected(caller.stream))
    (busy,) = caller.worker_says(HangupAsked(caller.stream, False, "USER_BUSY"))
    assert isinstance(busy, Response)
    assert busy.status == 486
    assert caller.told[-2:] == [
        SendText(caller.stream, '{"type":"hangup","data":{"ok":true,"cause":17}}'),
        CloseStream(caller.stream),
    ]


def test_a_call_ends_when_the_bot_has_wanted_that_and_all_is_played() -> None:
    caller = connected()
    assert caller.worker_says(HangupAsked(caller.stream, True, None)) == []
    reason = goodbye(caller.worker_says(PlaybackDrained(caller.stream)))
    assert reason == 'Q.850;cause=16;text="the bot hangs up"'


def test_a_call_may_outlive_its_bot() -> None:
    for keeps in (False, True):
        caller = connected(on_bot_close="keep" if keeps else "hangup")
        assert caller.worker_says(PlaybackDrained(caller.stream)) == []
        caller.worker_says(BotClosed(caller.stream, 1000, "bye"))
        assert bool(caller.worker_says(PlaybackDrained(caller.stream))) is not keeps


@pytest.mark.parametrize("option", ["hangup", "keep"])
def test_a_call_goes_on_when_all_is_played_and_nobody_wants_it_to_end(option: str) -> None:
    caller = connected(on_bot_lost=option)
    caller.worker_says(HangupAsked(caller.stream, True, "NO_CAUSE"))
    assert caller.events[-1].kind == "error"
    assert caller.worker_says(PlaybackDrained(caller.stream)) == []
    caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
    assert caller.worker_says(PlaybackDrained(caller.stream)) == []


def test_a_bot_that_has_hung_up_need_not_live_to_see_it() -> None:
    for keeps in (False, True):
        caller = connected(on_bot_lost="keep" if keeps else "hangup")
        caller.worker_says(HangupAsked(caller.stream, True, 17))
        caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
        if keeps:
            assert caller.worker_says(BotFailed(caller.stream, 6, "Connection refused")) == []
        reason = goodbye(caller.worker_says(PlaybackDrained(caller.stream)))
        assert reason == 'Q.850;cause=17;text="the bot hangs up"'


def test_what_cannot_be_done_and_what_the_worker_tells_are_events() -> None:
    caller = connected()
    caller.worker_says(TransferAsked(caller.stream, "nobody"))
    assert caller.events[-1].kind == "error"
    assert '"ok":false' in caller.told[-1].text  # type: ignore[union-attr]
    caller.worker_says(StreamTold(caller.stream, "mark", '{"name":"m","event":"playout"}'))
    assert (caller.events[-1].kind, caller.events[-1].body.value()) == ("mark", {"name": "m", "event": "playout"})


# --- what the bot is told unasked


def told_unasked(caller: RawCaller) -> list[tuple[str, dict[str, Any]]]:
    """Return the messages to the bot so far."""
    texts = [json.loads(message.text) for message in caller.told if isinstance(message, SendText)]
    return [(text["type"], text["data"]) for text in texts]


def test_a_bot_is_told_of_its_call_if_it_wants_that() -> None:
    caller = connected(events="call", call="a-uuid")
    kind, start = told_unasked(caller)[0]
    assert (kind, start["event"], start["call"], start["mix"], start["rate"]) == (
        "call",
        "start",
        "a-uuid",
        "mono",
        8000,
    )
    assert start["stream"] == caller.stream
    assert set(start) == {"event", "stream", "call", "call_id", "from", "to", "mix", "rate", "buffer_size"}
    assert told_unasked(caller)[1:] == [("call", {"event": "answered"})]
    for number, direction in enumerate(("sendonly", "inactive", "sendrecv"), start=2):
        caller.send("INVITE", body=sdp(direction=direction, version=number))
        caller.send("ACK", cseq=caller.cseq)
    assert told_unasked(caller)[2:] == [("call", {"event": "hold"}), ("call", {"event": "unhold"})]
    caller.control.obey(caller.stream, Transfer("sip:1000@192.0.2.10"), now=caller.now)
    (refer,) = caller.drain()
    assert isinstance(refer, Request)
    caller.respond(refer, 603)
    assert told_unasked(caller)[4:] == [("call", {"event": "transfer", "status": 603, "final": True})]
    caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
    caller.worker_says(BotResumed(caller.stream, 0, 0))
    answered = ("call", {"event": "answered"})
    assert told_unasked(caller)[5:] == [("call", start), answered], "the next bot may know nothing"
    caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
    caller.send("INVITE", body=sdp(direction="sendonly", version=5))
    caller.send("ACK", cseq=caller.cseq)
    caller.worker_says(BotResumed(caller.stream, 0, 0))
    assert told_unasked(caller)[7:] == [("call", start), answered, ("call", {"event": "hold"})]
    hang_up(caller)


def test_a_bot_is_told_of_digits_if_it_wants_that_and_is_there() -> None:
    caller = connected(events="dtmf")
    caller.worker_says(DigitHeard(caller.stream, "5", 90, "rfc4733"))
    caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
    caller.worker_says(DigitHeard(caller.stream, "6", 90, "rfc4733"))
    assert told_unasked(caller) == [("dtmf", {"digit": "5", "duration_ms": 90, "source": "rfc4733"})]
    hang_up(caller)


def test_a_bot_that_wants_nothing_is_told_nothing() -> None:
    caller = connected()
    caller.worker_says(DigitHeard(caller.stream, "5", 90, "rfc4733"))
    caller.send("INVITE", body=sdp(direction="sendonly", version=2))
    caller.send("ACK", cseq=caller.cseq)
    assert told_unasked(caller) == []
    hang_up(caller)
