"""How much is let in."""

from __future__ import annotations

import pytest

from sip import Admission, Response
from sip.admission import Gate
from tests.support.dialogs import Dialog
from tests.support.sip_messages import Peer, request


def test_calls_beyond_the_rate_are_told_to_come_later() -> None:
    peer = Peer(admission=Admission(invites_per_second=2.0, burst_seconds=1.0))
    statuses = []
    for number in range(4):
        (first, *_) = peer.send(request(branch=f"z9hG4bK-{number}", call_id=f"call-{number}"))
        assert isinstance(first, Response)
        statuses.append(first.status)
    assert statuses == [100, 100, 503, 503]
    assert first.headers.get("Retry-After") == "1"
    peer.now = 0.5
    assert peer.statuses(request(branch="z9hG4bK-9", call_id="call-9")) == [100]


def test_requests_beyond_the_rate_of_a_source_are_dropped_but_not_what_ends_calls() -> None:
    peer = Peer(admission=Admission(requests_per_second=1.0, burst_seconds=1.0))
    assert peer.statuses(request()) == [100]
    assert peer.statuses(request("OPTIONS", branch="z9hG4bK-2")) == []
    assert peer.agent.counters.refused_sources == 1
    assert len(peer.send(request("OPTIONS", branch="z9hG4bK-4"), source=("192.0.2.11", 5060))) == 1
    assert peer.statuses(request("CANCEL")) == [200, 487]


def test_what_only_looks_like_part_of_a_call_counts_for_the_rate_of_its_source() -> None:
    strays = [
        request("BYE", branch="z9hG4bK-2", to_tag="x"),
        request("INVITE", branch="z9hG4bK-3", to_tag="x"),
        request("CANCEL", branch="z9hG4bK-4"),
        request("OPTIONS", branch="z9hG4bK-5", version="3.0"),
    ]
    for stray in strays:
        peer = Peer(admission=Admission(requests_per_second=1.0, burst_seconds=1.0))
        assert len(peer.send(stray)) == 1
        assert peer.send(stray.replace(b"z9hG4bK-", b"z9hG4bK-again-")) == []
        assert peer.agent.counters.refused_sources == 1


def test_what_a_call_needs_is_not_held_to_the_rate() -> None:
    peer = Peer(admission=Admission(requests_per_second=1.0, burst_seconds=1.0))
    dialog = Dialog(peer)
    assert [dialog.statuses(method) for method in ("OPTIONS", "INFO", "OPTIONS", "BYE")] == [[200]] * 4
    assert peer.agent.counters.refused_sources == 0


def test_there_is_an_end_to_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sip.admission._NAMES_MAX", 2)
    gate = Gate(Admission(requests_per_second=0.1))
    assert [gate.admits_source(host, now=0.0) for host in "abaabc"] == [True, True, False, False, False, True]
    assert gate.admits_source("a", now=0.0)  # forgotten meanwhile
    assert not gate.admits_source("c", now=0.0)
    assert gate.forgotten == 2


def test_what_is_open_or_forgotten_can_be_asked() -> None:
    peer = Peer(admission=Admission(requests_per_second=1.0))
    peer.send(request())
    assert peer.agent.transactions == 1
    assert peer.agent.forgotten == {"nonce": 0, "source": 0}
    assert peer.agent.counters.requests_by_method == {"INVITE": 1}
    peer.send(request("HELLO", branch="z9hG4bK-2"))
    assert peer.agent.counters.requests_by_method == {"INVITE": 1, "other": 1}
    assert peer.agent.counters.responses_sent == {100: 1, 501: 1}
