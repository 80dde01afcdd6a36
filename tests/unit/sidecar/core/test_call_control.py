"""Call control between a caller and a media worker, both spoken by the test, in virtual time."""

from __future__ import annotations

import pytest

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.link import (
    AnswerAsked,
    BotClosed,
    BotConnected,
    BotFailed,
    BotLost,
    BotResumed,
    BotSpoke,
    BotStalled,
    BotText,
    ChangeLeg,
    CloseStream,
    LegChanged,
    LegRefused,
    OpenStream,
    PlaybackDrained,
    StartMedia,
    StreamRefused,
)
from sidecar.core.options import MixMode, Profile
from sip import (
    AuthenticationFailed,
    CallAnswered,
    CallEnded,
    CallProgress,
    CallRef,
    Codec,
    Credentials,
    EndCause,
    Event,
    OfferAnswered,
    OfferRefused,
    Request,
    Response,
    SessionDescription,
    StreamAddress,
    parse_message,
)
from tests.support import sip_messages
from tests.support.call_rig import BOT, CALLER, CallRig

ANY_BOT = {"X-STREAM_URL": BOT}


def refusal(rig: CallRig) -> Response:
    ended = rig.heard[-1]
    assert isinstance(ended, CallEnded)
    assert ended.cause is EndCause.REJECTED
    assert isinstance(ended.message, Response)
    return ended.message


def goodbye(rig: CallRig) -> Request:
    ended = rig.heard[-1]
    assert isinstance(ended, CallEnded)
    assert ended.cause is EndCause.REMOTE_BYE
    assert isinstance(ended.message, Request)
    return ended.message


def connected_call(rig: CallRig, headers: dict[str, str] | None = None) -> None:
    rig.call(headers or ANY_BOT)
    rig.worker_says(BotConnected(rig.stream))
    assert isinstance(rig.heard[-1], CallAnswered)


def assert_nothing_is_left(rig: CallRig) -> None:
    rig.run(40.0)  # 64 times T1 and more
    assert rig.control.calls == 0
    assert rig.agent.idle
    assert rig.caller.idle


def test_a_call_is_answered_once_its_bot_is_connected() -> None:
    rig = CallRig()
    rig.call(ANY_BOT)
    assert rig.heard == []
    (opened,) = rig.told
    assert isinstance(opened, OpenStream)
    assert opened.options.url == BOT
    assert opened.leg is not None
    assert (opened.leg.codec, opened.leg.host, opened.leg.port) == ("PCMU", "127.0.0.1", 30000)
    rig.worker_says(BotConnected(opened.stream))
    answered = rig.heard[-1]
    assert isinstance(answered, CallAnswered)
    assert SessionDescription.parse(answered.response.body).media[0].port == 40000
    assert rig.told[-1] == StartMedia(opened.stream)
    assert rig.event_kinds() == ["start", "connect"]


def test_a_hang_up_of_the_caller_closes_the_stream() -> None:
    rig = CallRig()
    call = rig.call(ANY_BOT)
    rig.worker_says(BotConnected(rig.stream))
    rig.hang_up(call)
    assert rig.told[-1] == CloseStream(rig.stream)
    rig.end_stream()
    assert rig.event_kinds() == ["start", "connect", "disconnect", "stop"]
    assert [event.sequence for event in rig.events] == [1, 2, 3, 4]
    assert_nothing_is_left(rig)


def test_immediate_answers_before_the_bot_is_connected() -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": "immediate"})
    assert isinstance(rig.heard[-1], CallAnswered)
    assert rig.told[-1] == StartMedia(rig.stream)
    rig.worker_says(BotConnected(rig.stream))
    assert [type(event) for event in rig.heard] == [CallAnswered]


def test_immediate_with_a_bot_that_cannot_be_reached_ends_in_a_bye_that_says_so() -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": "immediate"})
    rig.worker_says(BotFailed(rig.stream, 6, "Connection refused"))
    assert goodbye(rig).headers.get("Reason") == 'Q.850;cause=41;text="bot unreachable: Connection refused"'
    rig.end_stream()
    assert_nothing_is_left(rig)


