"""Events for a FreeSWITCH: what is fired, and that nothing that a bot says can be anything but a body."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.freeswitch.custom_event import LONGEST_LINE, CustomEvent

UUID = "eb46e254-1a8e-4cfc-bb83-dd8ead7cdd8c"


def event(body: str = "{}", *, call: str = UUID) -> CustomEvent:
    return CustomEvent("mod_audio_stream::json", call, (("Stream-ID", "s1"),), body)


def strings(script: str) -> list[str]:
    """Read the quoted strings of a line of Lua, as Lua does."""
    found = re.findall(r'"((?:\\[0-9]{3}|[^"\\])*)"', script)
    return [re.sub(rb"\\([0-9]{3})", lambda at: bytes([int(at[1])]), text.encode()).decode() for text in found]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_a_bot_says_is_a_body_and_no_lua(body: str) -> None:
    script = event(body).lua()
    assert script is not None
    start, end = script.index(" e:addBody(") + len(" e:addBody("), script.rindex(") e:fire()")
    literal = script[start:end]
    assert re.fullmatch(r'"(?:\\[0-9]{3}|[A-Za-z0-9 ])*"', literal)
    assert strings(literal) == [body]
    assert script.endswith(") e:fire()")
    assert not set(script) & set("\r\n\0")


def test_the_line_names_call_subclass_and_stream() -> None:
    script = event().lua()
    assert script is not None
    said = strings(script.replace('\\n"', '"'))
    assert said[:3] == [UUID, "CUSTOM", "mod_audio_stream::json"]
    assert 'e:addHeader("Stream\\045ID","s1")' in script


@pytest.mark.parametrize(
    "cannot", [event("x" * (LONGEST_LINE + 1)), event("ü" * LONGEST_LINE), event(call="a b"), event(call="")]
)
def test_what_cannot_be_a_line_is_none(cannot: CustomEvent) -> None:
    assert cannot.lua() is None


@pytest.mark.parametrize(
    ("call", "unique_id"), [(UUID, UUID.upper()), ("ABC", "abc"), ("Abc", "ABC"), ("1234", None), ("", None)]
)
def test_a_sendevent_never_names_a_live_session(call: str, unique_id: str | None) -> None:
    headers = dict(event(call=call).sendevent_headers())
    assert headers.get("Unique-ID") == unique_id
    assert headers["Channel-Call-UUID"] == call
    assert headers["Event-Subclass"] == "mod_audio_stream::json"
    assert headers["Stream-ID"] == "s1"
