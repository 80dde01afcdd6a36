"""G.711 as tables: decoding and encoding are one look-up for a whole batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtp.codec import Codec
from rtp.pcm import Pcm


def _ulaw_to_linear() -> Pcm:
    """Return the 256 values of ITU-T G.711 table 2, scaled to 16 bits."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_to_linear() -> Pcm:
    """Return the 256 values of ITU-T G.711 table 1, scaled to 16 bits."""
    code = np.arange(256) ^ 0x55
    segment = code >> 4 & 7
    mantissa = ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, mantissa, (mantissa + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _linear() -> NDArray[np.int64]:
    """Return all samples in the order of their unsigned bit pattern: the index of the encoding tables."""
    return np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int64)


def _linear_to_ulaw() -> NDArray[np.uint8]:
    """Return the code of every sample: 14 bits, biased, then sign, segment and mantissa, all inverted."""
    value = _linear()
    negative = value < 0
    magnitude = np.where(negative, -value - 1, value) >> 2
    biased = np.minimum(magnitude, 8158) + 33  # the largest that fits the eighth segment
    segment = np.floor(np.log2(biased)).astype(np.int64) - 5
    code = np.where(negative, 0x80, 0) | segment << 4 | (biased >> (segment + 1) & 0x0F)
    return np.asarray(~code & 0xFF, np.uint8)


def _linear_to_alaw() -> NDArray[np.uint8]:
    """Return the code of every sample: 13 bits, then sign, segment and mantissa, even bits inverted."""
    value = _linear() >> 3
    negative = value < 0
    magnitude = np.where(negative, -value - 1, value)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 4, 0)
    mantissa = np.where(segment < 2, magnitude >> 1, magnitude >> segment) & 0x0F
    return np.asarray((np.where(negative, 0, 0x80) | segment << 4 | mantissa) ^ 0x55, np.uint8)


_DECODE: Pcm = np.concatenate([_ulaw_to_linear(), _alaw_to_linear()])
_ENCODE: NDArray[np.uint8] = np.stack([_linear_to_ulaw(), _linear_to_alaw()])


def decode(payload: NDArray[np.uint8], codecs: NDArray[np.uint8]) -> Pcm:
    """Decode G.711 payloads uint8[n, m] of n calls, each by its codec in `codecs` uint8[n]."""
    first = int(codecs[0]) if len(codecs) else 0
    if not np.count_nonzero(codecs != first):
        return _DECODE[256 * first : 256 * (first + 1)].take(payload)
    return _DECODE[payload + (codecs.astype(np.uint16) << 8)[:, None]]


def encode(pcm: Pcm, codecs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Encode samples int16[n, m] of n calls, each by its codec in `codecs` uint8[n]."""
    samples = np.ascontiguousarray(pcm).view(np.uint16)
    first = int(codecs[0]) if len(codecs) else 0
    if not np.count_nonzero(codecs != first):
        codes: NDArray[np.uint8] = _ENCODE[first].take(samples)
    else:
        codes = _ENCODE[codecs[:, None], samples]
    return codes


def decode_one(payload: bytes, codec: Codec) -> Pcm:
    """Decode the payload of one packet to int16[m]."""
    return _DECODE[256 * codec : 256 * (codec + 1)][np.frombuffer(payload, np.uint8)]


def encode_one(pcm: Pcm, codec: Codec) -> bytes:
    """Encode the samples int16[m] of one packet."""
    return np.take(_ENCODE[codec], np.ascontiguousarray(pcm).view(np.uint16)).tobytes()
