"""URLs of profiles that name facts of the call: `wss://bot.example/{to_user}?id=${call_id}`."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from sidecar.core.call_facts import CallFacts

_PLACE = re.compile(r"\$?\{([^{}]*)\}")
_ORIGIN = re.compile(r"[^/?]*//[^/?]*")


def expand_url(template: str, facts: CallFacts) -> str:
    """Fill in the facts, percent-encoded; raise ValueError if that cannot be done safely.

    A fact never chooses the host, and never climbs up the path: the caller has made it up.
    """
    if "{" not in template and "}" not in template:
        return template
    origin = match[0] if (match := _ORIGIN.match(template)) else ""
    if "{" in origin or "}" in origin:
        raise ValueError("a template may not stand in the host")
    rest = template[len(origin) :]
    filled = _PLACE.sub(lambda place: quote(facts.value(place[1]), safe="", errors="surrogateescape"), rest)
    if "{" in filled or "}" in filled:
        raise ValueError("a brace of the template has no partner")
    if any(unquote(segment) in (".", "..") for segment in filled.partition("?")[0].split("/")):
        raise ValueError("a path with . or .. cannot be made of the call")
    return origin + filled
