"""Settings that cannot be used are refused at start, by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rtp import Codec
from sidecar.core.access import Scope
from sidecar.core.media_policy import SrtpPolicy
from sidecar.settings import SettingsError, load_settings, unused_variables
from tests.support.certificates import write_certificate


def test_ports_may_be_any_free_ones() -> None:
    settings = load_settings(values={"sip": {"port": 0}, "rtp": {"port": 0}})
    assert (settings.sip.port, settings.rtp.port) == (0, 0)


FULL = "0123456789abcdef"
PUBLISHED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("api", "why"),
    [
        ({"host": "0.0.0.0"}, r"^api: host is 0\.0\.0\.0, which others reach: that needs a token"),
        ({"host": "::", "tokens": {}}, "needs a token"),
        ({"tokens": {"ops": "short"}}, r"^api\.tokens: ops: .*16 characters"),
        ({"read_tokens": {"ops": "with spaces between"}}, "RFC 6750"),
        ({"tokens": {"ops": "env:NO_SUCH_VARIABLE"}}, "NO_SUCH_VARIABLE"),
        ({"tokens": {"ops": FULL}, "read_tokens": {"ops": FULL + "0"}}, "both have ops"),
        ({"requests_per_second": 0}, r"^api\.requests_per_second: "),
    ],
)
def test_a_rest_interface_that_is_not_safe_is_refused(api: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why) as error:
        load_settings(values={"api": api})
    assert FULL not in str(error.value)


def test_a_token_lets_others_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_API__TOKENS__OPS", FULL)
    monkeypatch.setenv("SIDECAR_API__HOST", "0.0.0.0")
    settings = load_settings()
    token = settings.api.access().find(b"Bearer " + FULL.encode())
    assert token is not None
    assert (token.name, token.scope) == ("ops", Scope.FULL)
    assert FULL not in repr(settings)
    assert load_settings(values={"api": {"enabled": False, "host": "0.0.0.0", "tokens": {"a": FULL}}})


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ({"url": "ftp://hooks.example.com/"}, r"^webhooks\.crm\.url: not an http"),
        ({"url": "https://user:password@hooks.example.com/"}, "neither user nor fragment"),
        ({"secret": "secret"}, r"^webhooks\.crm\.secret: .*whsec_"),
        ({"events": ["start", "strat"]}, r"^webhooks\.crm\.events: 'strat' is not one of connect, "),
        ({"url": "https://other.example.org/"}, r"^webhooks\.crm\.url: other\.example\.org is not in bot\.allow"),
    ],
)
def test_a_webhook_that_cannot_be_used_is_refused(hook: dict[str, Any], why: str) -> None:
    good = {"url": "https://hooks.example.com/a?b=c", "secret": PUBLISHED, "events": ["start", "stop"]}
    bot = {"allow": ["*.example.com"]}
    assert len(load_settings(values={"bot": bot, "webhooks": {"crm": good}}).webhooks["crm"].key()) == 24
    with pytest.raises(SettingsError, match=why) as error:
        load_settings(values={"bot": bot, "webhooks": {"crm": {**good, **hook}}})
    assert "password@" not in str(error.value)


def test_addresses_stay_text() -> None:
    values = {"sip": {"host": "0.0.0.0", "advertised": "192.0.2.10"}, "rtp": {"advertised": "192.0.2.11"}}
    settings = load_settings(values=values)
    assert (settings.sip.host, settings.sip.advertised, settings.rtp.advertised) == (
        "0.0.0.0",
        "192.0.2.10",
        "192.0.2.11",
    )


@pytest.mark.parametrize("section", ["sip", "rtp"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "localhost"),
        ("host", "fe80::1%eth0"),
        ("host", "::ffff:192.0.2.1"),
        ("host", "auto"),
        ("host", ""),
        ("host", "127.0.0.1:5060"),
        ("host", "127.1"),
        ("advertised", "sidecar.example.com"),
        ("advertised", ""),
        ("advertised", "0.0.0.0"),
        ("advertised", "::"),
        ("port", 70000),
        ("port", -1),
    ],
)
def test_what_is_no_address_or_port_is_refused_by_name(section: str, field: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"^{section}\.{field}: "):
        load_settings(values={section: {field: value}})


@pytest.mark.parametrize("field", ["host", "advertised"])
def test_sip_speaks_ipv6_and_media_does_not(field: str) -> None:
    settings = load_settings(values={"sip": {field: "2001:DB8:0::1"}})
    assert getattr(settings.sip, field) == "2001:db8::1"
    with pytest.raises(SettingsError, match=rf"^rtp\.{field}: .* is not an IPv4 address"):
        load_settings(values={"rtp": {field: "2001:db8::1"}})


def test_files_of_tls_are_tried_at_start(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    values: dict[str, Any] = {"tls_certificate": certificate, "tls_client_ca": certificate, "tls_ca": certificate}
    assert load_settings(values={"sip": values}).sip.tls_server() is not None
    missing = tmp_path / "missing.pem"
    for wrong, why in (
        ({"tls_certificate": missing}, "tls_certificate: .*missing.pem: No such file"),
        ({"tls_certificate": junk}, "tls_certificate, tls_key: no certificate and its key"),
        ({"tls_key": missing}, "tls_key: .*missing.pem: No such file"),
        ({"tls_key": junk}, "tls_certificate, tls_key: no certificate and its key"),
        ({"tls_client_ca": junk}, "tls_client_ca: .*junk.pem holds no certificates"),
        ({"tls_ca": tmp_path}, "tls_ca: .*: Is a directory"),
        ({"tls_certificate": None}, "tls_client_ca is of no use without tls_certificate"),
        ({"port": 6000, "tls_port": 6000}, "port and tls_port are both 6000"),
    ):
        with pytest.raises(SettingsError, match=rf"^sip: .*{why}"):
            load_settings(values={"sip": {**values, **wrong}})


def test_files_of_tls_for_rest_are_tried_at_start(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    settings = load_settings(values={"api": {"tls_certificate": certificate}, "directory": {"tls_ca": certificate}})
    assert settings.api.tls() is not None
    assert settings.api.url("::1", 8080) == "https://[::1]:8080"
    missing = tmp_path / "missing.pem"
    for section, wrong, why in (
        ("api", {"tls_certificate": missing}, "tls_certificate: .*missing.pem: No such file"),
        ("api", {"tls_key": certificate}, "tls_key is of no use without tls_certificate"),
        ("directory", {"tls_ca": missing}, "missing.pem: No such file"),
        ("directory", {"tls_name": "a b"}, "tls_name"),
    ):
        with pytest.raises(SettingsError, match=rf"{section}.*{why}"):
            load_settings(values={section: wrong})


def test_a_name_for_an_address_is_refused_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_RTP__HOST", "localhost")
    with pytest.raises(SettingsError, match=r"rtp\.host: .*'localhost' is not an IPv4 address"):
        load_settings()


def test_a_list_in_the_environment_that_is_no_json_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_SIP__ALLOW", "10.0.0.0/8")
    monkeypatch.setenv("SIDECAR_SIP__HOST", "127.0.0.1")
    with pytest.raises(SettingsError, match=r"^SIDECAR_SIP__ALLOW: .*JSON$"):
        load_settings()


def test_a_password_that_is_no_json_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_SIP__AUTH__USERS", "alice:tell-nobody")
    with pytest.raises(SettingsError, match=r"^SIDECAR_SIP__AUTH__USERS: ") as raised:
        load_settings()
    assert "tell-nobody" not in str(raised.value)


def test_a_variable_that_sets_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_PORT_5070_UDP", "udp://10.0.0.1:5070")  # as Kubernetes does for a service of that name
    monkeypatch.setenv("sidecar_sip__max_calls", "7")
    assert load_settings().sip.max_calls == 7
    monkeypatch.setenv("SIDECAR_SPI__PORT", "5070")
    with pytest.raises(SettingsError, match=r"^SIDECAR_SPI__PORT: there is no section spi$"):
        load_settings()
    monkeypatch.delenv("SIDECAR_SPI__PORT")
    monkeypatch.setenv("SIDECAR_SIP__PROT", "5070")
    with pytest.raises(SettingsError, match=r"^sip\.prot: "):
        load_settings()


@pytest.mark.parametrize(
    ("network", "why"),
    [("10.0.0.1/8", "10.0.0.1/8 has host bits set"), ("local", "'local' does not appear"), (5, "'5' does not appear")],
)
def test_a_network_that_is_none_is_named_once(network: object, why: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(values={"sip": {"allow": ["127.0.0.0/8", network, "::1"]}})
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"sip.allow.1: {why}")


@pytest.mark.parametrize(("calls", "allowed"), [(0, False), (1, True), (4096, True), (4097, False)])
def test_there_is_a_limit_to_the_calls(calls: int, allowed: bool) -> None:
    if allowed:
        assert load_settings(values={"sip": {"max_calls": calls}}).sip.max_calls == calls
    else:
        with pytest.raises(SettingsError, match=r"^sip\.max_calls: "):
            load_settings(values={"sip": {"max_calls": calls}})


def test_sip_and_rtp_need_a_port_each() -> None:
    with pytest.raises(SettingsError, match=r"sip\.port and rtp\.port are both 6000"):
        load_settings(values={"sip": {"port": 6000, "host": "0.0.0.0"}, "rtp": {"port": 6000}})
    load_settings(values={"sip": {"port": 6000, "host": "127.0.0.1"}, "rtp": {"port": 6000, "host": "127.0.0.2"}})


def test_sip_and_rest_need_a_port_each() -> None:
    with pytest.raises(SettingsError, match=r"sip\.port and api\.port are both 6000"):
        load_settings(values={"sip": {"port": 6000}, "api": {"port": 6000}})
    load_settings(values={"sip": {"port": 6000}, "api": {"port": 6000, "enabled": False}})
    load_settings(values={"sip": {"port": 6000, "host": "127.0.0.2"}, "api": {"port": 6000}})


@pytest.mark.parametrize("text", ["sip = 1", "[sip", "[nonsense]", "[sip]\nport = 'soon'", "[stream]\nrate = '7k'"])
def test_a_file_that_is_wrong_is_refused_in_words(text: str, tmp_path: Path) -> None:
    (tmp_path / "sidecar.toml").write_text(text)
    with pytest.raises(SettingsError):
        load_settings(tmp_path / "sidecar.toml")


def test_who_may_call_is_asked_for_a_password_only_if_there_are_users() -> None:
    assert load_settings(values={}).sip.credentials() is None
    settings = load_settings(values={"sip": {"auth": {"realm": "calls", "users": {"alice": "wonder land"}}}})
    credentials = settings.sip.credentials()
    assert credentials is not None
    assert (credentials.realm, credentials.passwords) == ("calls", {"alice": "wonder land"})
    assert "wonder" not in repr(settings) + str(settings) + repr(credentials) + settings.model_dump_json()


def test_a_password_may_be_in_the_environment_or_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE", "from environment")
    (tmp_path / "bob").write_text("from file\n")
    users = {"alice": "env:ALICE", "bob": f"file:{tmp_path / 'bob'}"}
    credentials = load_settings(values={"sip": {"auth": {"users": users}}}).sip.credentials()
    assert credentials is not None
    assert credentials.passwords == {"alice": "from environment", "bob": "from file"}


@pytest.mark.parametrize("password", ["", "env:NO_SUCH_VARIABLE", "file:/no/such/file", "file:/dev/null", 12])
def test_a_password_that_cannot_be_had_is_refused_by_name(password: Any) -> None:
    with pytest.raises(SettingsError, match=r"^sip\.auth\.users\.alice: "):
        load_settings(values={"sip": {"auth": {"users": {"alice": password}}}})


def test_a_password_that_is_no_text_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"sesame \xff")
    with pytest.raises(SettingsError) as refused:
        load_settings(values={"sip": {"auth": {"users": {"alice": f"file:{tmp_path / 'secret'}"}}}})
    assert "sesame" not in str(refused.value)


def test_times_and_limits_reach_the_sip_core() -> None:
    sip = load_settings(
        values={"sip": {"session_expires": 600, "min_se": 120, "requests_per_second": 5, "invites_per_second": 0.5}}
    ).sip
    assert (sip.timers().session_expires, sip.timers().min_se) == (600, 120)
    assert (sip.admission().requests_per_second, sip.admission().invites_per_second) == (5.0, 0.5)


def test_intervals_of_retransmission_grow() -> None:
    with pytest.raises(SettingsError, match=r"^sip: .*t1 is 2.0, and t2 1.0"):
        load_settings(values={"sip": {"t1": 2, "t2": 1}})


@pytest.mark.parametrize(("expires", "allowed"), [(0, True), (90, True), (89, False)])
def test_we_ask_for_no_session_that_we_would_refuse(expires: int, allowed: bool) -> None:
    if allowed:
        assert load_settings(values={"sip": {"session_expires": expires}}).sip.session_expires == expires
    else:
        with pytest.raises(SettingsError, match=r"^sip: .*session_expires is 89, and min_se 90"):
            load_settings(values={"sip": {"session_expires": expires}})


def test_codecs_are_known_by_their_names_of_sdp() -> None:
    settings = load_settings(values={"rtp": {"codecs": ["pcma", "L16/16000", "opus"]}})
    assert settings.rtp.codecs == (Codec.PCMA, Codec.L16_16K, Codec.OPUS)
    with pytest.raises(SettingsError, match=r"rtp\.codecs\.0: .*'G729' is none of PCMU, PCMA"):
        load_settings(values={"rtp": {"codecs": ["G729"]}})


def test_times_without_rtp_reach_the_worker_and_zero_is_never() -> None:
    rtp = load_settings(values={"rtp": {"timeout_start": 5, "timeout": 0}}).rtp
    assert (rtp.timeouts().first, rtp.timeouts().later) == (5.0, None)


@pytest.mark.parametrize("policy", list(SrtpPolicy))
def test_srtp_is_a_policy(policy: SrtpPolicy) -> None:
    assert load_settings(values={"rtp": {"srtp": policy.value}}).rtp.policy().srtp is policy


@pytest.mark.parametrize(
    ("rtp", "why"),
    [
        ({"port": 5069}, r"sip\.port, 5070, is that of RTCP"),
        ({"port": 5070}, r"sip\.port and rtp\.port are both 5070"),
        ({"mode": "ports", "port_min": 5000, "port_max": 6000}, r"sip\.port, 5070, is between"),
        ({"mode": "ports", "port_min": 20001, "port_max": 20002}, r"no pair of ports between 20001 and 20002"),
    ],
)
def test_ports_do_not_meet(rtp: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load_settings(values={"rtp": rtp})


def test_freeswitch_servers_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_FREESWITCH__MAIN__PASSWORD", "env:ESL_PASSWORD")
    monkeypatch.setenv("SIDECAR_FREESWITCH__MAIN__HOST", "10.0.0.5")
    monkeypatch.setenv("ESL_PASSWORD", "ClueCon")
    settings = load_settings(values={"freeswitch": {"spare": {"password": "x", "port": 8022}}})
    main, spare = settings.freeswitch["main"], settings.freeswitch["spare"]
    assert (main.host, main.port, main.password.get_secret_value()) == ("10.0.0.5", 8021, "ClueCon")
    assert (spare.host, spare.port) == ("127.0.0.1", 8022)
    assert "ClueCon" not in repr(settings)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"password": ""},
        {"password": "a\nb"},
        {"password": "x", "host": "a b"},
        {"password": "x", "host": "a..b"},
        {"password": "x", "port": 0},
        {"password": "x", "dial": "sofia/external/sip:x@host,{user}"},
        {"password": "x", "dial": "sofia/external/sip:x@host &park"},
    ],
)
def test_a_freeswitch_that_cannot_be_reached_or_told_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"freeswitch\.main"):
        load_settings(values={"freeswitch": {"main": given}})


@pytest.mark.parametrize(
    ("directory", "api", "wrong"),
    [
        ({"url": "http://redis/"}, {}, r"^directory\.url: is not redis://"),
        ({"url": "redis://redis/", "name": "a b"}, {}, r"^directory\.name: "),
        ({"url": "redis://redis/", "lease": 1}, {}, r"^directory\.lease: "),
        ({"url": "redis://redis/", "address": "10.0.0.1:8080"}, {}, r"^directory\.address: is not http://HOST:PORT"),
        ({"url": "redis://redis/", "address": "http://h/v1"}, {}, r"^directory\.address: is not http://HOST:PORT"),
        ({"url": "redis://:zz#z@redis/0"}, {}, r"^directory\.url: is not a URL: (?!.*zz).*%23"),
        ({"url": "redis://me:12/zz@redis/0"}, {}, r"^directory\.url: is not a URL: (?!.*zz).*%2F"),
        ({"url": "rediss://me:12?zz@redis"}, {}, r"^directory\.url: is not a URL: (?!.*zz)"),
        ({"url": "redis://me:12#zz@redis"}, {}, r"^directory\.url: is not a URL: (?!.*zz)"),
        ({"url": "unix://me:12/zz@/run/redis"}, {}, r"^directory\.url: is not a URL: (?!.*zz)"),
        ({"url": "redis://:zz@redis/0?db=x"}, {}, r"^directory\.url: (?!.*zz).*'db'"),
        ({"url": "redis://redis/"}, {}, r"directory\.address is needed: api\.host, 127\.0\.0\.1"),
        (
            {"url": "redis://redis/", "address": "http://h:1"},
            {"enabled": False},
            r"directory\.url: .*api\.enabled is false",
        ),
        ({"url": "redis://redis/"}, {"host": "0.0.0.0", "tokens": {"a": "x" * 16}}, r"directory\.address is needed"),
    ],
)
def test_a_directory_that_cannot_be_used_is_named(
    directory: dict[str, object], api: dict[str, object], wrong: str
) -> None:
    with pytest.raises(SettingsError, match=wrong):
        load_settings(values={"directory": directory, "api": api})


def test_variables_that_set_nothing_are_found() -> None:
    names = [
        "SIDECAR_WORKERS",
        "SIDECAR_SIP__PORT",
        "SIDECAR_SIP_PORT",
        "SIDECAR_WORKERZ",
        "sidecar_drain_timeout",
        "PATH",
    ]
    assert unused_variables(names) == ["SIDECAR_SIP_PORT", "SIDECAR_WORKERZ"]


def test_the_password_of_the_directory_is_not_shown() -> None:
    settings = load_settings(
        values={"directory": {"url": "redis://:hidden@redis/", "address": "http://10.0.0.1:8080/"}}
    )
    assert "hidden" not in repr(settings)
    assert settings.directory.address == "http://10.0.0.1:8080"


@pytest.mark.parametrize("url", ["unix:///run/redis@1.sock", "redis://:a%2Fb@redis/0", "rediss://me:a%40b@redis:1/2"])
def test_a_directory_may_be_at(url: str) -> None:
    settings = load_settings(values={"directory": {"url": url, "address": "http://10.0.0.1:8080/"}})
    assert settings.directory.url is not None
    assert settings.directory.url.get_secret_value() == url


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.exporter.otlp.proto.http"]
)
def test_traces_need_all_of_their_packages(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    values = {"traces": {"endpoint": "http://127.0.0.1:4318/v1/traces"}}
    load_settings(values=values)
    for module in list(sys.modules):
        if module.startswith(f"{missing}."):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError, match=r"^traces\.endpoint: .*audio-stream-sidecar\[otel\]"):
        load_settings(values=values)
