"""Sessions that change while the call is up: re-INVITE and UPDATE of the other side."""

from __future__ import annotations

import pytest

from sip import (
    CallConfirmed,
    CallReceived,
    EndCause,
    OfferAnswered,
    OfferReceived,
    OfferWithdrawn,
    Request,
    Response,
    SipError,
)
from tests.support.dialogs import ANSWER, BOTH, HELD, HOLD, Dialog, cause, only_request, only_response
from tests.support.sip_messages import OFFER, Peer, request


@BOTH
def test_their_re_invite_is_told_answered_and_acknowledged(placed_by_agent: bool) -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=placed_by_agent)
    only_response(dialog.send("INVITE", body=HOLD, contact="<sip:new@192.0.2.66>"), 100)
    (event,) = peer.events()
    assert isinstance(event, OfferReceived)
    assert (event.call, event.request.body) == (dialog.call, HOLD)
    peer.agent.accept_offer(dialog.call, HELD, headers=[("X-A", "b")], now=0.0)
    final = only_response(peer.read(), 200)
    assert (final.body, final.headers.get("X-A"), final.contact is not None) == (HELD, "b", True)
    assert len(peer.wait(1.0)) == 1
    assert dialog.send("ACK") == []
    assert peer.wait(100.0) == []
    assert peer.events() == []
    peer.agent.hang_up(dialog.call, now=peer.now)
    assert only_request(peer.read(), "BYE").uri == "sip:new@192.0.2.66"


@BOTH
def test_a_re_invite_without_ack_ends_the_call(placed_by_agent: bool) -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=placed_by_agent)
    dialog.send("INVITE", body=HOLD)
    peer.agent.accept_offer(dialog.call, HELD, now=0.0)
    bye = [each for each in peer.wait(32.0) if isinstance(each, Request)]
    assert [each.method for each in bye] == ["BYE"]
    assert "No ACK" in (bye[0].headers.get("Reason") or "")
    assert cause(peer) is EndCause.NO_ACK
    peer.wait(64.0)
    assert peer.agent.idle


def test_their_update_is_answered_without_ack() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    assert dialog.send("UPDATE", body=HOLD) == []
    assert isinstance(peer.events()[0], OfferReceived)
    peer.agent.accept_offer(dialog.call, HELD, now=0.0)
    assert only_response(peer.read(), 200).body == HELD
    assert peer.wait(60.0) == []
    peer.agent.accept_offer(dialog.call, HELD, now=peer.now)
    peer.agent.refuse_offer(dialog.call, now=peer.now)
    assert peer.read() == []


def test_a_refused_offer_leaves_the_session_and_the_target_as_they_are() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    dialog.send("INVITE", body=HOLD, contact="<sip:new@192.0.2.66>")
    peer.agent.refuse_offer(dialog.call, headers=[("Warning", '304 - "no"')], now=0.0)
    assert "Warning" in only_response(peer.read(), 488).headers
    peer.agent.hang_up(dialog.call, now=0.0)
    assert only_request(peer.read(), "BYE").uri == "sip:caller@192.0.2.10:5060"


@pytest.mark.parametrize(("method", "status"), [("INVITE", 488), ("UPDATE", 504)])
def test_an_offer_that_the_owner_leaves_alone_is_refused(method: str, status: int) -> None:
    peer = Peer()
    Dialog(peer).send(method, body=HOLD)
    only_response(peer.wait(4.0), status)
    assert [type(each) for each in peer.events()] == [OfferReceived, OfferWithdrawn]


def test_an_offer_that_says_what_the_last_said_is_answered_as_the_last() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    _, final = dialog.send("INVITE", body=OFFER)
    assert isinstance(final, Response)
    assert (final.status, final.body) == (200, ANSWER)
    assert peer.events() == []


def test_a_re_invite_without_offer_gets_ours_and_its_ack_has_the_answer() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    only_response(dialog.send("INVITE"), 100)
    (event,) = peer.events()
    assert isinstance(event, OfferReceived)
    peer.agent.accept_offer(dialog.call, HELD, now=0.0)
    only_response(peer.read(), 200)
    assert dialog.statuses("UPDATE", body=OFFER) == [491]
    dialog.cseq -= 1
    dialog.send("ACK", body=HOLD)
    assert peer.events() == [OfferAnswered(dialog.call, HOLD)]


