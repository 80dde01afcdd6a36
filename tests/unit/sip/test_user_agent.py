"""What the user agent takes, refuses and drops."""

from __future__ import annotations

import gc

import pytest

from sip import CallReceived, Request, Response
from sip.endpoint import ALLOW
from sip.parser import MAX_MESSAGE
from sip.server_call import ServerCall
from tests.support.dialogs import Dialog
from tests.support.sip_messages import AGENT, OFFER, Peer, request


def only(peer: Peer, data: bytes) -> Response:
    """Send a datagram; return the one response."""
    (message,) = peer.send(data)
    assert isinstance(message, Response)
    return message


def test_options_says_what_we_can() -> None:
    ok = only(Peer(), request("OPTIONS", headers=("Max-Forwards: 0",)))
    assert ok.status == 200
    assert ok.headers.get_list("Allow") == tuple(ALLOW.split(", "))
    assert ok.headers.get("Accept") == "application/sdp"
    assert "Supported" in ok.headers
    assert ok.to.tag is not None


def test_while_not_accepting_options_and_new_calls_get_503() -> None:
    peer = Peer()
    peer.agent.unavailable = "Draining"
    for method in ("OPTIONS", "INVITE"):
        refusal = only(peer, request(method, branch=f"z9hG4bK{method}", cseq=len(method)))
        assert (refusal.status, "Retry-After" in refusal.headers) == (503, True)
    assert peer.agent.counters.refused_calls == 1
    assert peer.events() == []


@pytest.mark.parametrize(
    ("data", "status", "header"),
    [
        (request("INFO"), 481, None),
        (request("MESSAGE"), 405, "Allow"),
        (request("REFER"), 405, "Allow"),
        (request("REGISTER"), 405, "Allow"),
        (request("FROBNICATE"), 501, "Allow"),
        (request("BYE"), 481, None),
        (request("BYE", to_tag="unknown"), 481, None),
        (request("INVITE", to_tag="unknown"), 481, None),
        (request(uri="tel:+4930"), 416, None),
        (request(uri="sip:"), 400, None),
        (request(headers=("Require: 100rel, path",)), 420, "Unsupported"),
        (request(headers=("Max-Forwards: 0",)), 483, None),
        (request(headers=("Max-Forwards: many",)), 400, None),
        (request(headers=("Content-Type: text/plain",), body=b"hello"), 415, "Accept"),
        (request(headers=("Content-Encoding: gzip",), body=b"hello"), 415, "Accept-Encoding"),
        (request(contact=None), 400, None),
        (request(contact="<tel:+49>"), 400, None),
        (request(headers=("Record-Route: <x",)), 400, None),
    ],
)
def test_what_we_cannot_serve_is_refused_with_the_status_that_says_why(
    data: bytes, status: int, header: str | None
) -> None:
    peer = Peer()
    refusal = only(peer, data)
    assert refusal.status == status
    assert refusal.to.tag is not None
    assert header is None or header in refusal.headers
    assert peer.agent.counters.rejected_requests == 1
    assert peer.events() == []
    peer.wait(100.0)
    assert peer.agent.open_calls == 0
    assert peer.agent.idle


def test_a_content_encoding_of_identity_is_none() -> None:
    assert only(Peer(), request(headers=("e: identity", "Max-Forwards: 70"), body=OFFER)).status == 100


def test_an_unsupported_extension_is_named() -> None:
    assert only(Peer(), request(headers=("Require: a", "require: b, c"))).headers.get("Unsupported") == "a, b, c"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (request(version="3.0"), 505, "3.0"),
        (request().replace(b"Content-Length: 0", b"Content-Length: 7"), 400, "Body Shorter"),
        (request(headers=("no colon",)), 400, "header line is malformed"),
        (request(headers=("To: <sip:x@h>",)), 400, "Repeated To"),
        (request(headers=("X: " + "y" * 20_000,)), 513, "Header Too Long"),
    ],
)
def test_a_malformed_request_is_answered_without_state(data: bytes, status: int, reason: str) -> None:
    peer = Peer()
    refusal = only(peer, data)
    assert refusal.status == status
    assert reason in refusal.reason
    assert peer.agent.counters.malformed_requests == 1
    assert peer.agent.idle


@pytest.mark.parametrize(
    "data",
    [
        b"junk",
        b"x" * (MAX_MESSAGE + 1),
        request("ACK", version="3.0"),
        request(via="Via: what?"),
        request(via="X-Via: none"),
        b"SIP/2.0 200 OK\r\n\r\n",
    ],
)
def test_what_nobody_could_be_answered_for_is_dropped(data: bytes) -> None:
    peer = Peer()
    assert peer.send(data) == []
    assert peer.agent.counters.malformed_datagrams == 1


def test_keepalives_and_strays_are_counted_and_dropped() -> None:
    peer = Peer()
    ok = bytes(Response.answering(_parsed(request("BYE")), 200))
    for data in (b"\r\n\r\n", b"\x00", request("ACK"), request("ACK", to_tag="x"), ok):
        assert peer.send(data) == []
    counters = peer.agent.counters
    assert (counters.keepalives, counters.stray_acks, counters.stray_responses) == (2, 2, 1)


def _parsed(data: bytes) -> Request:
    peer = Peer()
    peer.send(request(body=OFFER))
    event = peer.agent.next_event()
    assert isinstance(event, CallReceived)
    return event.request


def test_a_request_that_comes_by_two_ways_is_taken_once() -> None:
    peer = Peer()
    assert peer.statuses(request(body=OFFER)) == [100]
    assert peer.statuses(request(body=OFFER, branch="z9hG4bK-other")) == [482]
    assert peer.agent.counters.merged_requests == 1
    assert len(peer.events()) == 1
    assert peer.statuses(request("CANCEL", branch="z9hG4bK-other")) == [200]
    assert peer.events() == []
    peer.wait(0.0)
    assert peer.statuses(request("CANCEL")) == [200, 487]


