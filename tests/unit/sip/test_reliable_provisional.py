"""Reliable provisional responses, as UAS and as UAC. See RFC 3262."""

from __future__ import annotations

import pytest

from sip import CallAnswered, CallEnded, CallProgress, CallRef, OfferAnswered, OfferReceived, Response, SipError
from sip.reliable_provisional import parse_rack
from tests.support.dialogs import ANSWER, only_request, only_response
from tests.support.sip_messages import OFFER, Peer, request, response
from tests.unit.sip.test_client_call import invite
from tests.unit.sip.test_server_call import invited

INSISTS = ("Require: 100rel",)
ABLE = ("Supported: 100rel",)
RELIABLE = ("Require", "100rel")
HOLD = OFFER + b"a=sendonly\r\n"
HELD = ANSWER + b"a=recvonly\r\n"


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


def test_an_offer_in_a_prack_is_answered_before_the_call_is() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    assert peer.statuses(prack(ring(peer, call), body=HOLD)) == []
    assert [type(each) for each in peer.events()] == [OfferReceived]
    peer.agent.answer(call, HELD, now=0.0)
    assert peer.read() == []
    peer.agent.accept_offer(call, HELD, now=0.0)
    answered, final = peer.read()
    assert only_response([answered], 200).body == HELD
    assert (answered.cseq.method, final.cseq.method) == ("PRACK", "INVITE")
    assert "Session-Expires" not in answered.headers


def test_an_offer_in_a_prack_is_refused_and_the_prack_counts_all_the_same() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    peer.send(prack(ring(peer, call), body=HOLD))
    peer.agent.answer(call, ANSWER, now=0.0)
    assert [each.status for each in peer.wait(4.0) if isinstance(each, Response)][:2] == [504, 200]
    assert peer.agent.calls == 1


def test_an_offer_in_a_prack_before_the_first_is_answered_comes_too_early() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=INSISTS)
    assert peer.statuses(prack(ring(peer, call, 180, body=b""), body=HOLD)) == [500]
    assert peer.wait(31.0) == []


def update(to: Response, body: bytes, *, cseq: int = 3) -> bytes:
    """Offer a change before the call is answered."""
    return request("UPDATE", cseq=cseq, branch=f"z9hG4bK-u{cseq}", to_tag=to.to.tag, body=body)


def test_an_update_changes_a_session_that_was_agreed_before_the_answer() -> None:
    peer = Peer()
    call, _ = invited(peer, headers=(*INSISTS, "Session-Expires: 90", "Supported: timer"))
    ringing = ring(peer, call)
    peer.send(prack(ringing))
    assert peer.send(update(ringing, HOLD)) == []
    assert peer.statuses(update(ringing, OFFER, cseq=4)) == [500]
    peer.agent.accept_offer(call, HELD, now=0.0)
    answered = only_response(peer.read(), 200)
    assert (answered.body, "Session-Expires" in answered.headers) == (HELD, False)
    again = request("INVITE", cseq=5, branch="z9hG4bK-i5", to_tag=ringing.to.tag, body=HOLD)
    assert peer.statuses(again) == [500]
    peer.agent.answer(call, HELD, now=0.0)
    only_response(peer.read(), 200)


@pytest.mark.parametrize("body", [b"", ANSWER])
def test_an_update_before_the_first_offer_is_answered_comes_too_early(body: bytes) -> None:
    peer = Peer()
    call, _ = invited(peer)  # without 100rel: what rings is not yet an answer
    refusal = only_response(peer.send(update(ring(peer, call, body=body), HOLD)), 500)
    assert 0 <= int(refusal.headers.get("Retry-After") or "") <= 10


def test_an_update_that_crosses_our_offer_is_pending() -> None:
    peer = Peer()
    peer.send(request(headers=INSISTS))
    (event,) = peer.events()
    ringing = ring(peer, event.call)
    assert peer.statuses(update(ringing, HOLD, cseq=2)) == [491]
    assert peer.statuses(prack(ringing, body=OFFER, cseq=3)) == [200]
    assert peer.statuses(update(ringing, HOLD, cseq=4)) == []


def test_the_called_side_may_change_what_it_answered_reliably() -> None:
    peer = Peer()
    _, sent = invite(peer)

    def offer(cseq: int, tag: str = "callee") -> bytes:
        return request(
            "UPDATE", cseq=cseq, branch=f"z9hG4bK-u{cseq}", call_id=sent.call_id, from_tag=tag,
            to_tag=sent.from_.tag, body=HOLD,
        )  # fmt: skip

    peer.send(response(sent, 183, headers=(RELIABLE, ("RSeq", "7"))))
    assert peer.statuses(offer(1)) == [491]
    peer.send(response(sent, 183, headers=(RELIABLE, ("RSeq", "8")), body=OFFER))
    assert peer.statuses(offer(2)) == []
    event = peer.events()[-1]
    assert isinstance(event, OfferReceived)
    peer.agent.accept_offer(event.call, HELD, now=0.0)
    assert only_response(peer.read(), 200).body == HELD
    peer.send(response(sent, 180, to_tag="fork"))
    assert peer.statuses(offer(3)) == [491]
    peer.send(response(sent, 200, body=OFFER))  # what it says again is no news
    assert peer.statuses(offer(4)) == [200]


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
