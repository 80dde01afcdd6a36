"""Whatever comes in, the agent raises nothing, and forgets all of it in the end."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sip import Admission, CallReceived, OfferReceived
from tests.support.dialogs import ANSWER, Dialog
from tests.support.sip_messages import CALLER, OFFER, Peer, request, response

CORPUS = [
    path.read_bytes() for path in sorted((Path(__file__).parents[2] / "conformance" / "messages").glob("*/*.dat"))
]
METHODS = ("INVITE", "UPDATE", "INFO", "PRACK", "REFER", "NOTIFY", "BYE", "OPTIONS", "ACK", "CANCEL")
HEADERS = (
    "Session-Expires: 90;refresher=uas",
    "Supported: timer, 100rel",
    "Require: 100rel",
    "RAck: 1 1 INVITE",
    "RSeq: 1",
    "Event: refer",
    "Subscription-State: terminated",
    "Content-Type: application/dtmf-relay",
    "Authorization: Digest a=b",
    "Contact: <sip:c@192.0.2.99;transport=tcp>",
)
CUTS = st.tuples(st.integers(0, 600), st.integers(0, 30), st.binary(max_size=30))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(METHODS),
        st.lists(st.sampled_from(HEADERS), max_size=3, unique=True),
        st.sampled_from([b"", OFFER, b"SIP/2.0 200 OK", b"Signal=1"]),
        st.sampled_from(["new", "dialog", "corpus", "answer"]),
        st.none() | CUTS,
        st.sampled_from([0.0, 0.1, 3.0, 40.0]),
    ),
    max_size=12,
)


def mutate(data: bytes, cut: tuple[int, int, bytes] | None) -> bytes:
    """Replace a few bytes."""
    return data if cut is None else data[: cut[0]] + cut[2] + data[cut[0] + cut[1] :]


def act(peer: Peer, accepts: bool) -> None:
    """Do what an owner would."""
    for event in peer.events():
        if isinstance(event, CallReceived):
            peer.agent.respond(event.call, 183, body=ANSWER, now=peer.now)
            peer.agent.answer(event.call, ANSWER, now=peer.now)
        elif isinstance(event, OfferReceived) and accepts:
            peer.agent.accept_offer(event.call, ANSWER, now=peer.now)


@given(STEPS, st.booleans(), st.booleans())
def test_the_agent_survives_and_forgets(
    steps: list[tuple[str, list[str], bytes, str, tuple[int, int, bytes] | None, float]], placed: bool, accepts: bool
) -> None:
    peer = Peer(max_transactions=30)
    dialog = Dialog(peer, placed_by_agent=placed)
    peer.agent.reoffer(dialog.call, b"v=0\r\no=new\r\n", now=0.0)
    asked = peer.read()
    for number, (method, headers, body, kind, cut, pause) in enumerate(steps):
        names = {**dialog.names, "cseq": 200 + number, "branch": f"z9hG4bK-{number}"}
        if kind == "new":
            names |= {"to_tag": None, "call_id": f"call-{number}"}
        data = request(method, headers=tuple(headers), body=body, **names)  # type: ignore[arg-type]
        if kind == "corpus":
            data = CORPUS[(number * 7 + len(headers)) % len(CORPUS)]
        elif kind == "answer" and hasattr(asked[0], "method"):
            pairs = tuple((each.partition(": ")[0], each.partition(": ")[2]) for each in headers)
            data = response(asked[0], (200, 180, 491, 422, 481)[number % 5], headers=pairs, body=body)  # type: ignore[arg-type]
        peer.agent.receive_datagram(mutate(data, cut), CALLER, now=peer.now)
        act(peer, accepts)
        peer.agent.datagrams_to_send()
        peer.wait_blindly(pause)
        assert len(peer.agent._layer) <= 60
    for ref in range(1, peer.agent._calls._last_ref + 1):
        peer.agent.hang_up(ref, now=peer.now)  # type: ignore[arg-type]
    peer.wait_blindly(200.0)
    assert peer.agent.idle


def test_ten_thousand_strangers_leave_nothing_behind() -> None:
    peer = Peer(max_transactions=100, admission=Admission(requests_per_second=1000.0))
    for number in range(10_000):
        peer.agent.receive_datagram(
            request("OPTIONS", branch=f"z9hG4bK-{number}", call_id=str(number)), CALLER, now=peer.now
        )
        peer.agent.datagrams_to_send()
        assert len(peer.agent._layer) <= 100
    peer.wait_blindly(40.0)
    assert peer.agent.idle
