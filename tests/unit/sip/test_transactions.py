"""The four transactions, as far as calls do not show them."""

from __future__ import annotations

from sip import Counters, Request, Response, Timers, parse_message
from sip.invite_client_transaction import InviteClientTransaction
from sip.invite_server_transaction import InviteServerTransaction
from sip.non_invite_client_transaction import NonInviteClientTransaction
from sip.non_invite_server_transaction import NonInviteServerTransaction
from sip.transaction_layer import TransactionLayer
from tests.support.sip_messages import CALLER, Peer, request

TIMERS = Timers()


def parsed(method: str) -> Request:
    """Return a request as the agent would see it."""
    message = parse_message(request(method))
    assert isinstance(message, Request)
    return message


def test_timers_follow_from_t1() -> None:
    assert (TIMERS.t1, TIMERS.t2, TIMERS.t4, TIMERS.transaction, TIMERS.d) == (0.5, 4.0, 5.0, 32.0, 32.0)


def test_deadlines_asked_for_early_change_nothing() -> None:
    invite, bye = parsed("INVITE"), parsed("BYE")
    busy = Response.answering(invite, 486)
    server = InviteServerTransaction(invite, timers=TIMERS)
    server.receive_request(invite, now=0.0)
    server.receive_request(parsed("ACK"), now=0.0)
    server.send_response(busy, now=0.0)
    other = NonInviteServerTransaction(bye, timers=TIMERS)
    other.receive_request(bye, now=0.0)
    other.send_response(Response.answering(bye, 100), now=0.0)
    other.send_response(Response.answering(bye, 200), now=0.0)
    inviting = InviteClientTransaction(invite, destination=CALLER, timers=TIMERS, now=0.0)
    asking = NonInviteClientTransaction(bye, destination=CALLER, timers=TIMERS, now=0.0)
    for transaction, sent in ((server, 1), (other, 2), (inviting, 1), (asking, 1)):
        assert isinstance(
            transaction,
            InviteServerTransaction | NonInviteServerTransaction | InviteClientTransaction | NonInviteClientTransaction,
        )
        transaction.handle_timeout(now=0.1)
        assert len(transaction.datagrams_to_send()) == sent
        assert not transaction.is_terminated


def test_a_request_is_sent_again_at_growing_intervals_until_64_t1() -> None:
    transaction = NonInviteClientTransaction(parsed("BYE"), destination=CALLER, timers=TIMERS, now=0.0)
    times = []
    while (at := transaction.next_timeout()) is not None:
        transaction.handle_timeout(now=at)
        times.append(at)
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert transaction.is_terminated
    assert not transaction.receive_response(Response.answering(parsed("BYE"), 200), now=32.0)


def test_a_provisional_response_slows_retransmission_to_t2() -> None:
    transaction = NonInviteClientTransaction(parsed("BYE"), destination=CALLER, timers=TIMERS, now=0.0)
    assert transaction.receive_response(Response.answering(parsed("BYE"), 100), now=0.1)
    transaction.handle_timeout(now=0.5)
    assert transaction.next_timeout() == 4.5


def test_a_layer_forgets_a_transaction_of_a_merged_request_without_forgetting_the_first() -> None:
    layer = TransactionLayer(timers=Timers(t1=0.01), max_transactions=10, counters=Counters())
    first = parsed("OPTIONS")
    layer.respond(layer.serve(first), Response.answering(first, 200), now=0.0)
    again = parse_message(request("OPTIONS", branch="z9hG4bK-2"))
    assert isinstance(again, Request)
    assert layer.is_merged(again)
    layer.respond(layer.serve(again), Response.answering(again, 482), now=-1.0)
    layer.handle_timeout(now=0.0)
    assert layer.is_merged(again)
    layer.handle_timeout(now=1.0)
    assert len(layer) == 0
    assert not layer.is_merged(again)


def test_an_ack_with_the_branch_of_another_request_is_stray() -> None:
    peer = Peer()
    peer.send(request("INVITE"))
    assert peer.send(request("ACK")) == []
    assert peer.agent.counters.stray_acks == 1
