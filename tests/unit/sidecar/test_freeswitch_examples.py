"""What `sidecar freeswitch` prints."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import lupa.lua53
import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.core.options import StreamOptions
from sidecar.freeswitch_examples import NAMES, example
from sidecar.settings import Settings, load_settings

EXAMPLES = Path(__file__).parents[3] / "examples" / "freeswitch"
XML = [name for name in NAMES if name.endswith(".xml")]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_those_of_the_default_configuration(name: str) -> None:
    assert example(name, Settings()) == (EXAMPLES / name).read_text()


def test_there_are_no_others() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.suffix != ".md") == sorted(NAMES)


@pytest.mark.parametrize("name", XML)
def test_a_dialplan_is_well_formed_whatever_the_url(name: str) -> None:
    settings = load_settings(
        values={
            "sip": {"host": "0.0.0.0", "advertised": "192.0.2.7", "port": 5080},
            "rtp": {"codecs": ["G722"]},
            "stream": {"url": 'wss://bot/?a=1&b="2"'},
        }
    )
    text = example(name, settings)
    said = " ".join(action.get("data", "") for action in ElementTree.fromstring(text).iter("action"))  # noqa: S314  our own
    assert "bot@192.0.2.7:5080" in said
    assert 'wss://bot/?a=1&b="2"' in said
    assert "PCMU" not in said.replace("absolute_codec_string=G722", "")
    assert "127.0.0.1" not in said


def test_the_script_finds_the_rest_interface_and_its_token() -> None:
    api = {"host": "192.0.2.7", "port": 8090, "tokens": {"freeswitch": "x" * 32}}
    text = example("uuid_audio_stream.lua", load_settings(values={"api": api}))
    assert 'local SIDECAR = "http://192.0.2.7:8090"' in text
    assert 'local TOKEN_FILE = "/etc/freeswitch/sidecar.token" -- what follows "Bearer"' in text
    assert "x" * 32 not in text


@pytest.mark.parametrize("tokens", [{}, {"freeswitch": "x" * 32}], ids=["no token", "a token"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_script_is_lua(host: str, tokens: dict[str, str]) -> None:
    settings = load_settings(values={"api": {"host": host, "tokens": tokens}})
    lupa.lua53.LuaRuntime().compile(example("uuid_audio_stream.lua", settings))


@pytest.mark.parametrize("option", [each.name for each in fields(StreamOptions)])
def test_the_script_knows_each_option_of_an_attached_stream(option: str) -> None:
    given = f'"{option}"' in example("uuid_audio_stream.lua", Settings())
    arguments, of_other_calls = ("url", "mix", "rate", "call"), ("answer", "track")
    assert given == (option not in (*arguments, *of_other_calls))


def test_a_url_that_names_the_call_is_left_to_the_profile() -> None:
    settings = load_settings(values={"stream": {"url": "wss://bot/{call_id}"}})
    assert "ws://127.0.0.1:8765/" in example("10_bot_bridge.xml", settings)


def test_the_command_prints_all_or_one() -> None:
    runner = CliRunner()
    everything = runner.invoke(app, ["freeswitch"]).output
    assert all(f"==> {name} <==" in everything for name in NAMES)
    assert runner.invoke(app, ["freeswitch", NAMES[0]]).output.startswith("<include>")
    assert runner.invoke(app, ["freeswitch", "nothing.xml"]).exit_code == 2
