"""Which legs a stream takes. Who hears what of them was measured with FreeSWITCH 1.10.12 (docs/freeswitch.md)."""

from __future__ import annotations

import pytest

from sidecar.core.freeswitch.eavesdrop import EavesdropLeg, eavesdrop_legs
from sidecar.core.options import Inject, MixMode, StreamOptions, Track

# who hears what a leg says, by its variables: the call (bleg) and its other party (aleg), if it listens to that side
HEARD = {
    (): (set(), {"caller", "callee"}),
    ("bridge_aleg",): (set(), {"caller"}),
    ("bridge_bleg",): (set(), {"callee"}),
    ("whisper_bleg",): ({"caller"}, {"caller", "callee"}),
    ("whisper_aleg",): ({"callee"}, {"caller", "callee"}),
    ("whisper_aleg", "whisper_bleg"): ({"caller", "callee"}, {"caller", "callee"}),
    ("bridge_bleg", "whisper_bleg"): ({"caller"}, {"callee"}),
    ("bridge_aleg", "whisper_aleg"): ({"callee"}, {"caller"}),
}


def words(leg: EavesdropLeg) -> tuple[str, ...]:
    return tuple(name.removeprefix("eavesdrop_") for name, _ in leg.variables)


@pytest.mark.parametrize("mix", MixMode)
@pytest.mark.parametrize("inject", Inject)
def test_every_mix_and_every_injection_is_what_it_says(mix: MixMode, inject: Inject) -> None:
    legs = eavesdrop_legs(StreamOptions("ws://bot", mix=mix, inject=inject))
    spoken_to = set().union(*(HEARD[words(leg)][0] for leg in legs))
    assert (
        spoken_to
        == {"caller": {"caller"}, "callee": {"callee"}, "both": {"caller", "callee"}, "none": set()}[inject.value]
    )
    for leg in legs:
        if mix is not MixMode.MIXED:
            assert HEARD[words(leg)][1] == {leg.track.value}
    tracks = {leg.track for leg in legs}
    if mix is MixMode.MIXED:
        assert [HEARD[words(leg)][1] for leg in legs] == [{"caller", "callee"}]
    elif mix is MixMode.STEREO:
        assert tracks == {Track.CALLER, Track.CALLEE}
    else:
        assert {"mono": Track.CALLER, "callee": Track.CALLEE}[mix.value] in tracks


@pytest.mark.parametrize(
    ("mix", "inject", "legs"),
    [
        (MixMode.MIXED, Inject.BOTH, 1),
        (MixMode.MONO, Inject.NONE, 1),
        (MixMode.MONO, Inject.CALLEE, 1),
        (MixMode.MONO, Inject.CALLER, 2),
        (MixMode.CALLEE, Inject.CALLER, 1),
        (MixMode.STEREO, Inject.NONE, 2),
    ],
)
def test_there_are_no_more_legs_than_it_takes(mix: MixMode, inject: Inject, legs: int) -> None:
    assert len(eavesdrop_legs(StreamOptions("ws://bot", mix=mix, inject=inject))) == legs


def test_who_plays_nothing_injects_nothing() -> None:
    (leg,) = eavesdrop_legs(StreamOptions("ws://bot", playback=False))
    assert words(leg) == ("bridge_aleg",)
