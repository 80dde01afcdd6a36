"""Sessions that we change while the call is up: re-INVITE and UPDATE, and late offers."""

from __future__ import annotations

import pytest

from sip import (
    EndCause,
    OfferAnswered,
    OfferRefused,
    Request,
    Response,
    Timers,
)
from tests.support.dialogs import BOTH, HELD, HOLD, Dialog, cause, only_request, only_response
from tests.support.sip_messages import OFFER, Peer, response


@BOTH
def test_our_re_invite_is_answered_and_acknowledged_each_time(placed_by_agent: bool) -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=placed_by_agent)
    peer.agent.reoffer(dialog.call, HELD, headers=[("X-A", "b")], now=0.0)
    sent = only_request(peer.read(), "INVITE")
    assert (sent.body, sent.content_type, sent.headers.get("X-A")) == (HELD, "application/sdp", "b")
    assert peer.send(response(sent, 100)) == []
    good = response(sent, 200, headers=(("Contact", "<sip:new@192.0.2.66>"),), body=HOLD)
    ack = only_request(peer.send(good), "ACK")
    assert ack.cseq.number == sent.cseq.number
    assert peer.send(good) == [ack]
    assert peer.events() == [OfferAnswered(dialog.call, HOLD)]
    peer.agent.hang_up(dialog.call, now=0.0)
    assert only_request(peer.read(), "BYE").uri == "sip:new@192.0.2.66"


def test_our_update_needs_no_ack_and_falls_back_to_re_invite() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, method="UPDATE", now=0.0)
    update = only_request(peer.read(), "UPDATE")
    assert peer.send(response(update, 200, body=HOLD)) == []
    assert peer.events() == [OfferAnswered(dialog.call, HOLD)]
    peer.agent.reoffer(dialog.call, HELD, method="UPDATE", now=0.0)
    invite = only_request(peer.send(response(only_request(peer.read(), "UPDATE"), 405)), "INVITE")
    assert invite.body == HELD


def test_a_refused_offer_of_ours_is_told() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    only_request(peer.send(response(only_request(peer.read(), "INVITE"), 488)), "ACK")
    assert peer.events() == [OfferRefused(dialog.call, 488)]


def test_the_latest_offer_is_sent_when_the_one_before_is_done() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    for body in (HELD, b"second", b"third"):
        peer.agent.reoffer(dialog.call, body, now=0.0)
    first = only_request(peer.read(), "INVITE")
    _, third = peer.send(response(first, 200, body=HOLD))
    assert isinstance(third, Request)
    assert third.body == b"third"


def test_our_offer_waits_until_theirs_is_answered_and_acknowledged() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    dialog.send("INVITE", body=HOLD)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    assert peer.read() == []
    peer.agent.accept_offer(dialog.call, HELD, now=0.0)
    only_response(peer.read(), 200)
    only_request(dialog.send("ACK"), "INVITE")


@pytest.mark.parametrize(("placed_by_agent", "least", "most"), [(False, 0.0, 2.0), (True, 2.1, 4.0)])
def test_after_glare_we_wait_and_offer_again(placed_by_agent: bool, least: float, most: float) -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=placed_by_agent)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    sent = only_request(peer.read(), "INVITE")
    assert dialog.statuses("INVITE", body=HOLD) == [491]
    dialog.send("ACK")
    peer.send(response(sent, 491))
    at = peer.agent._calls._calls[dialog.call].next_timeout()
    assert at is not None
    assert least <= at <= most
    peer.agent.reoffer(dialog.call, b"newer", now=0.0)
    assert peer.read() == []
    assert [each.body for each in peer.wait(most) if each.body][0] == b"newer"  # noqa: RUF015


def test_glare_without_end_is_given_up() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    for _ in range(8):
        (sent,) = [each for each in peer.wait(2.1) if isinstance(each, Request) and each.body][-1:]
        peer.send(response(sent, 491))
    assert peer.events() == [OfferRefused(dialog.call, 491)]


@pytest.mark.parametrize("status", [408, 481])
def test_an_answer_that_says_that_the_call_is_gone_ends_it(status: int) -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    sent = only_request(peer.read(), "INVITE")
    assert [each.method for each in peer.send(response(sent, status)) if isinstance(each, Request)] == ["ACK", "BYE"]
    assert cause(peer) is EndCause.GONE


def test_silence_ends_the_call() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    peer.wait(32.0)
    assert cause(peer) is EndCause.GONE
    peer.wait(64.0)
    assert peer.agent.idle