def test_a_re_invite_without_offer_works_for_calls_of_ours_too() -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=True)
    dialog.send("INVITE")
    peer.events()
    peer.agent.accept_offer(dialog.call, HELD, now=0.0)
    peer.read()
    dialog.send("ACK", body=HOLD)
    assert peer.events() == [OfferAnswered(dialog.call, HOLD)]


def test_a_second_offer_before_the_first_is_answered_comes_too_early() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    dialog.send("INVITE", body=HOLD)
    (refusal,) = dialog.send("UPDATE", body=HOLD)
    assert isinstance(refusal, Response)
    assert (refusal.status, "Retry-After" in refusal.headers) == (500, True)


def test_a_cancelled_re_invite_is_withdrawn_and_the_call_goes_on() -> None:
    for placed_by_agent in (False, True):
        peer = Peer()
        dialog = Dialog(peer, placed_by_agent=placed_by_agent)
        dialog.send("INVITE", body=HOLD)
        assert dialog.cancel() == [200, 487]
        assert dialog.cancel() == [200]
        assert [type(each) for each in peer.events()] == [OfferReceived, OfferWithdrawn]
        assert peer.agent.calls == 1


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    dialog.send("INVITE", body=HOLD)
    with pytest.raises(SipError):
        peer.agent.accept_offer(dialog.call, HELD, headers=[("X", "a\nb")], now=0.0)
    peer.agent.accept_offer(dialog.call, HELD, now=0.0)
    peer.read()
    assert dialog.cancel() == [200]
    assert [type(each) for each in peer.events()] == [OfferReceived]


def test_a_bye_ends_the_re_invite_that_is_pending() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    dialog.send("INVITE", body=HOLD)
    assert dialog.statuses("BYE") == [200, 487]
    peer.agent.accept_offer(dialog.call, HELD, now=0.0)
    assert peer.read() == []
    assert dialog.statuses("INFO") == [481] or peer.agent.idle


def test_a_contact_that_cannot_be_followed_is_refused() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    for contact, status in (("<tel:+49>", 400), (None, 100)):
        only_response(dialog.send("INVITE", body=HOLD, contact=contact), status)


@pytest.mark.parametrize("placed_by_agent", [False, True])
def test_a_new_re_invite_says_that_the_last_200_arrived(placed_by_agent: bool) -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=placed_by_agent)
    for body in (HOLD, OFFER):
        dialog.send("INVITE", body=body)
        peer.agent.accept_offer(dialog.call, HELD, now=0.0)
        peer.read()
    dialog.send("ACK")
    assert peer.wait(60.0) == []


def test_a_re_invite_may_come_before_the_ack_of_the_first_200() -> None:
    peer = Peer()
    peer.send(request(body=OFFER))
    (event,) = peer.events()
    assert isinstance(event, CallReceived)
    peer.agent.answer(event.call, ANSWER, now=0.0)
    (final,) = peer.read()
    peer.send(request(body=HOLD, cseq=2, branch="z9hG4bK-2", to_tag=final.to.tag))
    assert [type(each) for each in peer.events()] == [CallConfirmed, OfferReceived]
    assert peer.send(request("ACK", branch="z9hG4bK-ack", to_tag=final.to.tag)) == []
    assert peer.agent.counters.stray_acks == 1


def test_an_offer_to_a_call_of_ours_that_rings_is_pending_and_a_refresh_is_not() -> None:
    peer = Peer()
    peer_dialog = Dialog(peer, placed_by_agent=True)
    assert peer_dialog.statuses("UPDATE") == [200]


def test_what_has_ended_is_not_changed_or_told_anything() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    dialog.send("BYE")
    agent = peer.agent
    agent.accept_offer(dialog.call, HELD, now=0.0)
    agent.refuse_offer(dialog.call, now=0.0)
    agent.send_info(dialog.call, "a/b", b"c", now=0.0)
    agent.transfer(dialog.call, "sip:c@h", now=0.0)
    assert agent.calls == 0
    assert peer.read() == []


def test_what_is_said_after_the_end_has_no_call_to_go_to() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.hang_up(dialog.call, now=0.0)
    only_request(peer.read(), "BYE")
    assert dialog.statuses("INFO") == [481]
    assert dialog.statuses("INVITE", body=HOLD) == [481]
