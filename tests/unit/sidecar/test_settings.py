"""Settings that cannot be used are refused at start, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.settings import SettingsError, load_settings


def test_ports_may_be_any_free_ones() -> None:
    settings = load_settings(values={"sip": {"port": 0}, "rtp": {"port": 0}})
    assert (settings.sip.port, settings.rtp.port) == (0, 0)


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
        ("host", "::1"),
        ("host", ""),
        ("host", "127.0.0.1:5060"),
        ("host", "127.1"),
        ("advertised", "sidecar.example.com"),
        ("advertised", "2001:db8::1"),
        ("advertised", ""),
        ("advertised", "0.0.0.0"),
        ("port", 70000),
        ("port", -1),
    ],
)
def test_what_is_no_address_or_port_is_refused_by_name(section: str, field: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"^{section}\.{field}: "):
        load_settings(values={section: {field: value}})


def test_a_name_for_an_address_is_refused_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_RTP__HOST", "localhost")
    with pytest.raises(SettingsError, match=r"rtp\.host: .*'localhost' is not an IPv4 address"):
        load_settings()


def test_a_list_in_the_environment_that_is_no_json_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_SIP__ALLOW", "10.0.0.0/8")
    with pytest.raises(SettingsError, match=r'"sip".*JSON'):
        load_settings()


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


@pytest.mark.parametrize("text", ["sip = 1", "[sip", "[nonsense]", "[sip]\nport = 'soon'", "[stream]\nrate = '7k'"])
def test_a_file_that_is_wrong_is_refused_in_words(text: str, tmp_path: Path) -> None:
    (tmp_path / "sidecar.toml").write_text(text)
    with pytest.raises(SettingsError):
        load_settings(tmp_path / "sidecar.toml")
