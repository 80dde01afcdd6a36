"""Codecs by their names in settings and SDP."""

from __future__ import annotations

import pytest

from rtp import Codec
from sidecar.core.codecs import ALL_CODECS, codec_named, name_of, sdp_codecs


def test_each_codec_has_a_name() -> None:
    assert set(ALL_CODECS) == set(Codec)
    for codec in ALL_CODECS:
        assert codec_named(name_of(codec)) is codec
        assert codec_named(name_of(codec).lower()) is codec
    assert codec_named("opus/48000") is Codec.OPUS
    assert codec_named("l16") is Codec.L16_16K


@pytest.mark.parametrize("name", ["", "PCMX", "PCMU/16000", "L16/44100"])
def test_another_name_is_an_error_that_says_which_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=r"is none of PCMU, PCMA, G722, opus, L16/16000, L16/8000"):
        codec_named(name)


def test_sdp_says_what_rfc_7587_wants_of_opus_and_offers_comfort_noise() -> None:
    (opus, noise) = sdp_codecs([Codec.OPUS])
    assert (str(opus), opus.fmtp) == ("opus/48000/2", "useinbandfec=1")
    assert str(noise) == "CN/8000"
