"""The user agent as UAS, one datagram at a time."""

from __future__ import annotations

import pytest
import sipmessage

from sip import (
    Address,
    CallConfirmed,
    CallEnded,
    CallReceived,
    CallRef,
    EndCause,
    Message,
    Request,
    Response,
    SipError,
    SipUri,
)
from tests.support.sip_messages import CALLER, OFFER, Peer, request

ANSWER = b"v=0\r\n"


def invited(peer: Peer, **fields: object) -> tuple[CallRef, Request]:
    """Send an INVITE to the agent; return the call and the INVITE as it was told."""
    peer.send(request(body=OFFER, **fields))  # type: ignore[arg-type]
    (event,) = peer.events()
    assert isinstance(event, CallReceived)
    return event.call, event.request


def answered(peer: Peer, **fields: object) -> tuple[CallRef, str]:
    """Let the agent answer a call; return the call and the tag of its dialog."""
    call, _ = invited(peer, **fields)
    peer.agent.answer(call, ANSWER, now=peer.now)
    (final,) = peer.read()
    return call, final.to.tag or ""


def confirmed(peer: Peer, **fields: object) -> tuple[CallRef, str]:
    """Let the agent answer a call, and acknowledge."""
    call, tag = answered(peer, **fields)
    assert peer.send(request("ACK", to_tag=tag, branch="z9hG4bK-ack", body=b"late")) == []
    assert peer.events() == [CallConfirmed(call, b"late")]
    return call, tag


def end(peer: Peer) -> CallEnded:
    """Return how the one call ended, which is told once."""
    (event,) = peer.events()
    assert isinstance(event, CallEnded)
    return event


def method(messages: list[Message]) -> list[str]:
    """Return the methods of the requests."""
    return [each.method for each in messages if isinstance(each, Request)]


def test_an_invite_is_tried_rung_and_answered_in_the_words_another_parser_reads() -> None:
    peer = Peer()
    routes = ("Record-Route: <sip:192.0.2.30;lr>", "Record-Route: <sip:192.0.2.31;lr>", "Timestamp: 7")
    (trying,) = peer.send(request(body=OFFER, headers=routes))
    assert trying.to.tag is None
    assert trying.headers.get("Timestamp") == "7"
    (event,) = peer.events()
    assert isinstance(event, CallReceived)
    assert (event.source, event.request.body) == (CALLER, OFFER)
    peer.agent.respond(event.call, 180, now=0.0)
    peer.agent.answer(event.call, ANSWER, headers=[("X-A", "b")], now=0.0)
    ringing, final = peer.read()
    assert isinstance(ringing, Response)
    assert isinstance(final, Response)
    assert (ringing.status, final.status) == (180, 200)
    assert ringing.to.tag == final.to.tag is not None
    for each in (ringing, final):
        assert each.headers.get_all("Record-Route") == ("<sip:192.0.2.30;lr>", "<sip:192.0.2.31;lr>")
        assert each.contact is not None
        assert each.contact.uri == "sip:192.0.2.20:5070"
        theirs = sipmessage.Message.parse(bytes(each))
        assert str(theirs.contact[0].uri) == "sip:192.0.2.20:5070"
        assert str(theirs.via[0]) == str(each.via)
    assert final.via.parameters.get("rport") == "5060"
    assert final.via.parameters.get("received") == "192.0.2.10"
    assert (final.body, final.content_type, final.headers.get("X-A")) == (ANSWER, "application/sdp", "b")
    peer.wait(0.0)
    ack = request("ACK", to_tag=final.to.tag, branch="z9hG4bK-ack")
    assert peer.send(ack) == []
    peer.agent.hang_up(event.call, headers=[("Reason", "Q.850;cause=16")], now=0.0)
    (bye,) = peer.read()
    assert bye.headers.get_all("Route") == ("<sip:192.0.2.30;lr>", "<sip:192.0.2.31;lr>")
    assert sipmessage.Message.parse(bytes(bye)).cseq.method == "BYE"


def test_a_retransmitted_invite_is_absorbed() -> None:
    peer = Peer()
    call, _ = invited(peer)
    assert peer.statuses(request(body=OFFER)) == [100]
    peer.agent.answer(call, ANSWER, now=0.0)
    peer.read()
    assert peer.statuses(request(body=OFFER)) == []
    assert peer.events() == []


def test_the_200_is_sent_until_the_ack_comes() -> None:
    peer = Peer()
    _, tag = answered(peer)
    assert len(peer.wait(10.0)) == 4  # after 0.5, 1.5, 3.5 and 7.5 s
    peer.send(request("ACK", to_tag=tag, branch="z9hG4bK-ack"))
    assert peer.wait(60.0) == []