def test_early_has_media_at_once_and_is_answered_when_the_bot_says_so() -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": "early"})
    progress = rig.heard[-1]
    assert isinstance(progress, CallProgress)
    assert progress.response.status == 183
    assert SessionDescription.parse(progress.response.body).media[0].port == 40000
    assert rig.told[-1] == StartMedia(rig.stream, receives=False)
    rig.worker_says(BotConnected(rig.stream))
    assert isinstance(rig.heard[-1], CallProgress)
    rig.worker_says(AnswerAsked(rig.stream))
    assert isinstance(rig.heard[-1], CallAnswered)
    assert rig.told.count(StartMedia(rig.stream)) == 1
    rig.worker_says(AnswerAsked(rig.stream))
    assert [type(event) for event in rig.heard] == [CallProgress, CallAnswered]


@pytest.mark.parametrize("text", ['{"type": "other"}', "no JSON", "[1]", '{"type": 1}', ""])
def test_any_other_text_is_an_event_and_no_more(text: str) -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": "early"})
    rig.worker_says(BotConnected(rig.stream))
    rig.worker_says(BotText(rig.stream, text))
    assert rig.events[-1].kind == "json"
    assert rig.events[-1].body.value() == text
    assert isinstance(rig.heard[-1], CallProgress)


@pytest.mark.parametrize("suppressed", [False, True])
def test_what_a_bot_says_is_kept_out_of_the_log_on_request(suppressed: bool) -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_SUPPRESS_LOG": str(suppressed)})
    rig.worker_says(BotConnected(rig.stream))
    rig.worker_says(BotText(rig.stream, "hello"))
    assert [event.kind for event in rig.events if event.quiet] == (["json"] if suppressed else [])
    assert rig.event_kinds() == ["start", "connect", "json"]


def test_the_first_audio_of_a_bot_is_no_event() -> None:
    rig = CallRig()
    rig.call(ANY_BOT)
    rig.worker_says(BotConnected(rig.stream))
    rig.worker_says(BotSpoke(rig.stream))
    assert rig.event_kinds() == ["start", "connect"]


def test_the_url_of_a_profile_may_name_facts_of_the_call() -> None:
    rig = CallRig(profiles={"sales": Profile({"url": "ws://bot.example/{to_user}?f={from_user}&x={header:X-Foo}"})})
    rig.call({"X-Foo": "a b"}, user="sales")
    opened = next(message for message in rig.told if isinstance(message, OpenStream))
    assert opened.options.url == "ws://bot.example/sales?f=caller&x=a%20b"


def test_a_bot_that_cannot_be_reached_is_a_503_that_says_so() -> None:
    rig = CallRig()
    rig.call(ANY_BOT)
    rig.worker_says(BotFailed(rig.stream, 6, "Connection refused"))
    response = refusal(rig)
    assert response.status == 503
    assert response.headers.get("Reason") == 'Q.850;cause=41;text="bot unreachable: Connection refused"'
    assert rig.told[-1] == CloseStream(rig.stream)
    assert rig.events[-1].kind == "error"
    assert rig.events[-1].body.value() == {"status": "error", "message": {"code": 6, "error": "Connection refused"}}
    rig.end_stream()
    assert_nothing_is_left(rig)


@pytest.mark.parametrize(("answer", "ends_with"), [("connected", 403), ("immediate", None)])
def test_a_bot_whose_address_turns_out_to_be_forbidden_is_a_403(answer: str, ends_with: int | None) -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": answer})
    rig.worker_says(BotFailed(rig.stream, 6, "bot.example has no address that is allowed", forbidden=True))
    if ends_with is None:
        assert isinstance(rig.heard[-1], CallEnded)  # too late to refuse it
    else:
        response = refusal(rig)
        assert response.status == ends_with
        assert response.headers.get("Reason") == 'Q.850;cause=21;text="bot.example has no address that is allowed"'
        assert response.headers.get("Retry-After") is None
    rig.end_stream()
    assert_nothing_is_left(rig)


def test_what_a_bot_says_cannot_break_the_reason_header() -> None:
    rig = CallRig()
    rig.call(ANY_BOT)
    rig.worker_says(BotFailed(rig.stream, 11, 'bad "reason"\r\nX-Injected: yes \u20ac' + 300 * "x"))
    reason = refusal(rig).headers.get("Reason")
    assert reason is not None
    assert reason.startswith("Q.850;cause=41;text=\"bot unreachable: bad 'reason'''X-Injected: yes '")
    assert len(reason) < 250
    assert "X-Injected" not in refusal(rig).headers


