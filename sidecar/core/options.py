"""The options of a stream: one table, from which every spelling is derived (docs/options.md).

A field of `StreamOptions` is an option. Its name in capitals behind `X-STREAM_` is the SIP header, behind
`SIDECAR_STREAM__` the environment variable; as it stands it is the key of a profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any

from rtp import FRAME_MS
from sidecar.core import option_values as values
from sidecar.core.authorization import secret_source
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_loss import FALLBACK, BotLoss, fallback_url, parse_bot_loss
from sidecar.core.bot_uri import parse_bot_uri
from sidecar.core.call_facts import CallFacts
from sidecar.core.url_template import expand_url

_HEADER_PREFIX = "x_stream_"
_LATER = frozenset(("dialect",))  # read and checked, but not obeyed yet
CREDENTIALS = ("auth", "tls_cert_file", "tls_key_file", "extra_headers")


class MixMode(Enum):
    """Whose voice the bot hears."""

    MONO = "mono"  # the caller
    CALLEE = "callee"
    MIXED = "mixed"  # both, summed
    STEREO = "stereo"  # left the caller, right the callee


class AnswerMode(Enum):
    """When the INVITE is answered."""

    CONNECTED = "connected"  # once the bot is connected
    IMMEDIATE = "immediate"
    EARLY = "early"  # 183 at once, 200 when the bot says so


class Dialect(Enum):
    """The WebSocket protocol that is spoken."""

    MOD_AUDIO_STREAM = "mod_audio_stream"
    TWILIO = "twilio"
    VONAGE = "vonage"
    JAMBONZ = "jambonz"
    EXOTEL = "exotel"


class AfterClose(Enum):
    """What becomes of the call when the bot has closed."""

    HANGUP = "hangup"
    KEEP = "keep"


class BargeIn(Enum):
    """What the caller's speech does to playback."""

    OFF = "off"
    CLEAR = "clear"
    DUCK = "duck"


class Inject(Enum):
    """Who hears the bot, on a stream attached to a live call."""

    CALLER = "caller"
    CALLEE = "callee"
    BOTH = "both"
    NONE = "none"


class EventKind(Enum):
    """What the bot is told unasked."""

    DTMF = "dtmf"
    VAD = "vad"
    PLAYBACK = "playback"
    STATS = "stats"
    CALL = "call"


class Track(Enum):
    """Whose voice a leg carries."""

    CALLER = "caller"
    CALLEE = "callee"


class OptionError(Exception):
    """An option cannot be taken as it was given."""

    def __init__(self, name: str, reason: str, *, sip_status: int = 400) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
        self.sip_status = sip_status


def _option(parse: Callable[[str], Any], **default: Any) -> Any:
    return field(metadata={"parse": parse}, **default)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How one call is streamed. What may hold a secret is left out of its repr."""

    url: str = _option(values.url, repr=False)
    mix: MixMode = _option(values.one_of(MixMode), default=MixMode.MONO)
    rate: int = _option(values.rate, default=8000)  # Hz
    sample_rate: int | None = _option(values.rate, default=None)  # Hz, of the bot's audio; None: as `rate`
    metadata: str | None = _option(values.utf_8, default=None)
    dialect: Dialect = _option(values.one_of(Dialect), default=Dialect.MOD_AUDIO_STREAM)
    buffer_size: int = _option(values.buffer_size, default=FRAME_MS)  # ms
    message_deflate: bool = _option(values.switch, default=True)  # True DISABLES it, as in mod_audio_stream
    heart_beat: int = _option(values.number(0, 3600, "s"), default=20)  # s; 0: none
    suppress_log: bool = _option(values.switch, default=False)
    extra_headers: dict[str, str] = _option(values.extra_headers, default_factory=dict, repr=False)
    auth: str | None = _option(values.auth, default=None, repr=False)
    tls_ca_file: str = _option(values.ca_file, default="SYSTEM")  # or NONE, or a path
    tls_cert_file: str | None = _option(values.path, default=None)
    tls_key_file: str | None = _option(values.path, default=None)
    tls_disable_hostname_validation: bool = _option(values.switch, default=False)
    no_reconnect: bool = _option(values.switch, default=False)
    reconnect_max: int = _option(values.number(0, 3600, "s"), default=30)  # s
    replay: int = _option(values.number(0, 10_000, "ms"), default=2000)  # ms
    on_bot_lost: BotLoss = _option(parse_bot_loss, default=BotLoss(), repr=False)
    on_bot_close: AfterClose = _option(values.one_of(AfterClose), default=AfterClose.HANGUP)
    answer: AnswerMode = _option(values.one_of(AnswerMode), default=AnswerMode.CONNECTED)
    playback: bool = _option(values.switch, default=True)
    barge_in: BargeIn = _option(values.one_of(BargeIn), default=BargeIn.OFF)
    inject: Inject = _option(values.one_of(Inject), default=Inject.CALLER)
    preroll: int = _option(values.number(0, 1000, "ms"), default=60)  # ms
    playback_max: int = _option(values.number(1, 3600, "s"), default=600)  # s
    events: frozenset[EventKind] = _option(values.some_of(EventKind), default=frozenset())
    call: str | None = _option(values.name, default=None)
    id: str | None = _option(values.stream_id, default=None)
    track: Track | None = _option(values.one_of(Track), default=None)  # None: the caller, of a call that ends here

    @property
    def playback_rate(self) -> int:
        """The rate of the bot's audio, in Hz."""
        return self.sample_rate or self.rate

    @property
    def plays(self) -> bool:
        """Whether anybody hears the bot."""
        return self.playback and self.inject is not Inject.NONE