def test_a_re_invite_that_is_tried_for_ever_ends_the_call_and_is_forgotten() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    peer.send(response(only_request(peer.read(), "INVITE"), 100))
    peer.wait(180.0 + 32.0)
    assert cause(peer) is EndCause.GONE
    peer.wait(64.0)
    assert peer.agent.idle


@pytest.mark.parametrize("status", [200, 481])
def test_a_re_invite_that_is_tried_too_long_is_cancelled_and_the_call_goes_on(status: int) -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    sent = only_request(peer.read(), "INVITE")
    peer.send(response(sent, 100))
    (cancel, *_) = peer.wait(180.0)
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.via, cancel.cseq.number) == ("CANCEL", sent.via, sent.cseq.number)
    assert peer.send(response(cancel, status)) == []
    only_request(peer.send(response(sent, 487)), "ACK")
    assert peer.events() == [OfferRefused(dialog.call, 487)]
    peer.wait(64.0)
    assert peer.agent.calls == 1


def test_a_re_invite_of_which_nothing_was_heard_is_not_cancelled() -> None:
    peer = Peer(timers=Timers(c=20.0))
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    assert "CANCEL" not in [each.method for each in peer.wait(20.0) if isinstance(each, Request)]
    assert cause(peer) is EndCause.GONE


def test_a_refusal_or_an_answer_after_the_end_changes_nothing() -> None:
    for status in (200, 487):
        peer = Peer()
        dialog = Dialog(peer)
        peer.agent.reoffer(dialog.call, HELD, now=0.0)
        sent = only_request(peer.read(), "INVITE")
        peer.send(response(sent, 100))
        peer.agent.hang_up(dialog.call, now=0.0)
        only_request(peer.read(), "BYE")
        only_request(peer.send(response(sent, status)), "ACK")
        assert len(peer.events()) == 1
        peer.agent.reoffer(dialog.call, HELD, now=0.0)
        assert peer.read() == []


def test_silence_after_the_end_changes_nothing() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, now=0.0)
    peer.agent.hang_up(dialog.call, now=0.0)
    peer.wait(70.0)
    assert len(peer.events()) == 1
    assert peer.agent.idle


def test_the_late_offer_of_the_called_side_is_answered_in_the_ack() -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=True, body=b"")
    assert isinstance(dialog.invite, Request)
    assert peer.send(response(dialog.invite, 200, body=OFFER)) == []
    assert dialog.statuses("UPDATE", body=HOLD) == [491]
    peer.agent.acknowledge(dialog.call, HELD, now=0.0)
    ack = only_request(peer.read(), "ACK")
    assert (ack.body, ack.content_type) == (HELD, "application/sdp")
    peer.agent.acknowledge(dialog.call, HELD, now=0.0)
    assert peer.read() == []
    assert peer.send(response(dialog.invite, 200, body=OFFER)) == [ack]


def test_hanging_up_instead_of_answering_a_late_offer_acknowledges_it_first() -> None:
    peer = Peer()
    dialog = Dialog(peer, placed_by_agent=True, body=b"")
    peer.agent.hang_up(dialog.call, now=0.0)
    assert [each.method for each in peer.read() if isinstance(each, Request)] == ["ACK", "BYE"]
    peer.agent.acknowledge(dialog.call, HELD, now=0.0)
    assert peer.read() == []


def test_an_answer_that_is_repeated_after_the_next_offer_is_acknowledged_again() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    sent = []
    for body in (b"first", b"second"):
        peer.agent.reoffer(dialog.call, body, now=0.0)
        sent.append(only_request(peer.read(), "INVITE"))
        only_request(peer.send(response(sent[-1], 200, body=HOLD)), "ACK")
    for each in sent:
        assert only_request(peer.send(response(each, 200, body=HOLD)), "ACK").cseq.number == each.cseq.number


def test_an_answer_that_is_repeated_late_does_not_acknowledge_an_update() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.reoffer(dialog.call, HELD, method="UPDATE", now=0.0)
    update = only_request(peer.read(), "UPDATE")
    call = peer.agent._calls._calls[dialog.call]
    (transaction,) = call._transactions
    assert peer.send(response(update, 200, body=HOLD)) == []
    call.receive_response(transaction, Response.answering(update, 200), now=0.0)
    assert peer.read() == []


def test_a_call_is_asked_nothing_after_an_alarm_that_rings_very_late() -> None:
    peer = Peer()
    dialog = Dialog(peer, headers=["Supported: timer", "Session-Expires: 180;refresher=uas"])
    peer.agent._calls._calls[dialog.call].handle_timeout(now=1000.0)
    assert [each.method for each in peer.read() if isinstance(each, Request)] == ["BYE"]
