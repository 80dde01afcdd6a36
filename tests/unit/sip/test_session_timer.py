"""Session timers, as UAS and as UAC. See RFC 4028."""

from __future__ import annotations

import pytest

from sip import CallEnded, EndCause, Request, Response, SipError, Timers
from sip.session_timer import SessionExpires
from tests.support.dialogs import ANSWER, Dialog, only_request
from tests.support.sip_messages import OFFER, Peer, request, response
from tests.unit.sip.test_client_call import invite

ABLE = "Supported: timer"
ASKS = Timers(session_expires=1800)


def cause(peer: Peer) -> EndCause:
    """Return why the one call ended."""
    (event,) = [each for each in peer.events() if isinstance(each, CallEnded)]
    return event.cause


@pytest.mark.parametrize(
    ("asks", "headers", "expires", "required"),
    [
        (False, [], None, None),
        (False, [ABLE], None, None),
        (False, [ABLE, "Session-Expires: 600"], "600;refresher=uac", "timer"),
        (False, [ABLE, "x: 600;refresher=uas"], "600;refresher=uas", None),
        (False, [ABLE, "Session-Expires: 600;refresher=UAC;z"], "600;refresher=uac", "timer"),
        (False, ["Session-Expires: 600;refresher=uac"], "600;refresher=uas", None),
        (False, ["Session-Expires: 10"], "90;refresher=uas", None),
        (True, [], "1800;refresher=uas", None),
        (True, [ABLE, "Min-SE: 3600"], "3600;refresher=uas", None),
        (True, [ABLE, "Min-SE: junk"], "1800;refresher=uas", None),
    ],
)
def test_our_200_says_who_refreshes_and_when(
    asks: bool, headers: list[str], expires: str | None, required: str | None
) -> None:
    final = Dialog(Peer(timers=ASKS if asks else Timers()), headers=headers).final
    assert (final.headers.get("Session-Expires"), final.headers.get("Require")) == (expires, required)


def test_an_interval_that_is_too_small_is_refused() -> None:
    peer = Peer()
    (refusal,) = peer.send(request(headers=(ABLE, "Session-Expires: 60"), body=OFFER))
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("Min-SE")) == (422, "90")
    assert peer.events() == []
    dialog = Dialog(peer := Peer())
    assert dialog.statuses("UPDATE", headers=[ABLE, "Session-Expires: 60"]) == [422]
    assert dialog.statuses("UPDATE", headers=["Session-Expires: soon"]) == [400]


def test_without_refresh_the_call_ends_before_the_interval_does() -> None:
    peer = Peer()
    Dialog(peer, headers=[ABLE, "Session-Expires: 180;refresher=uac"])
    assert peer.wait(147.9) == []
    bye = only_request(peer.wait(0.2), "BYE")
    assert "Session Expired" in (bye.headers.get("Reason") or "")
    assert cause(peer) is EndCause.EXPIRED


def test_their_refresh_begins_the_interval_anew() -> None:
    peer = Peer()
    dialog = Dialog(peer, headers=[ABLE, "Session-Expires: 180;refresher=uac"])
    peer.wait(100.0)
    (refreshed,) = dialog.send("UPDATE", headers=[ABLE, "Session-Expires: 180;refresher=uac"])
    assert refreshed.headers.get("Session-Expires") == "180;refresher=uac"
    assert peer.wait(100.0) == []
    _, final = dialog.send("INVITE", headers=[ABLE, "Session-Expires: 180;refresher=uac"], body=OFFER)
    assert final.headers.get("Session-Expires") == "180;refresher=uac"
    assert dialog.send("ACK") == []
    assert peer.wait(100.0) == []
    assert peer.events() == []


def test_we_refresh_by_update_where_it_is_allowed() -> None:
    peer = Peer()
    dialog = Dialog(peer, headers=[ABLE, "Allow: INVITE, UPDATE", "Session-Expires: 180;refresher=uas"])
    update = only_request(peer.wait(90.0), "UPDATE")
    assert (update.body, update.headers.get("Session-Expires")) == (b"", "180;refresher=uac")
    assert dialog.statuses("UPDATE", body=OFFER + b"a=x") == []  # no glare with a refresh
    peer.agent.refuse_offer(dialog.call, now=peer.now)
    peer.read()
    peer.send(response(update, 200, headers=(("Session-Expires", "180;refresher=uac"),)))
    assert only_request(peer.wait(90.0), "UPDATE")
    assert peer.agent.calls == 1


def test_we_refresh_by_re_invite_where_it_is_not() -> None:
    peer = Peer()
    Dialog(peer, headers=[ABLE, "Session-Expires: 180;refresher=uas"])
    again = only_request(peer.wait(90.0), "INVITE")
    assert again.body == ANSWER
    only_request(peer.send(response(again, 200, headers=(("Session-Expires", "junk"),), body=OFFER)), "ACK")
    assert peer.events() == []
    assert only_request(peer.wait(90.0), "INVITE")


