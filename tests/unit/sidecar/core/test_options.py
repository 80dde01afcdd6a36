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
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_loss import BotLoss, LossAction
from sidecar.core.call_facts import CallFacts
from sidecar.core.options import (
    AfterClose,
    AnswerMode,
    BargeIn,
    Dialect,
    EventKind,
    Inject,
    MixMode,
    OptionError,
    Profile,
    StreamOptions,
    Track,
    fallback_options,
    options_from_headers,
    resolve_options,
)

URL = "ws://bot.example/ws"


def resolved(**given_options: str) -> StreamOptions:
    """Resolve options of a call that are in order, without a warning but for what is not obeyed yet."""
    options, warnings = resolve_options({"url": URL, **given_options}, [])
    assert all(warning.endswith("not supported yet, ignored") for warning in warnings)
    return options


def of_profile(**options: str) -> StreamOptions:
    """Resolve the options of a profile, whatever the warnings."""
    return resolve_options({}, [Profile({"url": URL, **options})])[0]


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
        dialect=Dialect.MOD_AUDIO_STREAM,
        message_deflate=True,
        heart_beat=20,
        suppress_log=False,
        extra_headers={},
        auth=None,
        tls_ca_file="SYSTEM",
        tls_cert_file=None,
        tls_key_file=None,
        tls_disable_hostname_validation=False,
        no_reconnect=False,
        reconnect_max=30,
        replay=2000,
        on_bot_lost=BotLoss(LossAction.HANGUP, None),
        on_bot_close=AfterClose.HANGUP,
        answer=AnswerMode.CONNECTED,
        playback=True,
        barge_in=BargeIn.OFF,
        inject=Inject.CALLER,
        preroll=60,
        playback_max=600,
        events=frozenset(),
        call=None,
        id=None,
        track=None,  # the caller
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
        ("dialect", "Twilio", Dialect.TWILIO),
        ("message_deflate", "FALSE", False),
        ("message_deflate", "1", True),
        ("heart_beat", "0", 0),
        ("suppress_log", "on", True),
        ("suppress_log", " no ", False),
        ("auth", "basic user:p w:x", "basic user:p w:x"),
        ("auth", "Bearer abc.def==", "Bearer abc.def=="),
        ("tls_ca_file", "system", "SYSTEM"),
        ("tls_disable_hostname_validation", "0", False),
        ("no_reconnect", "yes", True),
        ("reconnect_max", "3600", 3600),
        ("replay", "10000", 10_000),
        ("on_bot_lost", "Keep", BotLoss(LossAction.KEEP)),
        ("on_bot_lost", "fallback:wss://b.example/x", BotLoss(LossAction.FALLBACK, "wss://b.example/x")),
        ("on_bot_close", "keep", AfterClose.KEEP),
        ("playback", "off", False),
        ("barge_in", "duck", BargeIn.DUCK),
        ("inject", "both", Inject.BOTH),
        ("playback_max", "1", 1),
        ("events", "dtmf, VAD", frozenset({EventKind.DTMF, EventKind.VAD})),
        ("events", "all", frozenset(EventKind)),
        ("events", "none", frozenset()),
        ("call", " 6ba7b810-9dad-11d1-80b4-00c04fd430c8 ", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("id", "a" * 128, "a" * 128),
        ("track", "callee", Track.CALLEE),
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
        ("dialect", "klingon"),
        ("message_deflate", ""),
        ("message_deflate", "2"),
        ("heart_beat", "3601"),
        ("heart_beat", "often"),
        ("suppress_log", "maybe"),
        ("auth", "secret"),
        ("auth", "bearer"),
        ("auth", "bearer two secrets"),
        ("auth", "bearer a\r\nX: b"),
        ("auth", "basic secret"),
        ("auth", "basic a:b\r\nX: c"),
        ("auth", "basic a:\udc80secret"),
        ("auth", "digest a:secret"),
        ("tls_disable_hostname_validation", "perhaps"),
        ("no_reconnect", "nope"),
        ("reconnect_max", "3601"),
        ("replay", "10001"),
        ("on_bot_lost", "fallback"),
        ("on_bot_lost", "fallback:http://b.example"),
        ("on_bot_lost", "pray"),
        ("on_bot_close", "fallback:ws://b.example"),
        ("playback", "loud"),
        ("barge_in", "on"),
        ("inject", "all"),
        ("playback_max", "0"),
        ("playback_max", "3601"),
        ("events", ""),
        ("events", "dtmf,"),
        ("events", "dtmf,all"),
        ("call", "a b"),
        ("id", "a" * 129),
        ("id", "\u00fc"),
        ("track", "both"),
    ],
)
def test_a_value_that_is_not_valid_is_refused_by_name(name: str, text: str) -> None:
    error = refused({"url": URL, name: text})
    assert error.name == name
    assert error.reason
    assert str(error) == f"{name}: {error.reason}"
    assert error.sip_status == 400
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("auth", "env:"),
        ("auth", "env:A-B"),
        ("auth", "file:relative"),
        ("auth", "file:/a\0b"),
        ("tls_ca_file", "relative.pem"),
        ("tls_ca_file", "/a\0b"),
        ("tls_cert_file", ""),
        ("tls_cert_file", "relative.pem"),
        ("tls_key_file", "/there/is/no/certificate/for/it.pem"),
    ],
)
def test_what_a_profile_says_wrongly_is_refused_by_name(name: str, text: str) -> None:
    error = refused({}, Profile({"url": URL, name: text}))
    assert (error.name, error.sip_status) == (name, 400)