def test_the_text_of_a_bye_is_made_safe_as_well() -> None:
    rig = CallRig()
    connected_call(rig)
    rig.worker_says(BotFailed(rig.stream, 11, 'bad\r\nX-Injected: "yes"'))
    assert goodbye(rig).headers.get("Reason") == "Q.850;cause=41;text=\"bot lost: bad''X-Injected: 'yes'\""


def test_a_bot_that_is_lost_ends_the_call() -> None:
    rig = CallRig()
    connected_call(rig)
    rig.worker_says(BotFailed(rig.stream, 1, "connection lost"))
    assert goodbye(rig).headers.get("Reason") == 'Q.850;cause=41;text="bot lost: connection lost"'
    assert rig.event_kinds() == ["start", "connect", "error", "disconnect"]
    assert rig.told[-1] == CloseStream(rig.stream)
    rig.end_stream()
    assert_nothing_is_left(rig)


def test_a_bot_that_closes_is_heard_out_before_the_call_ends() -> None:
    rig = CallRig()
    connected_call(rig)
    rig.worker_says(BotClosed(rig.stream, 1000, "bye"))
    assert isinstance(rig.heard[-1], CallAnswered)
    assert rig.events[-1].body.value() == {"status": "disconnected", "message": {"code": 1000, "reason": "bye"}}
    rig.worker_says(PlaybackDrained(rig.stream))
    assert goodbye(rig).headers.get("Reason") == 'Q.850;cause=16;text="the bot has closed"'
    rig.end_stream()
    assert rig.event_kinds().count("disconnect") == 1
    assert_nothing_is_left(rig)


def test_a_bot_that_closes_before_the_answer_leaves_the_call_to_the_dialplan() -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": "early"})
    rig.worker_says(BotConnected(rig.stream))
    rig.worker_says(BotClosed(rig.stream, 1000, ""))
    assert refusal(rig).status == 503
    rig.end_stream()
    assert_nothing_is_left(rig)


def test_a_cancelled_call_closes_its_stream() -> None:
    rig = CallRig()
    call = rig.call(ANY_BOT)
    rig.hang_up(call)
    assert rig.told[-1] == CloseStream(rig.stream)
    rig.worker_says(BotConnected(rig.stream))  # it was on its way
    rig.end_stream()
    assert isinstance(rig.heard[-1], CallEnded)
    assert rig.heard[-1].cause is EndCause.CANCELLED
    assert_nothing_is_left(rig)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, "url"),
        ({"X-STREAM_URL": "http://bot"}, "url"),
        ({**ANY_BOT, "X-STREAM_RATE": "11025"}, "rate"),
        ({**ANY_BOT, "x-stream-buffer-size": "2000"}, "buffer_size"),
        ({**ANY_BOT, "X-STREAM_MIX": "quadro"}, "mix"),
    ],
)
def test_an_invalid_option_is_a_400_that_names_it(headers: dict[str, str], name: str) -> None:
    rig = CallRig()
    rig.call(headers)
    response = refusal(rig)
    assert response.status == 400
    warning = response.headers.get("Warning")
    assert warning is not None
    assert warning.startswith(f'399 127.0.0.1 "{name}: ')
    assert rig.told == []
    assert_nothing_is_left(rig)


def test_a_locked_option_is_a_403() -> None:
    rig = CallRig(default_profile=Profile({"url": BOT}, frozenset({"url"})))
    rig.call({"X-STREAM_URL": "ws://elsewhere/"})
    assert refusal(rig).status == 403


@pytest.mark.parametrize("url", ["ws://elsewhere.example/", "ws://169.254.169.254/latest"])
def test_a_host_that_is_not_allowed_is_a_403(url: str) -> None:
    rig = CallRig(bot_hosts=BotHosts(("*.good.example", "169.254.169.254")))
    rig.call({"X-STREAM_URL": url})
    assert refusal(rig).status == 403
    assert "not an allowed bot host" in (refusal(rig).headers.get("Warning") or "")