def test_the_transactions_of_old_are_told_apart_by_more_than_the_branch() -> None:
    peer = Peer()
    assert peer.statuses(request(branch="1")) == [100]
    assert peer.statuses(request(branch="1")) == [100]
    assert peer.statuses(request(branch="1", call_id="another")) == [100]
    assert len(peer.events()) == 2


def test_there_is_an_end_to_calls() -> None:
    peer = Peer(max_calls=1)
    assert peer.statuses(request()) == [100]
    assert peer.statuses(request(branch="z9hG4bK-2", call_id="call-2")) == [503]
    assert peer.statuses(request("OPTIONS", branch="z9hG4bK-4", call_id="call-4")) == [503]
    assert peer.statuses(request("CANCEL")) == [200, 487]
    assert peer.statuses(request(branch="z9hG4bK-3", call_id="call-3")) == [100]


def test_there_is_an_end_to_transactions_and_more_room_for_what_ends_calls() -> None:
    peer = Peer(max_transactions=2)
    assert peer.statuses(request()) == [100]
    assert peer.statuses(request("OPTIONS", branch="z9hG4bK-2")) == [200]
    assert peer.statuses(request("OPTIONS", branch="z9hG4bK-3", cseq=2)) == [503]
    assert peer.statuses(request("CANCEL")) == [200, 487]
    assert peer.agent.counters.refused_transactions == 1


def test_a_call_that_asks_too_much_keeps_nobody_from_hanging_up() -> None:
    peer = Peer(max_transactions=4)
    dialog = Dialog(peer)
    statuses = [dialog.statuses("INFO") for _ in range(10)]
    assert statuses == [[200]] * 7 + [[503]] * 3
    assert dialog.statuses("BYE") == [200]


def test_a_call_that_asks_too_often_takes_no_room_from_others() -> None:
    peer = Peer(max_transactions=1000)
    dialog = Dialog(peer)
    statuses = [dialog.statuses("INFO") for _ in range(2000)]
    assert statuses == [[200]] * 100 + [[503]] * 1900
    assert peer.statuses(request("OPTIONS", branch="z9hG4bK-2", call_id="another")) == [200]
    peer.now += 1.0
    assert [dialog.statuses("INFO") for _ in range(30)] == [[200]] * 25 + [[503]] * 5
    assert dialog.statuses("BYE") == [200]
    assert peer.agent.counters.refused_transactions == 1905


def test_in_the_dialog_order_counts_and_the_session_stays_as_it_is() -> None:
    peer = Peer()
    peer.send(request(cseq=10, body=OFFER))
    (event,) = peer.events()
    assert isinstance(event, CallReceived)
    peer.agent.respond(event.call, 180, now=0.0)
    (ringing,) = peer.read()
    tag = ringing.to.tag
    reinvite = request(to_tag=tag, cseq=11, branch="z9hG4bK-11", body=OFFER)
    early = only(peer, reinvite)
    assert (early.status, "Retry-After" in early.headers) == (500, True)
    peer.send(request("ACK", to_tag=tag, cseq=11, branch="z9hG4bK-11"))
    peer.agent.answer(event.call, b"v=0\r\n", now=0.0)
    peer.read()
    assert peer.statuses(request("ACK", to_tag=tag, cseq=9, branch="z9hG4bK-9")) == []
    assert peer.events() == []
    assert peer.statuses(request("ACK", to_tag=tag, cseq=10, branch="z9hG4bK-10")) == []
    assert len(peer.events()) == 1
    assert peer.statuses(request("OPTIONS", to_tag=tag, cseq=13, branch="z9hG4bK-13")) == [200]
    assert peer.statuses(request("MESSAGE", to_tag=tag, cseq=14, branch="z9hG4bK-14")) == [405]
    assert peer.statuses(request("BYE", to_tag=tag, cseq=3, branch="z9hG4bK-3")) == [500]
    assert peer.events() == []
    assert peer.statuses(request("BYE", to_tag=tag, cseq=15, branch="z9hG4bK-15")) == [200]


def test_a_response_goes_back_to_the_source_though_the_via_names_another_host() -> None:
    peer = Peer()
    peer.agent.receive_datagram(request("OPTIONS"), ("198.51.100.1", 9999), now=0.0)
    ((_, destination),) = peer.agent.datagrams_to_send()
    assert destination == ("198.51.100.1", 9999)


def test_a_timeout_may_come_early_or_when_there_is_none() -> None:
    peer = Peer()
    assert peer.agent.next_timeout() is None
    peer.agent.handle_timeout(now=0.0)
    peer.send(request("OPTIONS"))
    peer.agent.handle_timeout(now=1.0)
    assert not peer.agent.idle
    assert peer.agent.next_timeout() == 32.0
    assert AGENT[1] == 5070


def test_of_a_call_that_is_over_nothing_is_kept_though_another_goes_on() -> None:
    peer = Peer()
    before = calls_in_memory()
    Dialog(peer, placed_by_agent=True, headers=("Session-Expires: 900;refresher=uac",))
    for _ in range(3):
        dialog = Dialog(peer, headers=("Supported: timer", "Session-Expires: 1800;refresher=uac"))
        dialog.send("BYE")
        peer.events()
        peer.wait(40.0)
    assert calls_in_memory() == before


def calls_in_memory() -> int:
    """Count the calls that came, wherever they are kept."""
    gc.collect()
    return sum(isinstance(each, ServerCall) for each in gc.get_objects())
