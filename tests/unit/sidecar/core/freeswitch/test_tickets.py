"""Tickets, in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from sidecar.core.freeswitch.tickets import MOST_TICKETS, VALID_SECONDS, Claim, Tickets
from sidecar.core.link import OpenStream
from sip import CallEnded, Codec, Response
from tests.support.call_rig import CallRig

CLAIM = Claim({"url": "ws://bot"})


def issued(tickets: Tickets, *, now: float = 0.0) -> str:
    ticket = tickets.issue(CLAIM, now=now)
    assert ticket is not None
    return ticket


def assert_refused(rig: CallRig, why: str) -> None:
    ended = rig.heard[-1]
    assert isinstance(ended, CallEnded)
    assert isinstance(ended.message, Response)
    assert ended.message.status == 403
    assert why in (ended.message.headers.get("Warning") or "")


def test_a_ticket_is_good_once() -> None:
    tickets = Tickets(Random(1))
    ticket = issued(tickets)
    assert tickets.redeem(ticket, now=1.0) is CLAIM
    assert tickets.redeem(ticket, now=1.0) is None
    assert tickets.redeem("made up", now=1.0) is None


def test_a_ticket_is_not_good_for_ever() -> None:
    tickets = Tickets(Random(1))
    assert tickets.redeem(issued(tickets), now=VALID_SECONDS) is None


def test_a_ticket_may_be_taken_back() -> None:
    tickets = Tickets(Random(1))
    first, second, used = issued(tickets), issued(tickets), issued(tickets)
    tickets.redeem(used, now=1.0)
    tickets.revoke([first, used])
    assert tickets.redeem(first, now=1.0) is None
    assert tickets.redeem(second, now=1.0) is CLAIM


def test_there_is_room_for_so_many_until_they_are_too_old() -> None:
    tickets = Tickets(Random(1))
    assert len({issued(tickets) for _ in range(MOST_TICKETS)}) == MOST_TICKETS
    assert tickets.issue(CLAIM, now=1.0) is None
    issued(tickets, now=VALID_SECONDS)


def test_what_a_ticket_stands_for_is_not_to_be_seen_in_a_log() -> None:
    assert "bot" not in repr(CLAIM)


def test_a_ticket_brings_the_options_of_its_leg_and_headers_none() -> None:
    tickets = Tickets(Random(1))
    rig = CallRig(tickets=tickets)
    ticket = issued(tickets)
    rig.call({"X-Sidecar-Ticket": ticket, "X-STREAM_RATE": "16k"})
    (opened,) = rig.told
    assert isinstance(opened, OpenStream)
    assert (opened.options.url, opened.options.rate) == ("ws://bot", 8000)
    rig.call({"X-Sidecar-Ticket": ticket, "X-STREAM_URL": "ws://bot"})
    assert_refused(rig, "not one of ours, used before, or too old")


def test_who_gives_no_tickets_takes_none() -> None:
    rig = CallRig()
    rig.call({"X-Sidecar-Ticket": "1", "X-STREAM_URL": "ws://bot"})
    assert_refused(rig, "not one of ours")


STEREO = {"url": "ws://bot", "id": "one", "call": "uuid-1", "mix": "stereo"}


def leg_asked_for(rig: CallRig, tickets: Tickets, options: Mapping[str, str], *, codec: str = "PCMU") -> None:
    ticket = tickets.issue(Claim(options), now=rig.simulation.now)
    assert ticket is not None
    rig.call({"X-Sidecar-Ticket": ticket}, codecs=(Codec(codec, 8000),))


def test_what_is_wrong_with_a_leg_that_was_asked_for_is_told_of_its_stream() -> None:
    tickets = Tickets(Random(1))
    rig = CallRig(tickets=tickets)
    leg_asked_for(rig, tickets, STEREO, codec="iLBC")
    (event,) = rig.events
    assert (event.kind, event.stream, event.call, event.sequence) == ("error", "one", "uuid-1", 1)


def test_so_is_what_is_wrong_with_its_second_leg() -> None:
    tickets = Tickets(Random(1))
    rig = CallRig(tickets=tickets)
    leg_asked_for(rig, tickets, {**STEREO, "track": "caller"})
    leg_asked_for(rig, tickets, {**STEREO, "track": "callee"}, codec="iLBC")
    assert [(event.kind, event.stream, event.sequence) for event in rig.events] == [
        ("start", "one", 1),
        ("error", "one", 2),
    ]


def test_a_stream_that_has_told_of_its_end_tells_no_more() -> None:
    tickets = Tickets(Random(1))
    rig = CallRig(tickets=tickets)
    leg_asked_for(rig, tickets, {**STEREO, "track": "caller"})
    rig.control.hang_up_all(now=rig.simulation.now)
    rig.agent.unavailable = None  # the leg was on its way
    leg_asked_for(rig, tickets, {**STEREO, "track": "callee"})
    told = rig.events[-1]
    assert (told.kind, told.stream, told.call) == ("error", "", "uuid-1")


def test_a_stranger_names_the_stream_of_another_in_vain() -> None:
    rig = CallRig(tickets=Tickets(Random(1)))
    rig.call({"X-STREAM_ID": "one"})
    assert [event.stream for event in rig.events] == [""]
