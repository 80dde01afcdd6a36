"""Dialplan and script for FreeSWITCH as a configuration needs them; examples/freeswitch has those for the default."""

from __future__ import annotations

from importlib.resources import files
from ipaddress import ip_address
from xml.sax.saxutils import escape

from rtp import Codec
from sidecar.io.network import AUTO, own_address
from sidecar.settings import Settings
from sip.grammar import format_host_port

NAMES = ("10_bot_bridge.xml", "20_bot_eavesdrop.xml", "30_bot_failover.xml", "uuid_audio_stream.lua")

_SIP, _URL, _CODEC = "127.0.0.1:5070", "ws://127.0.0.1:8765/", "absolute_codec_string=PCMU"
_API, _TOKEN_FILE = "http://127.0.0.1:8080", '"/etc/freeswitch/sidecar.token"'
_NO_TOKEN = f"nil -- {_TOKEN_FILE}:"


def example(name: str, settings: Settings) -> str:
    """Return a file of the examples for a configuration."""
    text = (files("sidecar") / "examples" / name).read_text(encoding="utf-8")
    for default, configured in _replacements(settings).items():
        text = text.replace(default, configured)
    return text


def _replacements(settings: Settings) -> dict[str, str]:
    sip, api, codecs = settings.sip, settings.api, settings.rtp.codecs
    host = _reachable(sip.host) if sip.advertised == AUTO else sip.advertised
    url = settings.stream.profile().options.get("url", _URL)
    codec = "PCMU" if not codecs or Codec.PCMU in codecs else codecs[0].encoding
    return {
        _SIP: format_host_port(host, sip.port),
        _URL: _URL if "{" in url else escape(url, {'"': "&quot;"}),
        _CODEC: f"absolute_codec_string={codec}",
        _API: api.url(_reachable(api.host), api.port),
        _NO_TOKEN: f"{_TOKEN_FILE} --" if api.tokens else _NO_TOKEN,
    }


def _reachable(host: str) -> str:
    return own_address(host) if ip_address(host).is_unspecified else host