_PARSERS: Mapping[str, Callable[[str], Any]] = {each.name: each.metadata["parse"] for each in fields(StreamOptions)}


@dataclass(frozen=True, slots=True)
class Profile:
    """Options by name, as text, and those of them that a call may not set."""

    options: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()


def options_from_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Pick the options out of a request's headers: `X-STREAM_NAME`, in any case, `-` and `_` the same."""
    found = {}
    for header, value in headers:
        name = header.lower().replace("-", "_")
        if name.startswith(_HEADER_PREFIX) and value:  # FreeSWITCH sends empty headers for variables that are empty
            found[name.removeprefix(_HEADER_PREFIX)] = value
    return found


def resolve_options(
    given: Mapping[str, str],
    profiles: Sequence[Profile],
    *,
    facts: CallFacts | None = None,
    hosts: BotHosts | None = None,
) -> tuple[StreamOptions, list[str]]:
    """Return the options of a call and warnings: what the call gave goes first, then the profiles in their order.

    `facts` fill the templates of the profiles' URL; `hosts` tells which bots the profiles' credentials may go to when
    the call has chosen the URL. Raise `OptionError` for a value that is not valid, for what a call may not set (403),
    and for a missing URL.
    """
    check_locks(given, profiles)
    for name, text in given.items():
        if (
            name == "on_bot_lost"
            and fallback_url(text) is not None
            and any("url" in profile.locked for profile in profiles)
        ):
            raise OptionError(name, "the url is locked by the profile", sip_status=403)
        _check_given(name, text, given)
    merged: dict[str, str] = {}
    for profile in reversed(profiles):
        merged.update(profile.options)
    warnings = _withhold_credentials(merged, given, hosts or BotHosts()) if "url" in given else []
    _fill_in(merged, given, facts or CallFacts())
    parsed = {}
    for name, text in {**merged, **given}.items():
        if name not in _PARSERS:
            warnings.append(f"{name}: no such option, ignored")
            continue
        parsed[name], more = parse_option(name, text)
        warnings += more
        if name in _LATER:
            warnings.append(f"{name}: not supported yet, ignored")
    if "url" not in parsed:
        raise OptionError("url", "missing")
    options = StreamOptions(**parsed)
    if "on_bot_lost" in given:
        options = _keep_from_fallback(options, merged, given, hosts or BotHosts())
    return options, warnings + _tls_warnings(options)


def check_locks(given: Mapping[str, str], profiles: Sequence[Profile]) -> None:
    """Raise `OptionError` if a call has given what a profile locks."""
    for name in given:
        if any(name in profile.locked for profile in profiles):
            raise OptionError(name, "locked by the profile", sip_status=403)