def test_an_update_that_was_not_known_is_followed_by_a_re_invite() -> None:
    peer = Peer()
    Dialog(peer, headers=[ABLE, "Allow: UPDATE", "Session-Expires: 180;refresher=uas"])
    again = only_request(peer.send(response(only_request(peer.wait(90.0), "UPDATE"), 501)), "INVITE")
    assert again.body == ANSWER


def test_a_refresh_that_is_refused_is_not_told_and_the_session_expires() -> None:
    peer = Peer()
    Dialog(peer, headers=[ABLE, "Allow: UPDATE", "Session-Expires: 180;refresher=uas"])
    peer.send(response(only_request(peer.wait(90.0), "UPDATE"), 500))
    assert peer.events() == []
    only_request(peer.wait(58.1), "BYE")
    assert cause(peer) is EndCause.EXPIRED


def test_a_refresh_that_nobody_answers_ends_the_call() -> None:
    peer = Peer()
    Dialog(peer, headers=[ABLE, "Allow: UPDATE", "Session-Expires: 1800;refresher=uas"])
    peer.wait(900.0 + 32.0)
    assert cause(peer) is EndCause.GONE


def test_an_offer_that_waits_is_refresh_enough() -> None:
    peer = Peer()
    dialog = Dialog(peer, headers=[ABLE, "Allow: UPDATE", "Session-Expires: 180;refresher=uas"])
    peer.agent.reoffer(dialog.call, b"new", now=peer.now)
    peer.send(response(only_request(peer.read(), "INVITE"), 491))
    call = peer.agent._calls._calls[dialog.call]
    call.outgoing_offer.offer(b"", method="UPDATE", headers=(), is_refresh=True, now=0.0)
    assert peer.wait(2.0)[0].body == b"new"


def test_our_invite_asks_and_a_422_makes_it_ask_for_more() -> None:
    peer = Peer(timers=ASKS)
    _, sent = invite(peer)
    assert (sent.headers.get("Session-Expires"), sent.headers.get("Min-SE")) == ("1800", "90")
    _, again = peer.send(response(sent, 422, headers=(("Min-SE", "3600"),)))
    assert isinstance(again, Request)
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("3600", "3600")
    assert (again.cseq.number, again.call_id, again.body) == (2, sent.call_id, sent.body)
    peer.send(response(again, 200, headers=(("Session-Expires", "3600;refresher=uas"),), body=OFFER))
    peer.wait(3600 - 32.1)
    assert peer.agent.calls == 1
    peer.wait(0.2)
    assert cause(peer) is EndCause.EXPIRED


def test_nothing_is_left_of_who_rang_before_a_422() -> None:
    peer = Peer(timers=ASKS)
    _, sent = invite(peer)
    peer.send(response(sent, 180))
    _, again = peer.send(response(sent, 422, headers=(("Min-SE", "3600"),)))
    assert isinstance(again, Request)
    early = {"call_id": sent.call_id, "from_tag": "callee", "to_tag": sent.from_.tag}
    assert peer.statuses(request("UPDATE", branch="z9hG4bK-u", **early)) == [481]  # type: ignore[arg-type]
    peer.send(response(again, 486))
    assert cause(peer) is EndCause.REJECTED
    peer.wait(64.0)
    assert peer.agent.idle


def test_a_422_that_asks_for_no_more_is_a_refusal() -> None:
    peer = Peer(timers=ASKS)
    _, sent = invite(peer)
    peer.send(response(sent, 422))
    assert cause(peer) is EndCause.REJECTED


def test_a_side_that_knows_no_timers_is_refreshed_by_us() -> None:
    peer = Peer(timers=Timers(session_expires=180))
    _, sent = invite(peer)
    peer.send(response(sent, 200, body=OFFER))
    assert only_request(peer.wait(90.0), "INVITE").headers.get("Session-Expires") == "180;refresher=uac"


def test_a_422_to_a_refresh_is_asked_again() -> None:
    peer = Peer()
    Dialog(peer, headers=[ABLE, "Allow: UPDATE", "Session-Expires: 180;refresher=uas"])
    again = peer.send(response(only_request(peer.wait(90.0), "UPDATE"), 422, headers=(("Min-SE", "300"),)))
    update = only_request(again, "UPDATE")
    assert update.headers.get("Session-Expires") == "300;refresher=uac"
    peer.send(response(update, 422))
    assert peer.agent.calls == 1


def test_they_refresh_when_the_200_to_our_re_invite_says_so() -> None:
    peer = Peer()
    dialog = Dialog(peer, headers=[ABLE, "Session-Expires: 180;refresher=uac"])
    peer.agent.reoffer(dialog.call, b"new", now=0.0)
    again = only_request(peer.read(), "INVITE")
    assert again.headers.get("Session-Expires") == "180;refresher=uas"
    peer.send(response(again, 200, headers=(("Session-Expires", "180;refresher=uas"),), body=OFFER))
    assert peer.wait(140.0) == []


def test_session_expires_is_what_it_prints() -> None:
    for text in ("90", "1800;refresher=uas"):
        assert str(SessionExpires.parse(text)) == text
    for text in ("", "x", "1.5"):
        with pytest.raises(SipError):
            SessionExpires.parse(text)