def test_a_profile_may_name_files_and_variables() -> None:
    options = of_profile(
        auth="env:BOT_TOKEN", tls_ca_file="/etc/ca.pem", tls_cert_file="/etc/us.pem", tls_key_file="/etc/us.key"
    )
    assert (options.auth, options.tls_ca_file) == ("env:BOT_TOKEN", "/etc/ca.pem")
    assert (options.tls_cert_file, options.tls_key_file) == ("/etc/us.pem", "/etc/us.key")
    assert of_profile(auth="FILE:/run/secret").auth == "FILE:/run/secret"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("auth", "env:PATH"),
        ("auth", " FILE:/etc/passwd"),
        ("tls_ca_file", "/etc/passwd"),
        ("tls_cert_file", "/etc/us.pem"),
        ("tls_key_file", "/etc/us.key"),
    ],
)
def test_a_call_may_not_name_files_and_variables_of_ours(name: str, text: str) -> None:
    """What is sent to a bot of the caller's choice, or only found not to be there, is told to the caller."""
    assert refused({"url": URL, name: text}).sip_status == 403


@pytest.mark.parametrize(("name", "text"), [("tls_ca_file", "none"), ("tls_disable_hostname_validation", "1")])
def test_a_call_may_weaken_tls_for_a_url_of_its_own_only(name: str, text: str) -> None:
    assert refused({name: text}, Profile({"url": URL})).sip_status == 403
    _, warnings = resolve_options({"url": URL, name: text}, [])
    assert [warning.partition(":")[0] for warning in warnings] == [name]
    _, warnings = resolve_options({}, [Profile({"url": URL, name: text})])
    assert [warning.partition(":")[0] for warning in warnings] == [name]


SECRETS = {"auth": "bearer s3cret", "extra_headers": '{"X-Key": "s3cret"}', "tls_cert_file": "/us.pem"}


@pytest.mark.parametrize(
    ("given_options", "kept_back"),
    [
        ({}, False),
        ({"url": "wss://bot.example/other"}, False),
        ({"url": "WSS://bot.example"}, False),
        ({"url": "ws://bot.example/"}, True),
        ({"url": "wss://evil.elsewhere/"}, True),
        ({"url": "wss://bot.example/", "tls_ca_file": "NONE"}, True),
        ({"url": "wss://bot.example/", "tls_disable_hostname_validation": "true"}, True),
    ],
)
def test_the_secrets_of_a_profile_go_to_no_bot_of_the_callers_choice(
    given_options: dict[str, str], kept_back: bool
) -> None:
    """But to one that the operator has listed they do, over TLS that is worth its name."""
    profile = Profile({"url": "wss://bot.example/", **SECRETS})
    options, warnings = resolve_options(given_options, [profile], hosts=BotHosts(("bot.example",)))
    held = (options.auth, options.extra_headers, options.tls_cert_file)
    assert held == ((None, {}, None) if kept_back else ("bearer s3cret", {"X-Key": "s3cret"}, "/us.pem"))
    assert sum("kept back" in warning for warning in warnings) == (3 if kept_back else 0)
    assert "s3cret" not in repr(options) + repr(warnings)
    assert refused({"url": "nonsense"}, profile).name == "url"


