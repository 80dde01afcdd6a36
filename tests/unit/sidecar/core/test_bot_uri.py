"""What a caller may call the URL of a bot."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.bot_uri import parse_bot_uri


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://bot.example", "scheme isn't ws or wss"),
        ("ws:///path", "hostname isn't provided"),
        ("ws://bot.example/#here", "fragment identifier is meaningless"),
        ("ws://user@bot.example", "username provided without password"),
        ("ws://us%3Aer:secret@bot.example", "a user name cannot have a colon"),
        ("ws://%ff:secret@bot.example", "the host, port or user of the URL is not valid"),
        ("ws://user:secret@bot\u2100.example:80", "the host, port or user of the URL is not valid"),
        ("ws://bot.example:secret", "the host, port or user of the URL is not valid"),
        ("ws://bot..example", "the host, port or user of the URL is not valid"),
    ],
)
def test_a_url_is_refused_with_a_reason_that_keeps_its_secrets(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_bot_uri(url)
    assert "secret" not in str(caught.value)


def test_a_url_is_taken_apart() -> None:
    uri = parse_bot_uri("wss://ü:p%20w@bücher.example:8443/ä?ö=1")
    assert (uri.secure, uri.host, uri.port) == (True, "xn--bcher-kva.example", 8443)
    assert (uri.username, uri.password) == ("ü", "p w")
    assert uri.resource_name == "/%C3%A4?%C3%B6=1"


@given(st.text(max_size=80) | st.text("a:@/.%[]?#é\udc80ws0", max_size=40).map(lambda text: f"ws://{text}"))
def test_nothing_but_a_value_error_is_raised(url: str) -> None:
    with contextlib.suppress(ValueError):
        parse_bot_uri(url).host.encode("idna")
