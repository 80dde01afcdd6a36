"""Options of a stream that is up."""

from __future__ import annotations

import pytest

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.option_change import changed_options
from sidecar.core.options import MixMode, OptionError, StreamOptions

OPTIONS = StreamOptions("wss://bot.example/ws", auth="bearer abc", extra_headers={"X-Key": "1"})
LISTED = BotHosts(("bot.example", "other.example"))


def test_the_format_changes_and_what_the_bot_says_keeps_its_rate() -> None:
    given = {"mix": "stereo", "rate": "16k", "buffer_size": "100"}
    changed, warnings = changed_options(OPTIONS, given, hosts=BotHosts())
    assert (changed.mix, changed.rate, changed.buffer_size) == (MixMode.STEREO, 16000, 100)
    assert (changed.playback_rate, changed.url, changed.auth) == (8000, OPTIONS.url, OPTIONS.auth)
    assert warnings == []


def test_a_size_that_does_not_fit_is_warned_of() -> None:
    changed, warnings = changed_options(OPTIONS, {"buffer_size": "30"}, hosts=BotHosts())
    assert changed.buffer_size == 20
    assert warnings == ["buffer_size: not a multiple of 20 ms, 20 is used"]


@pytest.mark.parametrize(
    ("url", "hosts", "keeps"),
    [
        ("wss://bot.example/other?a=b", BotHosts(), True),
        ("wss://bot.example:444/ws", BotHosts(), False),
        ("ws://bot.example/ws", LISTED, False),
        ("wss://other.example/ws", BotHosts(), False),
        ("wss://other.example/ws", LISTED, True),
    ],
)
def test_secrets_go_to_who_is_known(url: str, hosts: BotHosts, keeps: bool) -> None:
    changed, warnings = changed_options(OPTIONS, {"url": url}, hosts=hosts)
    assert changed.url == url
    assert (changed.auth, changed.extra_headers) == ((OPTIONS.auth, OPTIONS.extra_headers) if keeps else (None, {}))
    kept_back = ["auth: kept back, since the bot is another", "extra_headers: kept back, since the bot is another"]
    assert warnings == ([] if keeps else kept_back)


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [("auth", "bearer x", 400), ("rate", "7k", 400), ("url", "http://a", 400), ("url", "ws://elsewhere/", 403)],
)
def test_what_cannot_be_is_named(name: str, text: str, status: int) -> None:
    with pytest.raises(OptionError) as raised:
        changed_options(OPTIONS, {name: text}, hosts=BotHosts(("bot.example",), strict=True))
    assert (raised.value.name, raised.value.sip_status) == (name, status)