def test_without_ack_the_call_ends_with_a_bye() -> None:
    peer = Peer()
    call, _ = answered(peer)
    sent = peer.wait(32.0)
    assert len(sent) == 10 + 1
    assert method(sent) == ["BYE"]
    assert end(peer) == CallEnded(call, EndCause.NO_ACK, None, None)
    assert len(peer.wait(100.0)) == 10  # timer E
    assert peer.agent.idle


def test_a_bye_waits_for_the_ack() -> None:
    peer = Peer()
    call, tag = answered(peer)
    peer.agent.hang_up(call, now=0.0)
    assert peer.read() == []
    assert end(peer).cause is EndCause.LOCAL_BYE
    (bye,) = peer.send(request("ACK", to_tag=tag, branch="z9hG4bK-ack"))
    assert isinstance(bye, Request)
    assert (bye.method, bye.to.tag, bye.from_.tag, bye.uri) == ("BYE", "caller", tag, "sip:caller@192.0.2.10:5060")
    assert peer.agent.calls == 0


def test_a_bye_that_waits_in_vain_for_the_ack_is_sent_at_last() -> None:
    peer = Peer()
    call, _ = answered(peer)
    peer.agent.hang_up(call, now=0.0)
    assert method(peer.wait(32.0)) == ["BYE"]
    assert end(peer).cause is EndCause.LOCAL_BYE


def test_the_caller_hangs_up() -> None:
    peer = Peer()
    call, tag = confirmed(peer)
    bye = request("BYE", to_tag=tag, branch="z9hG4bK-bye", cseq=2)
    assert peer.statuses(bye) == [200]
    assert peer.statuses(bye) == [200]
    ended = end(peer)
    assert (ended.call, ended.cause) == (call, EndCause.REMOTE_BYE)
    assert isinstance(ended.message, Request)
    peer.agent.hang_up(call, now=0.0)
    peer.agent.respond(call, 180, now=0.0)
    peer.agent.answer(call, ANSWER, now=0.0)
    assert peer.read() == []
    assert peer.events() == []


def test_byes_that_cross_are_both_answered() -> None:
    peer = Peer()
    call, tag = confirmed(peer)
    peer.agent.hang_up(call, now=0.0)
    assert method(peer.read()) == ["BYE"]
    assert peer.statuses(request("BYE", to_tag=tag, branch="z9hG4bK-bye", cseq=2)) == [200]
    assert end(peer).cause is EndCause.LOCAL_BYE


def test_a_bye_before_the_answer_ends_the_call_and_the_invite() -> None:
    peer = Peer()
    call, _ = invited(peer)
    peer.agent.respond(call, 183, body=ANSWER, now=0.0)
    (progress,) = peer.read()
    bye = request("BYE", to_tag=progress.to.tag, branch="z9hG4bK-bye", cseq=2)
    assert peer.statuses(bye) == [200, 487]
    assert end(peer).cause is EndCause.REMOTE_BYE


def test_a_cancel_ends_the_invite_with_487() -> None:
    peer = Peer()
    invited(peer)
    ok, terminated = peer.send(request("CANCEL", headers=("Reason: SIP;cause=200",)))
    assert ok.cseq.method == "CANCEL"
    assert isinstance(terminated, Response)
    assert terminated.status == 487
    assert ok.to.tag == terminated.to.tag
    assert end(peer).cause is EndCause.CANCELLED
    assert len(peer.wait(1.6)) == 2  # timer G
    assert peer.send(request("ACK", to_tag=terminated.to.tag)) == []
    assert peer.send(request("ACK", to_tag=terminated.to.tag)) == []
    assert peer.wait(32.0) == []
    assert peer.agent.idle


def test_a_cancel_after_the_answer_is_answered_and_has_no_effect() -> None:
    peer = Peer()
    _, tag = answered(peer)
    assert peer.statuses(request("CANCEL")) == [200]
    peer.send(request("ACK", to_tag=tag, branch="z9hG4bK-ack"))
    assert [type(event) for event in peer.events()] == [CallConfirmed]


def test_a_cancel_of_a_refused_call_is_answered() -> None:
    peer = Peer()
    call, _ = invited(peer)
    peer.agent.respond(call, 486, reason="Busy", now=0.0)
    (busy,) = peer.read()
    assert isinstance(busy, Response)
    assert busy.reason == "Busy"
    assert end(peer) == CallEnded(call, EndCause.REJECTED, 486, None)
    assert peer.statuses(request("CANCEL")) == [200]


def test_a_cancel_of_nothing_is_answered_481() -> None:
    assert Peer().statuses(request("CANCEL")) == [481]


def test_hanging_up_before_the_answer_refuses_the_call() -> None:
    peer = Peer()
    call, _ = invited(peer)
    peer.agent.hang_up(call, now=0.0)
    (refusal,) = peer.read()
    assert isinstance(refusal, Response)
    assert refusal.status == 480
    assert end(peer).status == 480
    assert len(peer.wait(33.0)) == 10  # no ACK ever came: timer H
    assert peer.agent.idle