def test_the_user_part_names_the_profile_and_the_call_goes_before_it() -> None:
    profiles = {"sales": Profile({"url": "ws://sales/", "mix": "stereo", "rate": "16k"})}
    rig = CallRig(profiles=profiles, default_profile=Profile({"url": BOT, "preroll": "100"}))
    rig.call({"X-STREAM_RATE": "24k"}, user="sales")
    opened = rig.told[-1]
    assert isinstance(opened, OpenStream)
    assert opened.options.url == "ws://sales/"
    assert opened.options.mix is MixMode.STEREO
    assert (opened.options.rate, opened.options.preroll) == (24000, 100)


def test_an_unknown_user_part_gets_the_default_profile() -> None:
    rig = CallRig(default_profile=Profile({"url": BOT}))
    rig.call(user="nobody")
    opened = rig.told[-1]
    assert isinstance(opened, OpenStream)
    assert opened.options.url == BOT


def test_no_common_codec_is_a_488() -> None:
    rig = CallRig()
    rig.call(ANY_BOT, codecs=(Codec("G729", 8000),))
    assert refusal(rig).status == 488
    assert_nothing_is_left(rig)


def test_media_on_ipv6_is_a_488_for_now() -> None:
    rig = CallRig()
    rig.call(ANY_BOT, media_address="::1")
    assert refusal(rig).status == 488
    assert_nothing_is_left(rig)


def test_an_offer_that_cannot_be_read_is_refused() -> None:
    rig = CallRig()
    rig.call(ANY_BOT, body=b"v=0\r\nnonsense")
    assert refusal(rig).status in (400, 488)
    assert_nothing_is_left(rig)


def test_without_a_worker_a_call_is_a_503_with_a_time_to_come_back() -> None:
    rig = CallRig(ready=False)
    rig.call(ANY_BOT)
    assert refusal(rig).status == 503
    assert refusal(rig).headers.get("Retry-After") == "5"


def test_a_worker_without_room_is_a_503_with_a_time_to_come_back() -> None:
    rig = CallRig()
    rig.call(ANY_BOT)
    rig.worker_says(StreamRefused(rig.stream, "no room"))
    assert refusal(rig).status == 503
    assert refusal(rig).headers.get("Retry-After") == "5"
    assert CloseStream(rig.stream) not in rig.told
    assert rig.event_kinds() == ["start", "error", "stop"]
    assert_nothing_is_left(rig)


def test_failed_authentications_are_told_of_but_not_for_ever() -> None:
    rig = CallRig(credentials=Credentials("calls", {"alice": "secret"}))
    fields = 'username="alice", realm="calls", nonce="n", uri="sip:x", nc=00000001, cnonce="c", qop=auth, response="0"'
    for number in range(15):
        guess = sip_messages.request(
            branch=f"z9hG4bK-{number}", call_id=str(number), headers=(f"Authorization: Digest {fields}",)
        )
        rig.control.receive_datagram(guess, CALLER, now=0.5)
    rig.run(1.0)
    assert rig.strangers == [AuthenticationFailed(CALLER, "alice")] * 10
    assert rig.agent.counters.wrong_credentials == 15


