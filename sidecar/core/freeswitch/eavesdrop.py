"""Which legs listen to a call, and what each hears and says, in the words of FreeSWITCH's `eavesdrop`.

`eavesdrop` gives a leg one mono signal: what the call says, what it hears, or both. A leg is heard only in a direction
that it listens to. So the two voices apart, or one voice and a bot that the same party hears, take two legs.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.options import Inject, MixMode, StreamOptions, Track

_SAYS, _HEARS = "eavesdrop_bridge_aleg", "eavesdrop_bridge_bleg"  # the side that is listened to; neither: both
_INTO_CALL, _INTO_OTHER = "eavesdrop_whisper_bleg", "eavesdrop_whisper_aleg"  # who hears the leg


@dataclass(frozen=True, slots=True)
class EavesdropLeg:
    """One leg: whose voice it carries, and the variables that make FreeSWITCH send that."""

    track: Track
    variables: tuple[tuple[str, str], ...]


def eavesdrop_legs(options: StreamOptions) -> list[EavesdropLeg]:
    """Return the legs of a stream: one where that will do."""
    inject = options.inject if options.playback else Inject.NONE
    whispers = {
        Track.CALLER: (_INTO_OTHER,) if inject in (Inject.CALLEE, Inject.BOTH) else (),
        Track.CALLEE: (_INTO_CALL,) if inject in (Inject.CALLER, Inject.BOTH) else (),
    }
    if options.mix is MixMode.MIXED:
        return [_leg(Track.CALLER, *whispers[Track.CALLER], *whispers[Track.CALLEE])]
    heard = {
        MixMode.MONO: {Track.CALLER},
        MixMode.CALLEE: {Track.CALLEE},
        MixMode.STEREO: {Track.CALLER, Track.CALLEE},
    }[options.mix]
    sides = {Track.CALLER: _SAYS, Track.CALLEE: _HEARS}
    return [_leg(track, side, *whispers[track]) for track, side in sides.items() if track in heard or whispers[track]]


def _leg(track: Track, *names: str) -> EavesdropLeg:
    return EavesdropLeg(track, tuple((name, "true") for name in names))