@pytest.mark.parametrize(
    ("headers", "seconds", "status"),
    [
        ((), 180.0, 480),
        (("Expires: 30",), 30.0, 487),
        (("Expires: 3600",), 180.0, 480),
        (("Expires: Thu, 01 Dec 1994 16:00:00 GMT",), 180.0, 480),
    ],
)
def test_an_invite_is_not_left_unanswered_for_ever(headers: tuple[str, ...], seconds: float, status: int) -> None:
    peer = Peer()
    call, _ = invited(peer, headers=headers)
    peer.agent.respond(call, 183, now=peer.now)
    peer.read()
    assert peer.wait(seconds - 0.1) == []
    first, *_ = peer.wait(0.2)
    assert isinstance(first, Response)
    assert first.status == status
    (ended,) = peer.events()
    assert isinstance(ended, CallEnded)
    assert (ended.cause, ended.status) == (EndCause.REJECTED, status)
    peer.wait(64.0)
    assert peer.agent.idle


def test_a_call_that_is_answered_in_time_is_not_held_to_the_expiry_of_its_invite() -> None:
    peer = Peer()
    _, tag = answered(peer, headers=("Expires: 30",))
    peer.send(request("ACK", branch="z9hG4bK-2", to_tag=tag))
    assert peer.wait(200.0) == []
    assert peer.agent.calls == 1


def test_a_header_that_would_be_two_is_refused_before_anything_happens() -> None:
    peer = Peer()
    call, _ = invited(peer)
    with pytest.raises(SipError):
        peer.agent.answer(call, ANSWER, headers=[("X", "a\r\nY: b")], now=0.0)
    peer.agent.answer(call, ANSWER, headers=[("c", "application/sdp")], now=0.0)
    assert len(peer.read()) == 1


def test_a_call_nobody_knows_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError):
        Peer().agent.hang_up(CallRef(1), now=0.0)


@pytest.mark.parametrize(
    ("contact", "routes", "uri", "route", "destination"),
    [
        ("<sip:a@pbx.example?x=y>", (), "sip:a@pbx.example", (), CALLER),
        ("<sip:a@192.0.2.11>", (), "sip:a@192.0.2.11", (), ("192.0.2.11", 5060)),
        (
            "<sip:a@192.0.2.11>",
            ("Record-Route: <sip:[2001:db8::5]:5080;lr>, <sip:p2;lr>",),
            "sip:a@192.0.2.11",
            ("<sip:[2001:db8::5]:5080;lr>", "<sip:p2;lr>"),
            ("2001:db8::5", 5080),
        ),
        (
            "<sip:a@192.0.2.11>",
            ("Record-Route: <sip:192.0.2.40>", "Record-Route: <sip:p2;lr>"),
            "sip:192.0.2.40",
            ("<sip:p2;lr>", "<sip:a@192.0.2.11>"),
            ("192.0.2.40", 5060),
        ),
    ],
)
def test_requests_in_the_dialog_go_by_routes_and_contact(
    contact: str, routes: tuple[str, ...], uri: str, route: tuple[str, ...], destination: Address
) -> None:
    peer = Peer()
    call, _ = confirmed(peer, contact=contact, headers=routes)
    peer.agent.hang_up(call, now=0.0)
    (sent,) = peer.agent.datagrams_to_send()
    assert sent[1] == destination
    bye = sipmessage.Message.parse(sent[0])
    assert isinstance(bye, sipmessage.Request)
    assert str(bye.uri) == uri
    assert bye.headers.getlist("Route") == list(route)


def test_a_caller_without_tag_has_calls_too() -> None:
    peer = Peer()
    peer.send(request(body=OFFER).replace(b";tag=caller", b""))
    (event,) = peer.events()
    assert isinstance(event, CallReceived)
    peer.agent.answer(event.call, ANSWER, now=0.0)
    (final,) = peer.read()
    peer.send(request("ACK", to_tag=final.to.tag, branch="z9hG4bK-a").replace(b";tag=caller", b""))
    assert peer.events() == [CallConfirmed(event.call, b"")]


def test_responding_to_a_call_of_ours_is_a_mistake_of_ours() -> None:
    peer = Peer()
    call = peer.agent.invite(SipUri("h"), destination=CALLER, from_uri=SipUri("h"), body=b"", now=0.0)
    with pytest.raises(AssertionError):
        peer.agent.respond(call, 180, now=0.0)
    with pytest.raises(AssertionError):
        peer.agent.answer(call, b"", now=0.0)


def test_an_alarm_that_rings_early_changes_nothing() -> None:
    peer = Peer()
    call, _ = answered(peer)
    peer.agent._calls._calls[call].handle_timeout(now=0.0)
    assert peer.read() == []
