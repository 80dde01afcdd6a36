"""G.711 by its formulas, for whole arrays: a second opinion on the codec of the product."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.support.tones import Pcm

Octets = npt.NDArray[np.uint8]

_ULAW_BIAS = 132
_ULAW_CLIP = 32635


def encode_ulaw(pcm: Pcm) -> bytes:
    """Compress 16-bit samples to one µ-law octet each."""
    sign = np.where(pcm < 0, 0x80, 0)
    biased = np.abs(pcm.astype(np.int32)).clip(max=_ULAW_CLIP) + _ULAW_BIAS
    exponent = _floor_log2(biased) - 7
    mantissa = (biased >> (exponent + 3)) & 0x0F
    return bytes((~(sign | exponent << 4 | mantissa)).astype(np.uint8))


def decode_ulaw(octets: bytes) -> Pcm:
    """Expand µ-law octets to 16-bit samples."""
    code: Octets = ~np.frombuffer(octets, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 0x07).astype(np.int32), (code & 0x0F).astype(np.int32)
    magnitude = ((mantissa << 3) + _ULAW_BIAS << exponent) - _ULAW_BIAS
    return _with_sign(code, magnitude, negative=0x80)


def encode_alaw(pcm: Pcm) -> bytes:
    """Compress 16-bit samples to one A-law octet each."""
    sign = np.where(pcm < 0, 0, 0x80)
    wide = pcm.astype(np.int32)
    magnitude = np.where(wide < 0, ~wide, wide) >> 4
    exponent = (_floor_log2(magnitude.clip(min=8)) - 3).clip(min=0)
    mantissa = magnitude >> (exponent - 1).clip(min=0) & 0x0F
    return bytes(((sign | exponent << 4 | mantissa) ^ 0x55).astype(np.uint8))


def decode_alaw(octets: bytes) -> Pcm:
    """Expand A-law octets to 16-bit samples."""
    code: Octets = np.frombuffer(octets, dtype=np.uint8) ^ np.uint8(0x55)
    exponent, mantissa = (code >> 4 & 0x07).astype(np.int32), (code & 0x0F).astype(np.int32)
    implied = np.where(exponent > 0, 16, 0)
    magnitude = ((mantissa + implied << 4) + 8) << (exponent - 1).clip(min=0)
    return _with_sign(code, magnitude, negative=0x00)


def _with_sign(code: Octets, magnitude: npt.NDArray[np.int32], *, negative: int) -> Pcm:
    pcm: Pcm = np.where(code & 0x80 == negative, -magnitude, magnitude).astype(np.int16)
    return pcm


def _floor_log2(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    exponents: npt.NDArray[np.int32] = np.frexp(numbers)[1].astype(np.int32) - 1
    return exponents
