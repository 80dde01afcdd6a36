"""The user agent as UAC, one datagram at a time."""

from __future__ import annotations

import pytest

from sip import (
    CallAnswered,
    CallEnded,
    CallProgress,
    CallRef,
    EndCause,
    Message,
    Request,
    SipUri,
)
from tests.support.sip_messages import AGENT, CALLER, OFFER, Peer, request, response

CONTACT = (("Contact", "<sip:callee@192.0.2.10:5062>"),)


def invite(peer: Peer, *, body: bytes = OFFER) -> tuple[CallRef, Request]:
    """Let the agent place a call."""
    call = peer.agent.invite(
        SipUri(CALLER[0], user="callee"),
        destination=CALLER,
        from_uri=SipUri(AGENT[0], user="bot"),
        body=body,
        headers=[("X-A", "b")],
        now=peer.now,
    )
    (sent,) = peer.read()
    assert isinstance(sent, Request)
    return call, sent


def methods(messages: list[Message]) -> list[str]:
    """Return the methods of the requests."""
    return [each.method for each in messages if isinstance(each, Request)]


def ends(peer: Peer) -> list[tuple[EndCause, int | None]]:
    """Return how calls ended."""
    return [(event.cause, event.status) for event in peer.events() if isinstance(event, CallEnded)]


def test_a_call_rings_is_answered_and_is_hung_up() -> None:
    peer = Peer()
    call, sent = invite(peer)
    assert (sent.content_type, sent.headers.get("X-A")) == ("application/sdp", "b")
    assert peer.send(response(sent, 100)) == []
    assert peer.events() == []
    peer.send(response(sent, 180))
    routes = (("Record-Route", "<sip:192.0.2.41;lr>"), ("Record-Route", "<sip:192.0.2.40;lr>"))
    (ack,) = peer.send(response(sent, 200, headers=(*CONTACT, *routes), body=OFFER))
    assert isinstance(ack, Request)
    assert (ack.method, ack.cseq.number, ack.uri) == ("ACK", 1, "sip:callee@192.0.2.10:5062")
    assert ack.headers.get_all("Route") == ("<sip:192.0.2.40;lr>", "<sip:192.0.2.41;lr>")
    assert ack.via.branch != sent.via.branch
    assert [type(event) for event in peer.events()] == [CallProgress, CallAnswered]
    assert peer.send(response(sent, 200, headers=(*CONTACT, *routes))) == [ack]
    assert peer.send(response(sent, 180)) == []
    peer.agent.hang_up(call, headers=[("Reason", "SIP;cause=200")], now=0.0)
    peer.agent.hang_up(call, now=0.0)
    (bye,) = peer.read()
    assert isinstance(bye, Request)
    assert (bye.method, bye.cseq.number) == ("BYE", 2)
    assert peer.send(response(bye, 100)) == []
    assert peer.agent.open_calls == 1
    assert peer.send(response(bye, 200)) == peer.send(response(bye, 200)) == []
    assert peer.agent.open_calls == 0
    assert ends(peer) == [(EndCause.LOCAL_BYE, None)]
    peer.wait(40.0)
    assert peer.agent.open_calls == 0
    assert peer.agent.idle


def test_the_callee_hangs_up() -> None:
    peer = Peer()
    _, sent = invite(peer, body=b"")
    assert sent.content_type is None
    peer.send(response(sent, 200, body=OFFER))
    names = {"call_id": sent.call_id, "from_tag": "callee", "to_tag": sent.from_.tag}
    assert peer.statuses(request("INVITE", branch="z9hG4bK-1", cseq=1, body=OFFER, **names)) == [491]  # type: ignore[arg-type]
    assert peer.statuses(request("ACK", branch="z9hG4bK-x", cseq=7, **names)) == []  # type: ignore[arg-type]
    assert peer.statuses(request("BYE", branch="z9hG4bK-2", cseq=2, **names)) == [200]  # type: ignore[arg-type]
    assert ends(peer) == [(EndCause.REMOTE_BYE, None)]
    assert peer.agent.counters.stray_acks == 1


def test_a_refusal_is_acknowledged_each_time_it_comes() -> None:
    peer = Peer()
    _, sent = invite(peer)
    (ack,) = peer.send(response(sent, 486))
    assert isinstance(ack, Request)
    assert (ack.method, ack.via, ack.to.tag) == ("ACK", sent.via, "callee")
    assert peer.send(response(sent, 486)) == [ack]
    assert peer.send(response(sent, 200)) == []
    assert ends(peer) == [(EndCause.REJECTED, 486)]
    peer.wait(32.0)
    assert peer.agent.idle


def test_an_invite_that_nobody_hears_ends_after_64_t1() -> None:
    peer = Peer()
    invite(peer)
    assert len(peer.wait(31.9)) == 6
    assert ends(peer) == []
    peer.wait(0.1)
    assert ends(peer) == [(EndCause.TIMEOUT, 408)]
    assert peer.agent.idle


def test_a_cancel_waits_for_the_first_provisional_response() -> None:
    peer = Peer()
    call, sent = invite(peer)
    peer.agent.hang_up(call, headers=[("Reason", "SIP;cause=487")], now=0.0)
    peer.agent.hang_up(call, now=0.0)
    assert peer.read() == []
    (cancel,) = peer.send(response(sent, 100))
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.via, cancel.uri) == ("CANCEL", sent.via, sent.uri)
    assert (cancel.cseq.number, cancel.headers.get("Reason")) == (1, "SIP;cause=487")
    assert peer.send(response(sent, 180)) == []
    assert peer.send(response(cancel, 200)) == []
    assert methods(peer.send(response(sent, 487))) == ["ACK"]
    assert ends(peer) == [(EndCause.CANCELLED, 487)]


