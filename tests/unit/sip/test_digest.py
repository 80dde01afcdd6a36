"""Passwords: digest authentication of calls. See RFC 8760."""

from __future__ import annotations

import contextlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import CallReceived, Credentials, Request, Response, SipError, parse_message
from sip.digest import DigestGuard, digest_response, parse_authorization
from sip.error import Unauthorized
from tests.support.sip_messages import OFFER, Peer, request

REALM = 'the "sidecar"'
CREDENTIALS = Credentials(REALM, {"alice": "secret"})
URI = "sip:bot@192.0.2.20:5070"


def challenges(peer: Peer, **fields: object) -> list[dict[str, str]]:
    """Send an INVITE, and return how the agent asks for a password."""
    (refusal,) = peer.send(request(body=OFFER, **fields))  # type: ignore[arg-type]
    assert isinstance(refusal, Response)
    assert refusal.status == 401
    return [parse_authorization(value) for value in refusal.headers.get_all("WWW-Authenticate")]


def test_a_proof_may_name_the_agent_in_another_way() -> None:
    """RFC 3261, section 22.4: a proxy may have changed the Request-URI, and some write it without the user."""
    peer = Peer(credentials=CREDENTIALS)
    (_, challenge) = challenges(peer)
    fields = {**challenge, "username": "alice", "uri": "sip:192.0.2.20", "nc": "00000001", "cnonce": "c", "qop": "auth"}
    response = digest_response("MD5", fields, password="secret", method="INVITE")
    header = proof(challenge, uri=fields["uri"], response=response)
    assert peer.statuses(request(body=OFFER, headers=(header,), cseq=2, branch="z9hG4bK-2")) == [100]


def test_what_is_not_asked_for_is_not_taken() -> None:
    peer = Peer(credentials=Credentials(REALM, {"alice": "secret"}, ("MD5",)))
    (challenge,) = challenges(peer)
    assert challenge["algorithm"] == "MD5"
    header = proof({**challenge, "algorithm": "SHA-256"})
    assert peer.statuses(request(body=OFFER, headers=(header,), cseq=2, branch="z9hG4bK-2")) == [401]
    header = proof(challenge)
    assert peer.statuses(request(body=OFFER, headers=(header,), cseq=3, branch="z9hG4bK-3")) == [100]


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(CREDENTIALS)


def proof(challenge: dict[str, str], *, password: str = "secret", **changes: str | None) -> str:
    """Return the Authorization header that answers a challenge."""
    fields = {"username": "alice", "realm": REALM, "nonce": challenge["nonce"], "uri": URI, "nc": "00000001"}
    fields |= {"cnonce": "c", "qop": "auth", "algorithm": challenge["algorithm"]}
    fields["response"] = digest_response(challenge["algorithm"], fields, password=password, method="INVITE")
    fields |= {name: value for name, value in changes.items() if value is not None}
    kept = {name: value for name, value in fields.items() if name not in changes or changes[name] is not None}
    quoted = ", ".join('{}="{}"'.format(name, value.replace('"', '\\"')) for name, value in kept.items())
    return f"Authorization: Digest {quoted}"


def again(peer: Peer, header: str, number: int = 2) -> list[int]:
    """Send the INVITE again with a proof; return the statuses that come back."""
    call_id = f"call-{number}"
    return peer.statuses(request(body=OFFER, branch=f"z9hG4bK-{number}", call_id=call_id, headers=(header,)))


def test_the_example_of_rfc_7616_comes_out_as_it_says() -> None:
    fields = {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
    }
    md5 = digest_response("MD5", fields, password="Circle of Life", method="GET")
    sha256 = digest_response("SHA-256", fields, password="Circle of Life", method="GET")
    assert md5 == "8ca523f5e9506fed4657c9700eebdbec"
    assert sha256 == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


@pytest.mark.parametrize("index", [0, 1])
def test_a_call_with_the_right_password_comes_in(index: int) -> None:
    peer = Peer(credentials=CREDENTIALS)
    offered = challenges(peer)
    assert [each["algorithm"] for each in offered] == ["SHA-256", "MD5"]
    assert {(each["realm"], each["qop"]) for each in offered} == {(REALM, "auth")}
    assert again(peer, proof(offered[index])) == [100]
    assert [type(event) for event in peer.events()] == [CallReceived]
    assert peer.agent.counters.challenges == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "bob"},
        {"response": "0" * 64},
        {"response": "\u00fc"},
        {"uri": "sip:other@h"},
        {"qop": "auth-int"},
        {"algorithm": "SHA-512"},
        {"nc": None},
        {"qop": None},
        {"realm": "another"},
    ],
)
def test_a_wrong_proof_is_asked_again(changes: dict[str, str | None]) -> None:
    peer = Peer(credentials=CREDENTIALS)
    assert again(peer, proof(challenges(peer)[0], **changes)) == [401]  # type: ignore[arg-type]
    assert peer.events() == []