def parse_option(name: str, text: str) -> tuple[Any, list[str]]:
    """Return the value of an option, and warnings; None if there is no such option.

    Raise `OptionError` if it has no value of that kind.
    """
    if name not in _PARSERS:
        return None, []
    value = _parsed(name, text, _PARSERS[name])
    if name == "buffer_size" and int(text) % FRAME_MS:
        return value, [f"buffer_size: not a multiple of {FRAME_MS} ms, {FRAME_MS} is used"]
    return value, []


def check_bot_host(name: str, url: str, hosts: BotHosts) -> None:
    """Raise `OptionError` (403) if the bot of a URL may not be called."""
    host = parse_bot_uri(url).host
    if not hosts.allows_host(host):
        raise OptionError(name, f"{host} is not an allowed bot host", sip_status=403)


def fallback_options(options: StreamOptions) -> StreamOptions:
    """Return the options of the bot that takes over: the same but for its URL, and the secrets that are not for it."""
    loss = options.on_bot_lost
    assert loss.url is not None
    plain = StreamOptions(loss.url)
    return replace(options, url=loss.url, **{name: getattr(plain, name) for name in loss.withheld})


def _fill_in(merged: dict[str, str], given: Mapping[str, str], facts: CallFacts) -> None:
    """Fill in the templates of the profiles' URLs, where the call does not bring its own."""
    if "url" in merged and "url" not in given:
        merged["url"] = _parsed("url", merged["url"], lambda text: expand_url(text, facts))
    fallback = fallback_url(merged.get("on_bot_lost", ""))
    if fallback is not None and "on_bot_lost" not in given:
        merged["on_bot_lost"] = FALLBACK + _parsed("on_bot_lost", fallback, lambda text: expand_url(text, facts))


def _parsed(name: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise OptionError(name, str(error)) from None


def _check_given(name: str, text: str, given: Mapping[str, str]) -> None:
    """Refuse what only profiles may say: a call must not read files and variables of ours, nor expose their bots."""
    reads = (name == "auth" and secret_source(text) is not None) or name in ("tls_cert_file", "tls_key_file")
    if reads or (name == "tls_ca_file" and text.strip().upper() not in ("SYSTEM", "NONE")):
        raise OptionError(name, "only a profile may name files and variables", sip_status=403)
    if _weakens(name, text) and "url" not in given:
        raise OptionError(name, "a call may weaken TLS for a URL of its own only", sip_status=403)


def _withhold_credentials(merged: dict[str, str], given: Mapping[str, str], hosts: BotHosts) -> list[str]:
    """Take the profiles' credentials away from a bot that is the caller's choice; return warnings."""
    if _is_trusted(given["url"], given, hosts):
        return []
    withheld = [name for name in CREDENTIALS if merged.pop(name, None) is not None and name not in given]
    return [f"{name}: kept back, since the call has chosen the URL" for name in withheld]


def _keep_from_fallback(
    options: StreamOptions, merged: Mapping[str, str], given: Mapping[str, str], hosts: BotHosts
) -> StreamOptions:
    """Keep the profiles' credentials from a fallback that is the caller's choice, as from such a URL."""
    loss = options.on_bot_lost
    if loss.url is None or _is_trusted(loss.url, given, hosts):
        return options
    withheld = tuple(name for name in CREDENTIALS if name in merged and name not in given)
    return replace(options, on_bot_lost=replace(loss, withheld=withheld))


def _is_trusted(url: str, given: Mapping[str, str], hosts: BotHosts) -> bool:
    """Whether the operator knows who is at a URL of the call's choice."""
    is_sure = url[:6].lower() == "wss://" and not any(_weakens(*each) for each in given.items())
    return is_sure and hosts.lists(_parsed("url", url, parse_bot_uri).host)


def _weakens(name: str, text: str) -> bool:
    if name == "tls_disable_hostname_validation":
        return text.strip().lower() in ("true", "1", "yes", "on")
    return name == "tls_ca_file" and text.strip().upper() == "NONE"


def _tls_warnings(options: StreamOptions) -> list[str]:
    if options.tls_key_file is not None and options.tls_cert_file is None:
        raise OptionError("tls_key_file", "there is no tls_cert_file for it")
    if options.tls_ca_file == "NONE":
        return ["tls_ca_file: NONE, so anybody may be the bot"]
    if options.tls_disable_hostname_validation:
        return ["tls_disable_hostname_validation: whoever has a certificate may be the bot"]
    return []
