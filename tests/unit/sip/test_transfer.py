"""REFER: asking the other side to call somebody else."""

from __future__ import annotations

import pytest

from sip import Request, TransferProgress
from tests.support.dialogs import Dialog, only_request
from tests.support.sip_messages import Peer, response

EVENT = "Event: refer"
ACTIVE = "Subscription-State: active;expires=60"
OVER = "Subscription-State: terminated;reason=noresource"
FRAGMENT = "Content-Type: message/sipfrag;version=2.0"


def refer(peer: Peer, dialog: Dialog) -> Request:
    """Let the agent transfer the call."""
    peer.agent.transfer(dialog.call, "sip:1000@pbx", headers=[("Referred-By", "<sip:bot@h>")], now=peer.now)
    sent = only_request(peer.read(), "REFER")
    assert (sent.headers.get("Refer-To"), "Referred-By" in sent.headers) == ("<sip:1000@pbx>", True)
    return sent


def test_a_transfer_is_followed_until_it_is_done() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    sent = refer(peer, dialog)
    assert peer.send(response(sent, 202)) == []
    named = f"Event: refer;id={sent.cseq.number}"
    assert dialog.statuses("NOTIFY", headers=[named, ACTIVE, FRAGMENT], body=b"SIP/2.0 100 Trying\r\n") == [200]
    assert dialog.statuses("NOTIFY", headers=[EVENT, ACTIVE]) == [200]
    assert dialog.statuses("NOTIFY", headers=[EVENT, OVER, FRAGMENT], body=b"SIP/2.0 200 OK") == [200]
    assert peer.events() == [
        TransferProgress(dialog.call, 100, is_final=False),
        TransferProgress(dialog.call, 200, is_final=True),
    ]
    assert dialog.statuses("NOTIFY", headers=[EVENT, OVER, FRAGMENT], body=b"SIP/2.0 200 OK") == [481]


def test_a_subscription_that_ends_without_a_word_has_failed() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    refer(peer, dialog)
    assert dialog.statuses("NOTIFY", headers=[EVENT, OVER]) == [200]
    assert peer.events() == [TransferProgress(dialog.call, 487, is_final=True)]


def test_a_refer_that_is_refused_or_never_answered_has_failed() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    peer.send(response(refer(peer, dialog), 603))
    assert peer.events() == [TransferProgress(dialog.call, 603, is_final=True)]
    refer(peer, dialog)
    peer.wait(32.0)
    assert peer.events() == [TransferProgress(dialog.call, 408, is_final=True)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [([EVENT, ACTIVE], 481), (["Event: refer;id=77", ACTIVE], 481), (["Event: presence"], 489), ([], 489)],
)
def test_a_notify_that_nobody_asked_for_is_refused(headers: list[str], status: int) -> None:
    peer = Peer()
    dialog = Dialog(peer)
    if status == 489 or "id" in headers[0]:
        refer(peer, dialog)
    assert dialog.statuses("NOTIFY", headers=headers) == [status]
    assert peer.events() == []


def test_there_is_an_end_to_open_transfers() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    first, *_, last = [refer(peer, dialog) for _ in range(9)]
    for sent, status in ((first, 481), (last, 200)):
        named = f"Event: refer;id={sent.cseq.number}"
        assert dialog.statuses("NOTIFY", headers=[named, ACTIVE]) == [status]


def test_we_transfer_nobody() -> None:
    assert Dialog(Peer()).statuses("REFER", headers=["Refer-To: <sip:c@h>"]) == [603]
    assert Dialog(Peer()).statuses("PRACK", headers=["RAck: 1 1 INVITE"]) == [481]
    assert Dialog(Peer(), placed_by_agent=True).statuses("PRACK", headers=["RAck: 1 1 INVITE"]) == [481]


def test_what_becomes_of_a_transfer_after_the_end_is_not_told() -> None:
    peer = Peer()
    dialog = Dialog(peer)
    sent = refer(peer, dialog)
    dialog.send("BYE")
    peer.send(response(sent, 603))
    assert len(peer.events()) == 1
