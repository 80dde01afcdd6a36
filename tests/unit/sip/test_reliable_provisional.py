"""Reliable provisional responses, as UAS and as UAC. See RFC 3262."""

from __future__ import annotations

import pytest

from sip import CallAnswered, CallEnded, CallProgress, CallRef, OfferAnswered, Response, SipError
from sip.reliable_provisional import parse_rack
from tests.support.dialogs import ANSWER, only_request, only_response
from tests.support.sip_messages import OFFER, Peer, request, response
from tests.unit.sip.test_client_call import invite
from tests.unit.sip.test_server_call import invited

INSISTS = ("Require: 100rel",)
ABLE = ("Supported: 100rel",)
RELIABLE = ("Require", "100rel")


def ring(peer: Peer, call: CallRef, status: int = 183, *, body: bytes = ANSWER) -> Response:
    """Let the agent send a provisional response."""
    peer.agent.respond(call, status, body=body, now=peer.now)
    return only_response(peer.read(), status)


def prack(ringing: Response, *, rack: str | None = None, body: bytes = b"", cseq: int = 2) -> bytes:
    """Acknowledge a provisional response."""
    header = f"RAck: {rack or str(ringing.headers.get('RSeq')) + ' 1 INVITE'}"
    tag = ringing.to.tag
    return request("PRACK", cseq=cseq, branch=f"z9hG4bK-p{cseq}", to_tag=tag, headers=(header,), body=body)


def test_a_provisional_response_is_sent_until_it_is_acknowledged() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    ringing = ring(peer, call, 180, body=b"")
    assert ringing.headers.get("Require") == "100rel"
    assert len(peer.wait(4.0)) == 3  # after 0.5, 1.5 and 3.5 s
    assert peer.statuses(prack(ringing, rack="1 1 INVITE")) == [481]
    assert peer.statuses(prack(ringing, rack="junk", cseq=3)) == [400]
    assert peer.statuses(prack(ringing, cseq=4)) == [200]
    assert peer.statuses(prack(ringing, cseq=5)) == [481]
    assert peer.wait(100.0) == []
    assert peer.agent.calls == 1


def test_provisional_responses_go_one_after_another_and_the_answer_waits_for_their_description() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=ABLE)
    first = ring(peer, call)
    peer.agent.respond(call, 180, reliable=True, now=0.0)
    peer.agent.answer(call, ANSWER, now=0.0)
    assert peer.read() == []
    acknowledged = peer.send(prack(first))
    assert [each.status for each in acknowledged if isinstance(each, Response)] == [180, 200, 200]
    second = acknowledged[0]
    assert int(second.headers.get("RSeq") or "") == int(first.headers.get("RSeq") or "") + 1


def test_without_need_nothing_is_reliable() -> None:
    for headers, body in ((ABLE, b""), ((), ANSWER)):
        peer = Peer()
        call, _ = invited(peer, headers=headers)
        assert "RSeq" not in ring(peer, call, 180, body=body).headers


def test_a_final_response_stops_the_provisional_ones_and_a_late_prack_is_answered() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    ringing = ring(peer, call, 180, body=b"")
    peer.agent.answer(call, ANSWER, now=0.0)
    only_response(peer.read(), 200)
    assert peer.statuses(prack(ringing)) == [200]


def test_without_prack_the_call_is_refused() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    ring(peer, call, 180, body=b"")
    sent = peer.wait(32.0)
    assert [each.status for each in sent if isinstance(each, Response)][-1] == 504
    (event,) = peer.events()
    assert isinstance(event, CallEnded)
    assert event.status == 504


def test_an_offer_of_ours_is_answered_in_the_prack() -> None:
    peer = Peer()
    peer.send(request(headers=INSISTS))
    (event,) = peer.events()
    ringing = ring(peer, event.call)
    assert peer.statuses(prack(ringing, body=OFFER)) == [200]
    assert peer.events() == [OfferAnswered(event.call, OFFER)]


def test_an_offer_in_a_prack_comes_too_early() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    assert peer.statuses(prack(ring(peer, call), body=OFFER)) == [488]
    assert peer.wait(100.0) == []


def test_there_is_an_end_to_provisional_responses_that_wait() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    for _ in range(30):
        peer.agent.respond(call, 180, now=0.0)
    assert len(peer.read()) == 1
    assert peer.statuses(request("CANCEL")) == [200, 487]


def test_we_acknowledge_what_wants_it_once_and_in_order() -> None:
    peer = Peer()
    _, sent = invite(peer)
    assert "100rel" in (sent.headers.get("Supported") or "")
    first = response(sent, 183, headers=(RELIABLE, ("RSeq", "7")), body=OFFER)
    ack = only_request(peer.send(first), "PRACK")
    assert (ack.headers.get("RAck"), ack.cseq.number, ack.to.tag) == ("7 1 INVITE", 2, "callee")
    assert peer.send(response(ack, 200)) == []
    assert peer.send(first) == []
    assert peer.send(response(sent, 180, headers=(RELIABLE, ("RSeq", "9")))) == []
    only_request(peer.send(response(sent, 180, headers=(RELIABLE, ("RSeq", "8")))), "PRACK")
    for headers in ((RELIABLE, ("RSeq", "x")), (("RSeq", "10"),)):
        assert peer.send(response(sent, 180, headers=headers)) == []
    assert peer.send(response(sent, 180, to_tag=None, headers=(RELIABLE, ("RSeq", "9")))) == []
    only_request(peer.send(response(sent, 200, body=OFFER)), "ACK")
    assert [type(each) for each in peer.events()] == [CallProgress] * 5 + [CallAnswered]
    peer.wait(40.0)
    assert peer.agent.calls == 1


def test_a_prack_that_comes_too_late_does_not_end_the_call() -> None:
    peer = Peer()
    _, sent = invite(peer)
    prack = only_request(peer.send(response(sent, 183, headers=(RELIABLE, ("RSeq", "7")))), "PRACK")
    peer.send(response(sent, 200, body=OFFER))
    assert peer.send(response(prack, 481)) == []
    assert peer.agent.calls == 1


def test_a_call_that_offers_late_asks_for_nothing_reliable() -> None:
    _, sent = invite(Peer(), body=b"")
    assert "100rel" not in (sent.headers.get("Supported") or "")


def test_there_is_an_end_to_early_dialogs() -> None:
    peer = Peer()
    _, sent = invite(peer)
    for fork in range(9):
        headers = (RELIABLE, ("RSeq", "1"))
        messages = peer.send(response(sent, 180, to_tag=f"fork-{fork}", headers=headers))
        assert len(messages) == (fork < 8)


@pytest.mark.parametrize("text", ["", "1 2", "1 2 3 4", "99999999999 1 INVITE"])
def test_a_malformed_rack_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        parse_rack(text)
