"""The options of a stream that is up: which of them can be others, and what follows from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bot_uri import parse_bot_uri
from sidecar.core.options import (
    CREDENTIALS,
    OptionError,
    StreamOptions,
    check_bot_host,
    parse_option,
)

CHANGEABLE = ("mix", "rate", "buffer_size", "url")


def changed_options(
    options: StreamOptions, given: Mapping[str, str], *, hosts: BotHosts
) -> tuple[StreamOptions, list[str]]:
    """Return the options as they are with what is given, by name, as text, and warnings; raise `OptionError`.

    What the bot says keeps its rate. Credentials go to another bot only where the operator has listed it.
    """
    parsed, warnings = {}, list[str]()
    for name, text in given.items():
        if name not in CHANGEABLE:
            raise OptionError(name, f"cannot be changed while the stream is up; {', '.join(CHANGEABLE)} can")
        parsed[name], more = parse_option(name, text)
        warnings += more
    changed = replace(options, sample_rate=options.playback_rate, **parsed)
    if "url" in parsed:
        check_bot_host("url", changed.url, hosts)
        if not (_same_bot(options.url, changed.url) or _is_listed(changed.url, hosts)):
            plain = StreamOptions(changed.url)
            withheld = [name for name in CREDENTIALS if getattr(options, name) != getattr(plain, name)]
            changed = replace(changed, **{name: getattr(plain, name) for name in withheld})
            warnings += [f"{name}: kept back, since the bot is another" for name in withheld]
    return changed, warnings


def _same_bot(one: str, other: str) -> bool:
    """Whether two URLs lead to the same port of the same host, and none with less protection."""
    first, second = parse_bot_uri(one), parse_bot_uri(other)
    return (first.secure, first.host, first.port) == (second.secure, second.host, second.port)


def _is_listed(url: str, hosts: BotHosts) -> bool:
    uri = parse_bot_uri(url)
    return uri.secure and hosts.lists(uri.host)
