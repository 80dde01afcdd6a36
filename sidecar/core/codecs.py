"""The codecs of a call by the names that settings and SDP have for them."""

from __future__ import annotations

from collections.abc import Sequence

from rtp import Codec
from sip import Codec as SdpCodec

ALL_CODECS = (Codec.PCMU, Codec.PCMA, Codec.G722, Codec.OPUS, Codec.L16_16K, Codec.L16_8K)

_COMFORT_NOISE = SdpCodec("CN", 8000)


def codec_named(name: str) -> Codec:
    """Return the codec of an encoding name, with its clock rate where it has several: `PCMU`, `L16/16000`.

    Raise ValueError if there is none.
    """
    encoding, _, rate = name.partition("/")
    for codec in ALL_CODECS:
        if codec.encoding.lower() == encoding.lower() and rate in ("", str(codec.clock_rate)):
            return codec
    raise ValueError(f"{name!r} is none of {', '.join(map(name_of, ALL_CODECS))}")


def name_of(codec: Codec) -> str:
    """Return what `codec_named` takes."""
    return f"L16/{codec.clock_rate}" if codec.encoding == "L16" else codec.encoding


def sdp_codecs(codecs: Sequence[Codec]) -> tuple[SdpCodec, ...]:
    """Return what SDP says of these codecs, and of comfort noise, which goes with them."""
    return (*map(_sdp_codec, codecs), _COMFORT_NOISE)


def _sdp_codec(codec: Codec) -> SdpCodec:
    if codec is Codec.OPUS:  # two channels whatever is sent: RFC 7587, section 7
        return SdpCodec("opus", codec.clock_rate, 2, "useinbandfec=1")
    return SdpCodec(codec.encoding, codec.clock_rate)