def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    peer = Peer()
    call, sent = invite(peer)
    peer.send(response(sent, 180))
    peer.agent.hang_up(call, now=0.0)
    assert methods(peer.read()) == ["CANCEL"]
    assert methods(peer.send(response(sent, 200))) == ["ACK", "BYE"]
    assert ends(peer) == [(EndCause.CANCELLED, 200)]


def test_a_cancel_without_effect_is_given_up_after_64_t1() -> None:
    peer = Peer()
    call, sent = invite(peer)
    peer.send(response(sent, 180))
    peer.agent.hang_up(call, now=0.0)
    peer.wait(32.0)
    assert ends(peer) == [(EndCause.CANCELLED, 408)]
    assert peer.agent.idle


def test_a_call_that_rings_for_too_long_is_cancelled() -> None:
    peer = Peer()
    _, sent = invite(peer)
    peer.send(response(sent, 180))
    peer.wait(170.0)
    peer.send(response(sent, 180))
    peer.wait(170.0)
    assert ends(peer) == []
    assert "CANCEL" in methods(peer.wait(20.0))
    peer.wait(32.0)
    assert ends(peer) == [(EndCause.TIMEOUT, 408)]


def test_a_second_callee_that_answers_is_thanked_and_hung_up() -> None:
    peer = Peer()
    _, sent = invite(peer)
    peer.send(response(sent, 200, to_tag="first"))
    second = response(sent, 200, to_tag="second", headers=CONTACT)
    assert methods(peer.send(second)) == ["ACK", "BYE"]
    assert methods(peer.send(second)) == ["ACK"]
    assert [type(event) for event in peer.events()] == [CallAnswered]
    bye = request("BYE", call_id=sent.call_id, from_tag="second", to_tag=sent.from_.tag)
    assert peer.statuses(bye) == [200]
    assert peer.events() == []


def test_there_is_an_end_to_forks() -> None:
    peer = Peer()
    _, sent = invite(peer)
    answers = [peer.send(response(sent, 200, to_tag=f"fork-{n}")) for n in range(9)]
    assert [len(each) for each in answers] == [1, 2, 2, 2, 2, 2, 2, 2, 0]


def test_an_answer_that_cannot_be_followed_is_dropped_and_the_call_ends() -> None:
    peer = Peer()
    _, sent = invite(peer)
    assert peer.send(response(sent, 200, headers=(("Record-Route", "nowhere"),))) == []
    assert peer.agent.counters.malformed_datagrams == 1
    peer.wait(32.0)
    assert ends(peer) == [(EndCause.TIMEOUT, 408)]
    assert peer.agent.idle


@pytest.mark.parametrize("contact", ["<tel:+49>", "*", "<sip:[::1>"])
def test_an_answer_with_a_contact_that_cannot_be_followed_is_acknowledged_at_the_target(contact: str) -> None:
    peer = Peer()
    _, sent = invite(peer)
    (ack,) = peer.send(response(sent, 200, headers=(("Contact", contact),)))
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri) == ("ACK", sent.uri)
    assert [type(event) for event in peer.events()] == [CallAnswered]


def test_a_response_with_a_second_via_was_meant_for_another() -> None:
    peer = Peer()
    _, sent = invite(peer)
    assert peer.send(response(sent, 486, headers=(("Via", "SIP/2.0/UDP h"),))) == []
    assert peer.agent.counters.stray_responses == 1


def test_there_is_an_end_to_calls_that_we_place() -> None:
    peer = Peer(max_calls=1)
    invite(peer)
    call = peer.agent.invite(SipUri("h"), destination=CALLER, from_uri=SipUri("h"), body=b"", now=0.0)
    assert peer.read() == []
    assert peer.events() == [CallEnded(call, EndCause.OVERLOADED, 503, None)]
    peer.agent.hang_up(call, now=0.0)
    assert peer.events() == []


def test_a_request_that_crosses_our_invite_is_pending() -> None:
    peer = Peer()
    _, sent = invite(peer)
    peer.send(response(sent, 180))
    assert peer.statuses(request("INVITE", call_id=sent.call_id, from_tag="callee", to_tag=sent.from_.tag)) == [491]


def test_the_order_of_requests_counts_from_the_early_dialog_on() -> None:
    peer = Peer()
    _, sent = invite(peer)
    peer.send(response(sent, 183))
    peer.send(response(sent, 183))
    peer.send(response(sent, 180, to_tag=None))
    names = {"call_id": sent.call_id, "from_tag": "callee", "to_tag": sent.from_.tag}
    assert peer.statuses(request("BYE", cseq=5, **names)) == [200]  # type: ignore[arg-type]
    peer.send(response(sent, 200))
    assert peer.statuses(request("BYE", cseq=4, branch="z9hG4bK-4", **names)) == [500]  # type: ignore[arg-type]
    assert [type(event) for event in peer.events()] == [CallProgress] * 3 + [CallAnswered]


def test_an_alarm_that_rings_early_changes_nothing() -> None:
    peer = Peer()
    call, sent = invite(peer)
    peer.agent._calls._calls[call].handle_timeout(now=0.0)
    peer.send(response(sent, 100))
    peer.agent.hang_up(call, now=0.0)
    (cancel,) = peer.read()
    assert isinstance(cancel, Request)
    peer.send(response(cancel, 200))
    assert peer.wait(6.0) == []
    assert not peer.agent.idle


def test_an_alarm_that_rings_very_late_ends_everything_at_once() -> None:
    peer = Peer()
    call, sent = invite(peer)
    peer.send(response(sent, 200))
    peer.agent.hang_up(call, now=0.0)
    peer.agent.handle_timeout(now=1000.0)
    assert peer.agent.idle