def test_who_is_not_allowed_gets_no_answer_at_all() -> None:
    rig = CallRig()
    rig.from_elsewhere(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n", ("192.0.2.1", 5060))
    assert (rig.control.dropped_sources, rig.control.last_dropped_source) == (1, "192.0.2.1")
    assert rig.agent.counters == type(rig.agent.counters)()


def test_a_connection_that_is_lost_ends_what_waits_for_it() -> None:
    rig = CallRig()
    there = StreamAddress("127.0.0.1", 40123, connection=7)
    via, contact = "Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK-{}", "<sip:127.0.0.1;transport=tcp>"
    headers = (f"X-STREAM_URL: {BOT}", "Allow: UPDATE", "Supported: timer", "Session-Expires: 90;refresher=uas")
    invite = sip_messages.request(via=via.format(1), contact=contact, headers=headers, body=sip_messages.OFFER)
    rig.control.receive_datagram(invite, there, now=0.0)
    rig.run(0.1)
    rig.control.receive_message(BotConnected(rig.stream), now=0.1)
    ((final, _),) = rig.control.datagrams_to_send()
    tag = parse_message(final).to.tag
    rig.control.receive_datagram(sip_messages.request("ACK", via=via.format(2), to_tag=tag), there, now=0.1)
    rig.control.handle_timeout(now=46.0)
    ((refresh, _),) = rig.control.datagrams_to_send()
    assert refresh.startswith(b"UPDATE ")
    rig.control.connection_lost(there, now=46.0)
    rig.run(0.1)
    assert rig.event_kinds() == ["start", "connect", "disconnect"]
    assert CloseStream(rig.stream) in rig.told


def test_a_listener_is_not_sent_audio_that_it_did_not_ask_for() -> None:
    rig = CallRig()
    lines = (
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        "m=audio 30000 RTP/AVP 0",
        "a=sendonly",
    )
    rig.call({**ANY_BOT, "X-STREAM_ANSWER": "immediate"}, body="\r\n".join((*lines, "")).encode())
    assert rig.told[-1] == StartMedia(rig.stream, sends=False)


def test_a_stop_of_the_sidecar_ends_all_calls() -> None:
    rig = CallRig()
    connected_call(rig)
    rig.control.hang_up_all(now=rig.simulation.now)
    rig.run(1.0)
    assert goodbye(rig).headers.get("Reason") == 'Q.850;cause=41;text="the sidecar stops"'
    assert rig.told[-1] == CloseStream(rig.stream, 1001, "the sidecar stops")
    rig.end_stream()
    assert_nothing_is_left(rig)


def test_a_message_about_a_stream_that_is_over_is_no_news() -> None:
    rig = CallRig()
    rig.worker_says(BotText("no such stream", "hello"))
    assert rig.events == []


def test_every_call_ends_on_both_sides_whatever_the_network_loses() -> None:
    for seed in range(100):
        rig = CallRig(seed=seed, loss=0.3)
        call = rig.call(ANY_BOT)
        if rig.told and rig.simulation.random.random() < 0.7:
            rig.worker_says(BotConnected(rig.stream))
        rig.run(rig.simulation.random.uniform(0.0, 3.0))
        rig.hang_up(call)
        rig.run(60.0)
        if rig.told:
            assert rig.told[-1] == CloseStream(rig.stream), f"seed {seed}"
            rig.end_stream()
        assert rig.control.calls == 0, f"seed {seed}"
        assert rig.agent.idle, f"seed {seed}"


def test_a_refused_call_leaves_a_trace() -> None:
    rig = CallRig()
    rig.call({})
    (event,) = rig.events
    assert (event.kind, event.stream) == ("error", "")
    assert event.body.value() == {"status": "error", "message": {"code": 4, "error": "400: url: missing"}}


@pytest.mark.parametrize("address", ["255.255.255.255", "224.0.0.1"])
def test_media_is_not_sent_to_many(address: str) -> None:
    rig = CallRig()
    rig.call(ANY_BOT, media_address=address)
    assert refusal(rig).status == 488


def test_media_is_not_sent_to_ourselves() -> None:
    rig = CallRig()
    lines = "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", "m=audio 40000 RTP/AVP 0"
    rig.call(ANY_BOT, body="\r\n".join((*lines, "")).encode())
    assert refusal(rig).status == 488
    assert rig.told == []


def test_a_close_that_crosses_the_bye_is_told_once() -> None:
    rig = CallRig()
    call = rig.call(ANY_BOT)
    rig.worker_says(BotConnected(rig.stream))
    rig.hang_up(call)
    rig.worker_says(BotClosed(rig.stream, 1000, ""))
    rig.worker_says(BotFailed(rig.stream, 1, "connection lost"))
    rig.end_stream()
    assert rig.event_kinds() == ["start", "connect", "disconnect", "stop"]


def test_a_bot_that_is_lost_after_it_closed_is_told_once() -> None:
    rig = CallRig()
    connected_call(rig)
    rig.worker_says(BotClosed(rig.stream, 1000, ""))
    call = next(event.call for event in rig.heard if isinstance(event, CallAnswered))
    rig.hang_up(call)
    assert rig.event_kinds().count("disconnect") == 1


def test_a_bot_that_connects_after_the_cancel_is_no_news() -> None:
    rig = CallRig()
    call = rig.call(ANY_BOT)
    rig.hang_up(call)
    rig.worker_says(BotConnected(rig.stream))
    assert StartMedia(rig.stream) not in rig.told
    rig.end_stream()
    assert rig.event_kinds() == ["start", "stop"]
    assert_nothing_is_left(rig)


def test_a_sidecar_that_stops_takes_no_calls() -> None:
    rig = CallRig()
    rig.control.hang_up_all(now=rig.simulation.now)
    rig.call(ANY_BOT)
    assert refusal(rig).status == 503
    assert "Retry-After" in refusal(rig).headers
    assert rig.told == []


def test_a_stop_of_the_sidecar_refuses_what_is_not_answered() -> None:
    rig = CallRig()
    rig.call(ANY_BOT)
    rig.control.hang_up_all(now=rig.simulation.now)
    rig.run(1.0)
    assert refusal(rig).status == 503


def held_call(rig: CallRig) -> CallRef:
    connected_call(rig)
    return next(event.call for event in rig.heard if isinstance(event, CallAnswered))


def reoffered(rig: CallRig, call: CallRef, *lines: str, port: int = 30000, version: int = 2) -> Event:
    head = "v=0", f"o=- 1 {version} IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"
    body = "\r\n".join((*head, f"m=audio {port} RTP/AVP 0", *lines, ""))
    rig.caller.reoffer(call, body.encode(), now=rig.simulation.now)
    rig.run(1.0)
    return rig.heard[-1]


def test_a_caller_that_holds_is_sent_nothing_until_it_resumes() -> None:
    rig = CallRig()
    call = held_call(rig)
    held = reoffered(rig, call, "a=sendonly")
    assert isinstance(held, OfferAnswered)
    assert b"a=recvonly" in held.body
    assert rig.told[-1] == StartMedia(rig.stream, sends=False)
    resumed = reoffered(rig, call, "a=sendrecv", version=3)
    assert isinstance(resumed, OfferAnswered)
    assert b"a=sendrecv" in resumed.body
    assert rig.told[-1] == StartMedia(rig.stream)
    rig.hang_up(call)
    rig.end_stream()
    assert_nothing_is_left(rig)


def test_an_offer_that_cannot_be_taken_is_refused_and_the_call_goes_on() -> None:
    rig = CallRig()
    call = held_call(rig)
    told = list(rig.told)
    refused = reoffered(rig, call, "a=inactive", port=0)
    assert isinstance(refused, OfferRefused)
    assert refused.status == 488
    rig.caller.reoffer(call, b"v=0\r\nnonsense", now=rig.simulation.now)
    rig.run(1.0)
    assert rig.told == told
    rig.hang_up(call)
    rig.end_stream()
    assert_nothing_is_left(rig)


class Worker:
    """A worker that agrees to some changes of the leg, and refuses others."""

    def __init__(self, rig: CallRig) -> None:
        self._rig = rig
        self._read = 0
        self.port = self.agreed = 30000

    def answer(self) -> None:
        """Answer all that was asked since."""
        rig = self._rig
        while self._read < len(rig.told):
            message = rig.told[self._read]
            self._read += 1
            if not isinstance(message, ChangeLeg):
                continue
            if rig.simulation.random.random() < 0.3 and message.leg.port != self.agreed:
                rig.worker_says(LegRefused(rig.stream, "taken"))
            else:
                self.port = message.leg.port
                rig.worker_says(LegChanged(rig.stream))


def test_all_agree_on_where_a_call_has_moved_whatever_the_network_loses() -> None:
    moves = 0
    for seed in range(60):
        rig = CallRig(seed=seed, loss=0.2)
        call = rig.call({**ANY_BOT, "X-STREAM_ANSWER": "immediate"})
        rig.run(20.0)
        worker = Worker(rig)
        for version in range(2, 6):
            port = 30000 + 2 * rig.simulation.random.randrange(3)
            reoffered(rig, call, port=port, version=version)
            rig.run(rig.simulation.random.choice([0.0, 2.0, 5.0]))
            worker.answer()
            rig.run(20.0)
            worker.answer()  # an offer that waited too long was refused, and is undone
            moved = isinstance(rig.heard[-1], OfferAnswered)
            moves += moved
            worker.agreed = port if moved else worker.agreed
            assert isinstance(rig.heard[-1], OfferAnswered | OfferRefused), f"seed {seed}"
            assert worker.port == worker.agreed, f"seed {seed}"
        rig.hang_up(call)
        rig.run(60.0)
        rig.end_stream()
        assert rig.control.calls == 0, f"seed {seed}"
        assert rig.agent.idle, f"seed {seed}"
    assert 60 < moves < 220


# --- a bot that is lost, or has gone


def test_a_bot_that_comes_back_has_the_call_that_it_had() -> None:
    rig = CallRig()
    call = rig.call(ANY_BOT)
    rig.worker_says(BotConnected(rig.stream))
    rig.worker_says(BotLost(rig.stream, 1006, "connection lost", 1))
    rig.worker_says(BotResumed(rig.stream, 500, 480))
    rig.worker_says(BotStalled(rig.stream, 2000))
    assert rig.event_kinds() == ["start", "connect", "error", "reconnecting", "reconnected", "error"]
    rig.hang_up(call)
    rig.end_stream()
    assert rig.event_kinds()[-2:] == ["disconnect", "stop"]
    assert_nothing_is_left(rig)


def test_a_call_may_outlive_the_loss_of_its_bot() -> None:
    rig = CallRig()
    call = rig.call({**ANY_BOT, "X-STREAM_ON_BOT_LOST": "keep"})
    rig.worker_says(BotConnected(rig.stream))
    rig.worker_says(BotFailed(rig.stream, 1, "connection lost"))
    assert rig.event_kinds()[-1] == "disconnect"
    assert isinstance(rig.heard[-1], CallAnswered)
    rig.hang_up(call)
    rig.end_stream()
    assert rig.event_kinds().count("disconnect") == 1
    assert_nothing_is_left(rig)


def test_a_call_that_is_not_answered_is_not_kept_without_a_bot() -> None:
    rig = CallRig()
    rig.call({**ANY_BOT, "X-STREAM_ON_BOT_LOST": "keep"})
    rig.worker_says(BotFailed(rig.stream, 6, "Connection refused"))
    assert refusal(rig).status == 503
    rig.end_stream()
    assert_nothing_is_left(rig)


@pytest.mark.parametrize(
    ("option", "code", "goes_on"),
    [
        ("ON_BOT_CLOSE", 1000, True),
        ("ON_BOT_CLOSE", 1012, False),
        ("ON_BOT_LOST", 1000, False),
        ("ON_BOT_LOST", 1012, True),
    ],
)
def test_a_call_may_outlive_the_close_of_its_bot(option: str, code: int, goes_on: bool) -> None:
    rig = CallRig()
    call = rig.call({**ANY_BOT, f"X-STREAM_{option}": "keep"})
    rig.worker_says(BotConnected(rig.stream))
    rig.worker_says(BotClosed(rig.stream, code, ""))
    rig.worker_says(PlaybackDrained(rig.stream))
    assert isinstance(rig.heard[-1], CallAnswered) is goes_on
    if goes_on:
        rig.hang_up(call)
    rig.end_stream()
    assert rig.event_kinds().count("disconnect") == 1
    assert_nothing_is_left(rig)


def test_a_fallback_that_is_not_allowed_is_a_403() -> None:
    rig = CallRig(bot_hosts=BotHosts(("*.good.example",)))
    rig.call({"X-STREAM_URL": "ws://a.good.example", "X-STREAM_ON_BOT_LOST": "fallback:ws://elsewhere.example/"})
    assert refusal(rig).status == 403
    assert "on_bot_lost: elsewhere.example is not an allowed bot host" in (refusal(rig).headers.get("Warning") or "")


def test_streams_are_shown_by_the_page_and_by_the_call() -> None:
    rig = CallRig()
    for _ in range(3):
        connected_call(rig)
    names = sorted(each.id for each in rig.control.streams())
    first = rig.control.page(after="", most=2, call=None)
    assert [each.id for each in first] == names[:2]
    assert [each.id for each in rig.control.page(after=names[1], most=2, call=None)] == names[2:]
    assert rig.control.page(after="", most=9, call=first[1].call) == [first[1]]
    assert rig.control.page(after=names[2], most=2, call=None) == []