def test_who_does_not_prove_to_be_who_it_says_is_told_of_and_a_first_question_is_not() -> None:
    peer = Peer(credentials=CREDENTIALS)
    challenge = challenges(peer)[0]
    assert again(peer, proof(challenge), 2) == [100]
    assert again(peer, proof(challenge), 3) == [401]  # stale
    assert peer.agent.next_failed_authentication() is None
    again(peer, proof(challenge, password="guess"), 4)
    again(peer, proof(challenge, username="bob"), 5)
    told = [peer.agent.next_failed_authentication() for _ in range(3)]
    assert [each and each.username for each in told] == ["alice", "bob", None]
    assert (peer.agent.counters.challenges, peer.agent.counters.wrong_credentials) == (4, 2)


def test_a_wrong_password_is_not_called_stale() -> None:
    peer = Peer(credentials=CREDENTIALS)
    header = proof(challenges(peer)[0], password="guess")
    assert all("stale" not in each for each in challenges(peer, headers=(header,), branch="z9hG4bK-2", cseq=2))


def test_a_proof_is_good_for_one_use() -> None:
    peer = Peer(credentials=CREDENTIALS)
    header = proof(challenges(peer)[0])
    assert again(peer, header) == [100]
    assert again(peer, header, 3) == [401]


def test_a_nonce_may_be_used_again_with_a_higher_count() -> None:
    peer = Peer(credentials=CREDENTIALS)
    challenge = challenges(peer)[0]
    for number, count in enumerate(("00000001", "00000002", "0000000a", "00000003", "junk")):
        fields = {"username": "alice", "realm": REALM, "nonce": challenge["nonce"], "uri": URI, "nc": count}
        fields |= {"cnonce": "c", "qop": "auth"}
        answer = digest_response("SHA-256", fields, password="secret", method="INVITE")
        header = proof(challenge, nc=count, response=answer)
        assert again(peer, header, number + 2) == ([100] if number < 3 else [401])


def test_an_old_nonce_is_stale() -> None:
    peer = Peer(credentials=CREDENTIALS)
    header = proof(challenges(peer)[0])
    peer.now = 61.0
    (first, _) = challenges(peer, headers=(header,), branch="z9hG4bK-2", cseq=2)
    assert first["stale"] == "true"


def test_a_nonce_of_another_is_stale() -> None:
    other = challenges(Peer(credentials=CREDENTIALS, seed=2))[0]
    peer = Peer(credentials=CREDENTIALS)
    (first, _) = challenges(peer, headers=(proof(other),))
    assert first["stale"] == "true"


def test_what_ends_a_call_or_is_in_one_is_not_asked() -> None:
    peer = Peer(credentials=CREDENTIALS)
    assert again(peer, proof(challenges(peer)[0])) == [100]
    assert peer.statuses(request("CANCEL", branch="z9hG4bK-2", call_id="call-2")) == [200, 487]
    assert peer.statuses(request("OPTIONS", branch="z9hG4bK-9")) == [200]


def test_there_is_an_end_to_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sip.digest._NONCES_MAX", 2)
    peer = Peer(credentials=CREDENTIALS)
    proofs = []
    for number in range(3):
        peer.now = 0.1 * number
        challenge = challenges(peer, branch=f"z9hG4bK-a{number}", call_id=f"a{number}")[0]
        proofs.append(proof(challenge))
        assert again(peer, proofs[-1], 10 + number) == [100]
    assert peer.agent._guard is not None
    assert len(peer.agent._guard._counts) == 2
    assert again(peer, proofs[0], 20) == [401]  # forgotten, and yet not to be used twice


@pytest.mark.parametrize("value", ["Basic abc", "Digest", "Digest a", "Digest a=b, a=c", "Digest (=x", 'Digest a="x'])
def test_what_is_no_digest_is_no_proof(value: str) -> None:
    guard = DigestGuard(CREDENTIALS, random=Random(1))
    message = parse_message(request(headers=(f"Authorization: {value}",)))
    assert isinstance(message, Request)
    with pytest.raises(Unauthorized):
        guard.check(message, now=0.0)


@given(st.text(max_size=60))
def test_parse_raises_nothing_but_sip_error(text: str) -> None:
    with contextlib.suppress(SipError):
        parse_authorization("Digest " + text)
