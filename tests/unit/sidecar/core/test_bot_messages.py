"""What a text of a bot means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.bot_messages import (
    Answer,
    BotMessage,
    BotMessageError,
    Clear,
    Dtmf,
    Hangup,
    Mark,
    Pause,
    RawAudio,
    Resume,
    StreamAudio,
    Transfer,
    message_to_bot,
    parse_bot_message,
)
from sidecar.core.clip import Clip, ClipKind


def text_of(kind: str, data: Any) -> str:
    return json.dumps({"type": kind, "data": data})


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("rawAudio", {"sampleRate": 24000}, RawAudio(24000)),
        ("rawAudio", {"sampleRate": 16000.0}, RawAudio(16000)),
        ("mark", {"name": "m1", "more": [1]}, Mark("m1")),
        ("clear", {}, Clear()),
        ("killAudio", None, Clear()),
        ("pause", {}, Pause()),
        ("resume", {}, Resume()),
        ("hangup", {}, Hangup("drain", None)),
        ("hangup", {"after": "now", "cause": 17}, Hangup("now", 17)),
        ("hangup", {"cause": "USER_BUSY"}, Hangup("drain", "USER_BUSY")),
        ("transfer", {"to": "sip:a@b"}, Transfer("sip:a@b")),
        ("dtmf", {"digits": "12#"}, Dtmf("12#", 100)),
        ("dtmf", {"digits": "1", "duration_ms": 200}, Dtmf("1", 200)),
        ("answer", {}, Answer()),
    ],
)
def test_messages_of_known_types(kind: str, data: Any, expected: BotMessage) -> None:
    text = text_of(kind, data)
    assert parse_bot_message(text) == (expected, text)


def test_a_message_may_have_no_data_at_all() -> None:
    assert parse_bot_message('{"type": "clear"}')[0] == Clear()


def test_a_clip_is_told_of_without_its_audio() -> None:
    data = {"audioDataType": "raw", "sampleRate": 8000, "id": 10**30, "audioData": "AAAA"}
    message, text = parse_bot_message(text_of("streamAudio", data))
    del data["audioData"]
    assert isinstance(message, StreamAudio)
    assert message.clip == Clip(ClipKind.RAW, 8000, "AAAA")
    assert json.loads(message.body) == data
    assert json.loads(text) == {"type": "streamAudio", "data": data}


WRONG: list[tuple[str, Any, str]] = [
    ("rawAudio", {}, "sampleRate: missing"),
    ("rawAudio", {"sampleRate": 44100}, "sampleRate: not a multiple of 8000 from 8000 to 48000"),
    ("rawAudio", {"sampleRate": 0}, "sampleRate: not a multiple of 8000"),
    ("rawAudio", {"sampleRate": -8000}, "sampleRate: not a multiple of 8000"),
    ("rawAudio", {"sampleRate": 8000.5}, "sampleRate: not a multiple of 8000"),
    ("rawAudio", {"sampleRate": 1e300}, "sampleRate: not a multiple of 8000"),
    ("rawAudio", {"sampleRate": "8000"}, "sampleRate: expected float, got str"),
    ("rawAudio", {"sampleRate": None}, "sampleRate: expected float, got null"),
    ("rawAudio", None, "sampleRate: missing"),
    ("rawAudio", [], "data: expected object, got array"),
    ("mark", {}, "name: missing"),
    ("mark", {"name": ""}, "name: expected str of length >= 1"),
    ("mark", {"name": 257 * "x"}, "name: expected str of length <= 256"),
    ("mark", {"name": {"name": 1}}, "name: expected str, got object"),
    ("mark", [], "data: expected object, got array"),
    ("mark", "m1", "data: expected object, got str"),
    ("hangup", {"after": "tea"}, "after: not drain or now"),
    ("hangup", {"after": 1}, "after: expected str, got int"),
    ("hangup", {"cause": 0}, "cause: expected int >= 1"),
    ("hangup", {"cause": 10**30}, "cause: "),
    ("hangup", {"cause": [16]}, "cause: expected int | str | null, got array"),
    ("hangup", 16, "data: expected object, got int"),
    ("transfer", {}, "to: missing"),
    ("transfer", {"to": None}, "to: expected str, got null"),
    ("transfer", {"to": "sip:" + 1025 * "x"}, "to: expected str of length <= 1024"),
    ("transfer", True, "data: expected object, got bool"),
    ("dtmf", {}, "digits: missing"),
    ("dtmf", {"digits": 5}, "digits: expected str, got int"),
    ("dtmf", {"digits": ""}, "digits: expected str of length >= 1"),
    ("dtmf", {"digits": 257 * "1"}, "digits: expected str of length <= 256"),
    ("dtmf", {"digits": "5", "duration_ms": "long"}, "duration_ms: expected int, got str"),
    ("dtmf", {"digits": "5", "duration_ms": -1}, "duration_ms: expected int >= 0"),
    ("dtmf", {"digits": "5", "duration_ms": 10**30}, "duration_ms: "),
    ("streamAudio", None, "data: not an object"),
    ("streamAudio", [], "data: not an object"),
    ("streamAudio", {"audioData": "AAAA"}, "audioDataType: not one of raw, wav"),
    ("streamAudio", {"audioDataType": "flac", "audioData": "AAAA"}, "audioDataType: not one of raw, wav"),
    ("streamAudio", {"audioDataType": 5, "audioData": "AAAA"}, "audioDataType: not one of raw, wav"),
    ("streamAudio", {"audioDataType": "mp3"}, "audioData: missing"),
    ("streamAudio", {"audioDataType": "mp3", "audioData": ["AAAA"]}, "audioData: not base64 text"),
    ("streamAudio", {"audioDataType": "mp3", "audioData": ""}, "audioData: not base64 text"),
    ("streamAudio", {"audioDataType": "raw", "audioData": "AAAA"}, "sampleRate: missing"),
    ("streamAudio", {"audioDataType": "raw", "audioData": "AAAA", "sampleRate": "8k"}, "sampleRate: not a whole"),
    ("streamAudio", {"audioDataType": "raw", "audioData": "AAAA", "sampleRate": True}, "sampleRate: not a whole"),
    ("streamAudio", {"audioDataType": "pcmu", "audioData": "AAAA", "sampleRate": 1}, "sampleRate: not 4000 to"),
]
"""Each type that needs data, with each field missing, of the wrong kind, and out of its bounds."""


@pytest.mark.parametrize(("kind", "data", "named"), WRONG, ids=[f"{kind} {why}" for kind, _, why in WRONG])
def test_what_is_malformed_is_named(kind: str, data: Any, named: str) -> None:
    message, text = parse_bot_message(text_of(kind, data))
    assert isinstance(message, BotMessageError)
    assert message.kind == kind
    assert message.reason.startswith(named)
    assert "`" not in message.reason
    assert str(message) == f"{kind}: {message.reason}"
    assert "AAAA" not in text


DEEP = 100_000 * "["


@pytest.mark.parametrize(
    "text",
    ["", "hello", "[]", "5", '{"type": 5}', '{"type": "other", "data": 1}', "{}", DEEP, '{"type": "mark"', "\ud800"],
)
def test_any_other_text_is_only_told_of(text: str) -> None:
    assert parse_bot_message(text) == (None, text)


def test_data_that_is_nested_too_deeply_is_an_error() -> None:
    message, _ = parse_bot_message(text_of("streamAudio", {"audioData": "AAAA"})[:-1] + "}")
    assert isinstance(message, BotMessageError)
    deep = 900 * "[" + 900 * "]"
    message, _ = parse_bot_message(f'{{"type": "mark", "data": {{"name": {deep}}}}}')
    assert isinstance(message, BotMessageError)


@given(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_nothing_raises(kind: str, data: Any) -> None:
    parse_bot_message(kind)
    parse_bot_message(text_of(kind, data))
    for known in ("mark", "hangup", "streamAudio", "rawAudio"):
        parse_bot_message(text_of(known, {"name": data, "cause": data, "audioData": data, "sampleRate": data}))


def test_what_is_said_to_the_bot() -> None:
    assert message_to_bot("mark", {"name": "ü"}) == '{"type":"mark","data":{"name":"ü"}}'