def test_a_call_keeps_its_own_secrets() -> None:
    options, warnings = resolve_options({"url": URL, "auth": "bearer mine"}, [Profile({"auth": "env:OURS"})])
    assert (options.auth, warnings) == ("bearer mine", [])


def test_the_url_of_a_profile_may_name_facts_of_the_call() -> None:
    facts = CallFacts(call_id="a@b", to_user="+49 30", headers=[("X-Tenant", "acme/1")])
    profile = Profile({"url": "wss://bot.example/{to_user}?c=${call_id}&t={header:x-tenant}"})
    options, _ = resolve_options({}, [profile], facts=facts)
    assert options.url == "wss://bot.example/%2B49%2030?c=a%40b&t=acme%2F1"
    assert resolve_options({}, [profile])[0].url == "wss://bot.example/?c=&t="
    assert refused({}, Profile({"url": "wss://bot.example/{password}"})).name == "url"


def test_the_url_of_a_call_is_no_template() -> None:
    options, _ = resolve_options({"url": "ws://bot.example/{call_id}"}, [], facts=CallFacts(call_id="x"))
    assert options.url == "ws://bot.example/{call_id}"


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
    assert options == StreamOptions(url=URL, heart_beat=5)
    assert warnings == ["hart_beat: no such option, ignored"]


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


def test_which_events_there_are_is_said_where_one_is_wrong() -> None:
    error = refused({"url": URL, "events": "dtmf,vda"})
    assert str(error) == "events: not a comma list of dtmf, vad, playback, stats, call, nor all or none"


def test_all_events_are_told() -> None:
    options, warnings = resolve_options({"url": URL, "events": "all"}, [])
    assert (options.events, warnings) == (frozenset(EventKind), [])


@pytest.mark.parametrize(
    ("url", "kept_back"),
    [("wss://bot.example/spare", False), ("ws://bot.example/", True), ("wss://evil.elsewhere/", True)],
)
def test_the_secrets_of_a_profile_go_to_no_fallback_of_the_callers_choice(url: str, kept_back: bool) -> None:
    profile = Profile({"url": "wss://bot.example/", **SECRETS})
    hosts = BotHosts(("bot.example",))
    options, _ = resolve_options({"on_bot_lost": f"fallback:{url}"}, [profile], hosts=hosts)
    assert options.auth == "bearer s3cret", "they still are for the first bot"
    spare = fallback_options(options)
    assert spare.url == url
    held = (spare.auth, spare.extra_headers, spare.tls_cert_file)
    assert held == ((None, {}, None) if kept_back else ("bearer s3cret", {"X-Key": "s3cret"}, "/us.pem"))
    assert msgspec.convert(msgspec.to_builtins(options), StreamOptions) == options


def test_what_the_call_has_given_itself_goes_to_its_fallback_and_a_profiles_secrets_to_that_of_the_profile() -> None:
    given_options = {"on_bot_lost": "fallback:ws://spare.example/", "auth": "bearer own"}
    assert fallback_options(resolve_options(given_options, [Profile({"url": URL})])[0]).auth == "bearer own"
    profile = Profile({"url": URL, "auth": "bearer s3cret", "on_bot_lost": "fallback:wss://spare.example/{to_user}"})
    spare = fallback_options(resolve_options({}, [profile], facts=CallFacts(to_user="a b"))[0])
    assert (spare.url, spare.auth) == ("wss://spare.example/a%20b", "bearer s3cret")


def test_where_the_url_is_locked_a_call_cannot_choose_a_fallback_either() -> None:
    locked = Profile({"url": URL}, frozenset({"url"}))
    error = refused({"on_bot_lost": "fallback:ws://evil.elsewhere/"}, locked)
    assert (error.name, error.sip_status) == ("on_bot_lost", 403)
    assert resolve_options({"on_bot_lost": "keep"}, [locked])[1] == []


def test_a_fallback_that_is_no_url_is_refused() -> None:
    assert refused({"url": URL, "on_bot_lost": "fallback:http://x"}).name == "on_bot_lost"
    assert refused({}, Profile({"url": URL, "on_bot_lost": "fallback:ws://{to_user}/"})).name == "on_bot_lost"
