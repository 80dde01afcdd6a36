"""SIP over TCP and TLS, as far as the core goes: framing, connections, timers that do not run."""

from __future__ import annotations

import contextlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import (
    CallEnded,
    CallReceived,
    EndCause,
    Request,
    SipError,
    SipUri,
    StreamAddress,
    StreamFramer,
    UserAgent,
    parse_message,
)
from sip.error import MessageTooLarge
from sip.via import Address
from tests.support.dialogs import ANSWER
from tests.support.sip_messages import CALLER, OFFER, Peer, request, response

HERE = StreamAddress("192.0.2.10", 40123, connection=7)
VIA = "Via: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bK-{};rport"
MESSAGES = [request(body=OFFER), request("OPTIONS"), request("BYE", headers=("X: \u00e9",), body=b"\r\n\r\n" * 3)]


def tcp(method: str = "INVITE", branch: str = "1", **fields: object) -> bytes:
    """Build a request as it comes over TCP."""
    return request(method, via=VIA.format(branch), contact="<sip:c@192.0.2.10;transport=tcp>", **fields)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(MESSAGES), max_size=4), st.lists(st.integers(1, 400), max_size=20))
def test_however_the_stream_is_cut_the_messages_come_out_whole(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(messages)
    framer, found, at = StreamFramer(), [], 0
    for cut in [*cuts, len(stream)]:
        found += framer.receive_data(stream[at : at + cut])
        at += cut
    assert found == messages


@given(st.lists(st.binary(max_size=60)))
def test_a_framer_raises_nothing_but_sip_error(chunks: list[bytes]) -> None:
    framer = StreamFramer(max_message=100)
    with contextlib.suppress(SipError):
        for chunk in chunks:
            framer.receive_data(chunk)
            assert len(framer._buffer) <= 100


def test_a_ping_gets_a_pong_and_a_line_end_between_messages_is_forgiven() -> None:
    framer = StreamFramer()
    for part in (b"\r\n", b"\r", b"\n", b"\r\n\r\n\r\n" + MESSAGES[1]):
        found = framer.receive_data(part)
    assert found == [MESSAGES[1]]
    assert (framer.data_to_send(), framer.data_to_send(), framer.keepalives) == (b"\r\n\r\n", b"", 2)
    framer.receive_data(b"\r\n\r\n" * 1000)
    assert len(framer.data_to_send()) == 64


@pytest.mark.parametrize(
    ("data", "is_amid"),
    [
        (b"", False),
        (b"\r\n", False),
        (b"\r\n\r", False),
        (b"\r\nO", True),
        (MESSAGES[0][:-1], True),
        (MESSAGES[0], False),
    ],
)
def test_a_framer_knows_half_a_message_from_half_a_ping(data: bytes, is_amid: bool) -> None:
    framer = StreamFramer()
    framer.receive_data(data)
    assert framer.is_amid_message is is_amid


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS sip:h SIP/2.0\r\nVia: x\r\n\r\n",
        b"OPTIONS sip:h SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS sip:h SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_a_message_without_known_length_is_the_end_of_the_stream(data: bytes) -> None:
    with pytest.raises(SipError):
        StreamFramer().receive_data(data)


@pytest.mark.parametrize("wrong", [b"OPTIONS sip:h SIP/2.0\r\nVia: x\r\n\r\n", b"x" * 70_000])
def test_a_message_is_not_lost_because_of_what_follows_it(wrong: bytes) -> None:
    framer = StreamFramer()
    assert framer.receive_data(MESSAGES[0] + wrong) == [MESSAGES[0]]
    assert framer.is_amid_message
    with pytest.raises(SipError):
        framer.receive_data(b"")


def test_sizes_are_bounded() -> None:
    for data in (b"x" * 200, b"A: b\r\nl: 200\r\n\r\n"):
        with pytest.raises(MessageTooLarge):
            StreamFramer(max_message=100).receive_data(data)
    assert StreamFramer(max_message=100).receive_data(b"A: b\r\nl : 3\r\n\r\nabc") == [b"A: b\r\nl : 3\r\n\r\nabc"]


def test_what_is_too_large_stays_so_behind_another_message() -> None:
    framer, small = StreamFramer(max_message=100), b"A: b\r\nl: 3\r\n\r\nabc"
    assert framer.receive_data(small + b"A: b\r\nl: 200\r\n\r\n" + b"x" * 200) == [small]
    with pytest.raises(MessageTooLarge):
        framer.receive_data(b"")


def sent(peer: Peer) -> list[tuple[bytes, Address]]:
    """Return what the agent sends, and where to."""
    return peer.agent.datagrams_to_send()


def test_a_call_stays_on_its_connection() -> None:
    peer = Peer()
    peer.agent.receive_datagram(tcp(body=OFFER), HERE, now=0.0)
    (event,) = peer.events()
    assert isinstance(event, CallReceived)
    assert event.source == HERE
    peer.agent.answer(event.call, ANSWER, now=0.0)
    (_, back), (final, _) = sent(peer)
    assert back == StreamAddress("192.0.2.10", 5060, connection=7) != HERE
    assert b"Contact: <sip:192.0.2.20:5070;transport=tcp>" in final
    tag = final.partition(b"To: ")[2].partition(b"tag=")[2].partition(b"\r\n")[0].decode()
    peer.agent.receive_datagram(tcp("ACK", "2", to_tag=tag), HERE, now=0.0)
    peer.agent.hang_up(event.call, now=0.0)
    ((bye, there),) = sent(peer)
    assert there == StreamAddress("192.0.2.10", 5060, connection=7)
    assert b"Via: SIP/2.0/TCP 192.0.2.20:5070" in bye
    assert peer.wait(31.0) == []  # nothing is sent again
    assert hash(back) == hash(there)
    assert "TCP" in repr(there)


def test_a_closed_connection_ends_what_waits_for_it() -> None:
    peer = Peer()
    there = StreamAddress("192.0.2.10", 5061, transport="TLS")
    for connection in (0, 3):
        address = StreamAddress(*there, transport="TLS", connection=connection)
        peer.agent.invite(SipUri("h"), destination=address, from_uri=SipUri("h"), body=OFFER, now=0.0)
    peer.agent.invite(SipUri("h"), destination=CALLER, from_uri=SipUri("h"), body=OFFER, now=0.0)
    for lost in (StreamAddress("h", 1, connection=3), StreamAddress("192.0.2.99", 5061, transport="TLS")):
        peer.agent.connection_lost(lost, now=0.0)
        assert peer.events() == []
    for lost in (there, StreamAddress("any", 1, transport="TLS", connection=3)):
        peer.agent.connection_lost(lost, now=0.0)
        (event,) = peer.events()
        assert isinstance(event, CallEnded)
        assert event.cause is EndCause.TIMEOUT


def test_over_a_stream_transactions_end_at_once() -> None:
    peer = Peer()
    peer.agent.receive_datagram(tcp("OPTIONS"), HERE, now=0.0)
    assert len(sent(peer)) == 1
    assert peer.agent.idle
    peer.agent.receive_datagram(tcp("INVITE", "2"), HERE, now=0.0)
    peer.agent.receive_datagram(tcp("CANCEL", "2"), HERE, now=0.0)
    assert len(sent(peer)) == 3
    assert peer.wait(10.0) == []  # no timer G
    peer.agent.receive_datagram(tcp("ACK", "2"), HERE, now=0.0)
    assert peer.agent._layer._servers == {}


def test_requests_of_ours_over_a_stream_are_sent_once() -> None:
    peer = Peer()
    there = StreamAddress("192.0.2.10", 5060)
    peer.agent.invite(SipUri("h"), destination=there, from_uri=SipUri("h"), body=OFFER, now=0.0)
    (invite,) = peer.read()
    assert isinstance(invite, Request)
    assert invite.contact is not None
    assert (invite.via.transport, invite.contact.uri) == ("TCP", "sip:192.0.2.20:5070;transport=tcp")
    assert peer.wait(10.0) == []
    assert len(peer.send(response(invite, 486))) == 1
    peer.agent.handle_timeout(now=peer.now)
    assert len(peer.agent._layer) == 0


@pytest.mark.parametrize(
    ("contact", "destination"),
    [
        ("<sip:c@192.0.2.11;transport=TCP>", StreamAddress("192.0.2.11", 5060)),
        ("<sip:c@[2001:db8::1]:5090;transport=tls>", StreamAddress("2001:db8::1", 5090, transport="TLS")),
        ("<sips:c@192.0.2.11>", StreamAddress("192.0.2.11", 5061, transport="TLS")),
        ("<sip:c@192.0.2.11;transport=sctp>", ("192.0.2.11", 5060)),
    ],
)
def test_requests_in_the_dialog_go_by_the_transport_of_the_target(contact: str, destination: Address) -> None:
    peer = Peer()
    peer.send(request(body=OFFER, contact=contact))
    (event,) = peer.events()
    peer.agent.answer(event.call, ANSWER, now=0.0)
    tag = peer.read()[0].to.tag
    peer.send(request("ACK", branch="z9hG4bK-2", to_tag=tag))
    peer.agent.hang_up(event.call, now=0.0)
    ((bye, there),) = sent(peer)
    assert there == destination
    peer.agent.receive_datagram(response(_parsed(bye), 200), CALLER, now=0.0)
    peer.wait(100.0)
    assert peer.agent.idle


def test_each_peer_is_told_the_address_that_it_reaches_us_at() -> None:
    reached_at = {"192.0.2.10": "192.0.2.20", "198.51.100.7": "198.51.100.1", "2001:db8::7": "2001:db8::1"}
    agent = UserAgent(
        contact=("0.0.0.0", 5070),
        stream_contacts={"TLS": ("0.0.0.0", 5071)},
        advertised=reached_at.__getitem__,
        random=Random(1),
    )
    for destination, ours in (
        (("192.0.2.10", 5060), "192.0.2.20:5070"),
        (StreamAddress("2001:db8::7", 5061, transport="TLS"), "[2001:db8::1]:5071"),
    ):
        agent.invite(SipUri("h"), destination=destination, from_uri=SipUri("h"), body=OFFER, now=0.0)
        invite = _parsed(agent.datagrams_to_send()[0][0])
        assert str(invite.via).split()[1].partition(";")[0] == ours
        assert invite.contact is not None
        assert invite.contact.uri.startswith(f"sip:{ours}")
    agent.receive_datagram(tcp(body=OFFER), StreamAddress("198.51.100.7", 40123, connection=7), now=0.0)
    event = agent.next_event()
    assert isinstance(event, CallReceived)
    agent.answer(event.call, ANSWER, now=0.0)
    assert b"Contact: <sip:198.51.100.1:5070;transport=tcp>" in agent.datagrams_to_send()[-1][0]


def test_a_sips_uri_is_answered_with_one() -> None:
    """RFC 3261, sections 8.1.1.8 and 12.1.1."""
    agent = UserAgent(contact=("192.0.2.20", 5070), stream_contacts={"TLS": ("192.0.2.20", 5071)}, random=Random(1))
    there = StreamAddress("192.0.2.10", 40123, transport="TLS", connection=7)
    for number, scheme in enumerate(("sip", "SIPS")):
        via = f"Via: SIP/2.0/TLS 192.0.2.10;branch=z9hG4bK-{number}"
        uri, contact = f"{scheme}:bot@192.0.2.20", f"<{scheme}:192.0.2.10;transport=tls>"
        agent.receive_datagram(request(uri=uri, via=via, contact=contact, call_id=scheme, body=OFFER), there, now=0.0)
        event = agent.next_event()
        assert isinstance(event, CallReceived)
        agent.answer(event.call, ANSWER, now=0.0)
        ours = b"<sip:192.0.2.20:5071;transport=tls>" if scheme == "sip" else b"<sips:192.0.2.20:5071>"
        assert b"Contact: " + ours in agent.datagrams_to_send()[-1][0]
    agent.invite(SipUri("h", scheme="sips"), destination=there, from_uri=SipUri("h"), body=OFFER, now=0.0)
    assert b"Contact: <sips:192.0.2.20:5071>" in agent.datagrams_to_send()[0][0]


def _parsed(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message
