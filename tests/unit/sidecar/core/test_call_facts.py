"""What an INVITE tells of its call."""

from __future__ import annotations

import pytest

from sidecar.core.call_facts import CallFacts, facts_of
from sip import Headers, Request


def facts(from_: str, to: str = "<sip:x>") -> CallFacts:
    headers = [("From", f"{from_};tag=1"), ("To", to), ("Call-ID", "c@d"), ("X-Foo", "bar")]
    return facts_of(Request("INVITE", "sip:sales@sidecar", Headers(tuple(headers))))


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:alice@example", "alice"),
        ("sips:al%20ice:pw@example;x=y", "al ice"),
        ("sip:example", ""),
        ("tel:+49-30-1;phone-context=x", "+49-30-1"),
        ("urn:service:sos", ""),
    ],
)
def test_who_is_who(uri: str, user: str) -> None:
    assert facts(f'"A" <{uri}>').from_user == user
    assert facts("<sip:a@b>", f"<{uri}>").to_user == user


def test_a_header_is_found_in_any_case() -> None:
    found = facts("<sip:a@b>")
    assert found.call_id == "c@d"
    assert found.value("header:x-FOO") == "bar"
    assert found.value("header:X-Bar") == ""
    assert found.value("from_user") == "a"
