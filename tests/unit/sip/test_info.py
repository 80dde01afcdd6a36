"""INFO: digits, and what only the owners of the two sides know."""

from __future__ import annotations

import pytest

from sip import CallEnded, DigitReceived, EndCause, InfoAnswered, InfoReceived
from tests.support.dialogs import Dialog, only_request
from tests.support.sip_messages import Peer, response
from tests.unit.sip.test_server_call import invited


@pytest.mark.parametrize(
    ("kind", "body", "digit", "duration_ms"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5", 160),
        ("application/dtmf-relay", b"signal = d\nduration = 2000000", "D", 250),
        ("Application/DTMF-Relay; x=y", b"Signal=11", "#", 250),
        ("application/dtmf-relay", b"Signal=*\r\nDuration=60000", "*", 10_000),
        ("application/dtmf-relay", b"Signal=16\r\nDuration=x", "!", 250),
        ("application/dtmf", b"10\r\n", "*", 250),
        ("application/dtmf", b"7", "7", 250),
    ],
)
def test_a_digit_is_read_however_it_is_written(kind: str, body: bytes, digit: str, duration_ms: int) -> None:
    peer = Peer()
    dialog = Dialog(peer)
    assert dialog.statuses("INFO", headers=[f"Content-Type: {kind}"], body=body) == [200]
    assert peer.events() == [DigitReceived(dialog.call, digit, duration_ms)]


def test_other_infos_are_told_and_empty_ones_only_answered() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    assert dialog.statuses("INFO", headers=["Content-Type: application/json"], body=b"{}") == [200]
    (event,) = peer.events()
    assert isinstance(event, InfoReceived)
    assert event.request.body == b"{}"
    assert dialog.statuses("INFO") == [200]
    assert peer.events() == []


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (["Content-Type: application/dtmf-relay"], b"Signal=x", 400),
        (["Content-Type: application/dtmf-relay"], b"", 400),
        (["Content-Type: application/json", "Content-Encoding: gzip"], b"x", 415),
        (["Content-Type-Not: x"], b"x", 415),
        (["Info-Package: foo", "Content-Type: a/b"], b"x", 469),
    ],
)
def test_what_cannot_be_read_is_refused(headers: list[str], body: bytes, status: int) -> None:
    peer = Peer()
    dialog = Dialog(peer)
    assert dialog.statuses("INFO", headers=headers, body=body) == [status]
    assert peer.events() == []
    assert peer.agent.calls == 1


def test_our_infos_are_sent_and_what_became_of_them_is_told() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.send_info(dialog.call, "application/json", b"{}", headers=[("X-A", "b")], now=0.0)
    sent = only_request(peer.read(), "INFO")
    assert (sent.content_type, sent.body, sent.headers.get("X-A")) == ("application/json", b"{}", "b")
    peer.send(response(sent, 100))
    peer.send(response(sent, 200))
    assert peer.events() == [InfoAnswered(dialog.call, 200)]
    peer.agent.send_info(dialog.call, "application/json", b"{}", now=0.0)
    peer.wait(32.0)
    assert peer.events() == [InfoAnswered(dialog.call, 408)]


def test_an_info_to_a_side_that_knows_no_such_call_ends_it() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.agent.send_info(dialog.call, "application/json", b"{}", now=0.0)
    only_request(peer.send(response(only_request(peer.read(), "INFO"), 481)), "BYE")
    answered, ended = peer.events()
    assert answered == InfoAnswered(dialog.call, 481)
    assert isinstance(ended, CallEnded)
    assert ended.cause is EndCause.GONE


def test_after_the_end_nothing_is_told() -> None:
    for answer in (True, False):
        peer = Peer()
        dialog = Dialog(peer)
        peer.agent.send_info(dialog.call, "a/b", b"c", now=0.0)
        sent = only_request(peer.read(), "INFO")
        dialog.send("BYE")
        if answer:
            peer.send(response(sent, 481))
        peer.wait(40.0)
        assert len(peer.events()) == 1
        assert peer.agent.idle


def test_before_the_answer_there_is_nobody_to_tell() -> None:
    peer = Peer()
    call, _ = invited(peer)
    with pytest.raises(AssertionError):
        peer.agent.send_info(call, "a/b", b"c", now=0.0)
