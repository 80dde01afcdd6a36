"""Who may join a stream with another leg, and what that leg may say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.options import OptionError, Profile, StreamOptions, Track, check_locks, parse_option

JOIN_SECONDS = 30.0
"""For so long after its first leg a stream takes another."""

_OF_A_LEG = ("id", "call", "track")  # each leg says them for itself


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a stream is: only legs of the same owner may join."""

    host: str  # where the INVITE came from
    profile: str  # that was called; empty: the default one


@dataclass(frozen=True, slots=True)
class Joinable:
    """A stream that may be joined."""

    owner: Owner
    options: StreamOptions
    until: float
    tracks: frozenset[Track]  # that have a leg, or had one


def check_join(
    stream: Joinable, given: Mapping[str, str], profiles: Sequence[Profile], *, owner: Owner, now: float
) -> tuple[Track, list[str]]:
    """Return the voice that a leg carries, and warnings; raise `OptionError` if it may not join.

    Who has the ID alone is not let in: X- headers may be those of a stranger whom FreeSWITCH has put through.
    """
    check_locks(given, profiles)
    parsed = {name: parse_option(name, text)[0] for name, text in given.items()}
    is_open = stream.options.id is not None and stream.owner == owner
    if not is_open or parsed.get("call") != stream.options.call:
        raise OptionError("id", "is that of another call's stream", sip_status=403)
    if now > stream.until:
        raise OptionError("id", f"a stream is joined within {JOIN_SECONDS:.0f} s, or not at all", sip_status=403)
    track: Track = parsed.get("track") or Track.CALLER
    if track in stream.tracks:
        raise OptionError("track", f"the stream has its {track.value}'s leg already", sip_status=486)
    others = {name: value for name, value in parsed.items() if name not in _OF_A_LEG}
    return track, [
        f"{name}: {'no such option' if value is None else 'that of the first leg holds'}, ignored"
        for name, value in others.items()
        if value is None or value != getattr(stream.options, name)
    ]
