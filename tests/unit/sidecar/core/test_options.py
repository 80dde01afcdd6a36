"""One table of options: every spelling, every default, every mistake."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.bot_connection import BotConnection
from sidecar.core.options import (
    AnswerMode,
    MixMode,
    OptionError,
    Profile,
    StreamOptions,
    options_from_headers,
    resolve_options,
)

URL = "ws://bot.example/ws"


def resolved(**given_options: str) -> StreamOptions:
    """Resolve options that are in order, without a warning."""
    options, warnings = resolve_options({"url": URL, **given_options}, [])
    assert warnings == []
    return options


def refused(given_options: dict[str, str], *profiles: Profile) -> OptionError:
    with pytest.raises(OptionError) as caught:
        resolve_options(given_options, profiles)
    return caught.value


def test_the_defaults_are_those_of_the_contract() -> None:
    options = resolved()
    assert options == StreamOptions(
        url=URL,
        mix=MixMode.MONO,
        rate=8000,
        sample_rate=None,
        metadata=None,
        buffer_size=20,
        extra_headers={},
        answer=AnswerMode.CONNECTED,
        preroll=60,
    )
    assert options.playback_rate == 8000


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("url", "wss://user:pw@[2001:db8::1]:99/a?b=c%20d", "wss://user:pw@[2001:db8::1]:99/a?b=c%20d"),
        ("url", "WS://bot.example", "WS://bot.example"),
        ("url", "ws://bücher.example/ä", "ws://bücher.example/ä"),
        ("mix", "mono", MixMode.MONO),
        ("mix", "Callee", MixMode.CALLEE),
        ("mix", " MIXED ", MixMode.MIXED),
        ("mix", "stereo", MixMode.STEREO),
        ("rate", "8k", 8000),
        ("rate", "8000", 8000),
        ("rate", "16K", 16000),
        ("rate", "24k", 24000),
        ("rate", " 32000 ", 32000),
        ("rate", "40k", 40000),
        ("rate", "48k", 48000),
        ("sample_rate", "24k", 24000),
        ("sample_rate", "8000", 8000),
        ("metadata", ' {"a": "ü"} ', ' {"a": "ü"} '),
        ("metadata", "", ""),
        ("buffer_size", "20", 20),
        ("buffer_size", " 100 ", 100),
        ("buffer_size", "1000", 1000),
        ("extra_headers", "{}", {}),
        ("extra_headers", '{"X-A": "1", "Authorization": "Bearer \\u00fc"}', {"X-A": "1", "Authorization": "Bearer ü"}),
        ("answer", "connected", AnswerMode.CONNECTED),
        ("answer", "IMMEDIATE", AnswerMode.IMMEDIATE),
        ("answer", "early", AnswerMode.EARLY),
        ("preroll", "0", 0),
        ("preroll", "1000", 1000),
    ],
)
def test_a_value_is_read_in_every_spelling(name: str, text: str, value: Any) -> None:
    assert getattr(resolved(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("url", ""),
        ("url", "bot.example"),
        ("url", "http://bot.example"),
        ("url", "ws://"),
        ("url", "ws:///path"),
        ("url", "ws://bot.example/#here"),
        ("url", "ws://bot.example/a b"),
        ("url", "ws://bot.example/\r\nX: y"),
        ("url", "ws://bot.example:port/"),
        ("url", "ws://bot.example:65536/"),
        ("url", "ws://[::1/"),
        ("url", "ws://us%3Aer:pw@bot.example/"),
        ("url", "ws://bot..example/"),
        ("mix", ""),
        ("mix", "both"),
        ("rate", ""),
        ("rate", "0"),
        ("rate", "11025"),
        ("rate", "44100"),
        ("rate", "56k"),
        ("rate", "8 k"),
        ("rate", "-8000"),
        ("rate", "8000.0"),
        ("rate", "1" * 5000),
        ("sample_rate", "fast"),
        ("sample_rate", "0"),
        ("metadata", "\udcff"),
        ("buffer_size", "0"),
        ("buffer_size", "19"),
        ("buffer_size", "1001"),
        ("buffer_size", "1020"),
        ("buffer_size", "-20"),
        ("buffer_size", "20ms"),
        ("buffer_size", "\N{ARABIC-INDIC DIGIT TWO}0"),
        ("buffer_size", "9" * 5000),
        ("extra_headers", ""),
        ("extra_headers", "[]"),
        ("extra_headers", "{"),
        ("extra_headers", '{"X-A": 1}'),
        ("extra_headers", '{"X A": "1"}'),
        ("extra_headers", '{"": "1"}'),
        ("extra_headers", '{"X-A": "1\\r\\nX-B: 2"}'),
        ("extra_headers", '{"X-A\\n": "1"}'),
        ("extra_headers", '{"X-A": "\\u20ac"}'),
        ("extra_headers", '{"host": "x"}'),
        ("extra_headers", '{"Sec-WebSocket-Key": "x"}'),
        ("extra_headers", '{"UPGRADE": "x"}'),
        ("extra_headers", '{"Connection": "x"}'),
        ("extra_headers", '{"Content-Length": "1"}'),
        ("extra_headers", '{"X": "\udcff"}'),
        ("extra_headers", "[" * 100_000),
        ("answer", "never"),
        ("preroll", "1001"),
        ("preroll", "-1"),
        ("preroll", "some"),
    ],
)
def test_a_value_that_is_not_valid_is_refused_by_name(name: str, text: str) -> None:
    error = refused({"url": URL, name: text})
    assert error.name == name
    assert error.reason
    assert str(error) == f"{name}: {error.reason}"
    assert error.sip_status == 400


@pytest.mark.parametrize("name", [each.name for each in fields(StreamOptions)])
def test_every_option_has_a_header_in_any_case_with_dashes_or_underscores(name: str) -> None:
    spellings = [
        f"X-STREAM_{name.upper()}",
        f"x-stream_{name}",
        f"X-Stream-{name.replace('_', '-').title()}",
        f"x_stream-{name.replace('_', '-')}",
    ]
    for spelling in spellings:
        assert options_from_headers([("Via", "SIP/2.0/UDP x"), (spelling, "as it is "), ("X-Streamer", "1")]) == {
            name: "as it is "
        }


def test_of_a_header_that_comes_twice_the_last_is_taken() -> None:
    assert options_from_headers([("X-STREAM_RATE", "8k"), ("x-stream-rate", "16k")]) == {"rate": "16k"}


def test_a_call_goes_before_its_profile_and_that_before_the_default_profile() -> None:
    sales = Profile({"rate": "24k", "mix": "stereo"})
    default = Profile({"url": "wss://default.example", "rate": "16k", "mix": "callee", "preroll": "0"})
    options, warnings = resolve_options({"rate": "48k"}, [sales, default])
    assert (options.rate, options.mix, options.preroll) == (48000, MixMode.STEREO, 0)
    assert options.url == "wss://default.example"
    assert options.buffer_size == 20
    assert warnings == []


def test_what_a_profile_says_wrongly_but_a_call_says_rightly_is_right() -> None:
    options, _ = resolve_options({"rate": "16k"}, [Profile({"url": URL, "rate": "fast"})])
    assert options.rate == 16000


def test_a_locked_option_is_forbidden_to_a_call() -> None:
    sales = Profile({"url": URL}, frozenset({"url"}))
    for profiles in ([sales], [sales, Profile()], [Profile(), sales]):
        error = refused({"url": "ws://evil.example"}, *profiles)
        assert (error.name, error.sip_status) == ("url", 403)
        assert resolve_options({"rate": "16k"}, profiles)[0].url == URL


def test_a_lock_holds_in_every_spelling() -> None:
    sales = Profile({"url": URL}, frozenset({"extra_headers"}))
    for header in ("X-STREAM_EXTRA_HEADERS", "x-stream-extra-headers", "X-Stream-Extra_Headers"):
        assert refused(options_from_headers([(header, "{}")]), sales).sip_status == 403


def test_a_call_without_a_url_is_refused() -> None:
    error = refused({"rate": "16k"}, Profile({"mix": "mono"}))
    assert (error.name, error.reason, error.sip_status) == ("url", "missing", 400)


@pytest.mark.parametrize("text", ["30", "99", "999"])
def test_a_buffer_size_that_is_no_multiple_of_20_ms_is_20_with_a_warning(text: str) -> None:
    options, warnings = resolve_options({"url": URL, "buffer_size": text}, [])
    assert options.buffer_size == 20
    assert warnings == ["buffer_size: not a multiple of 20 ms, 20 is used"]


def test_an_option_that_is_not_known_is_ignored_with_a_warning() -> None:
    options, warnings = resolve_options({"url": URL, "heart_beat": "5", "hart_beat": "5"}, [])
    assert options == StreamOptions(url=URL)
    assert warnings == ["heart_beat: not supported yet, ignored", "hart_beat: no such option, ignored"]


def test_the_audio_of_the_bot_has_the_rate_of_what_it_hears_unless_it_says_so() -> None:
    assert resolved(rate="16k").playback_rate == 16000
    assert resolved(rate="16k", sample_rate="24k").playback_rate == 24000


names = st.sampled_from([*(each.name for each in fields(StreamOptions)), "heart_beat", "", "URL"]) | st.text(max_size=5)
texts = st.text(max_size=30) | st.sampled_from(
    ["ws://a", "wss://b:1", "16k", "8000", "mono", "early", "20", "30", "{}", '{"X": "y"}', '{"X": "\\ud800"}']
)
utf_8_texts = st.text(st.characters(codec="utf-8"), max_size=4)
options_by_name = st.dictionaries(names, texts, max_size=6)


@given(
    options_by_name,
    st.lists(st.builds(Profile, options_by_name, st.frozensets(names, max_size=1)), max_size=2),
)
def test_resolving_raises_nothing_but_option_errors(given_options: dict[str, str], profiles: list[Profile]) -> None:
    with contextlib.suppress(OptionError):
        options, _ = resolve_options(given_options, profiles)
        assert options.buffer_size % 20 == 0


@given(
    st.text("a:@/.%[]?é\udc80ws0", max_size=40).map(lambda text: f"ws://{text}"),
    st.dictionaries(utf_8_texts, utf_8_texts, max_size=2),
)
def test_what_is_resolved_can_be_connected_to(url: str, headers: dict[str, str]) -> None:
    """Whatever a caller has made up: past this point it would be our mistake."""
    text = msgspec.json.encode(headers).decode()
    with contextlib.suppress(OptionError):
        options, _ = resolve_options({"url": url, "extra_headers": text}, [])
        connection = BotConnection(options.url, headers=options.extra_headers)
        connection.connect()
        request = b"".join(connection.data_to_send())
        assert request.startswith(b"GET /")
        assert request.count(b"\r\n\r\n") == 1


def test_an_empty_header_is_no_option() -> None:
    assert options_from_headers([("X-STREAM_RATE", ""), ("X-STREAM_MIX", "mono")]) == {"mix": "mono"}
