"""Payloads to samples and back: for many calls at once where the codec has no memory, else for each call alone.

Nothing is imported before a call needs it: PyAV takes its time, and memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtp import g711
from rtp.codec import Codec
from rtp.errors import RtpError
from rtp.pcm import Pcm

Bytes = NDArray[np.uint8]

_G711 = (Codec.PCMU, Codec.PCMA)


def decode_rows(payload: Bytes, codecs: NDArray[np.uint8]) -> Pcm:
    """Decode one 20 ms payload of each of n calls, uint8[n, m], which are all G.711 or all L16."""
    if payload.shape[1] == Codec.PCMU.frame_bytes:
        return g711.decode(payload, codecs)
    return np.ascontiguousarray(payload).view(">i2").astype(np.int16)


def encode_rows(pcm: Pcm, codecs: NDArray[np.uint8], size: int) -> Bytes:
    """Encode int16[n, samples] of n calls, which are all G.711 or all L16, to uint8[n, size]."""
    if size == Codec.PCMU.frame_bytes:
        return g711.encode(pcm, codecs)
    return pcm.astype(">i2").view(np.uint8)


class Decoder(Protocol):
    """Decodes the packets of one call in their order."""

    def decode(self, payload: bytes) -> Pcm:
        """Return int16[samples]; raise `RtpError` for a payload that cannot be decoded."""

    def recover(self, following: bytes, samples: int) -> Pcm | None:
        """Return what was in the lost packet before `following`; None if the codec cannot know."""

    def conceal(self, samples: int) -> Pcm | None:
        """Return a stand-in for a lost packet; None if the codec has none of its own."""


class Encoder(Protocol):
    """Encodes the frames of one call in their order."""

    def encode(self, pcm: Pcm) -> bytes:
        """Encode int16[samples]."""


@dataclass(frozen=True, slots=True)
class SampleCoder:
    """A codec without memory, for one call: each sample is coded alone."""

    codec: Codec

    def decode(self, payload: bytes) -> Pcm:
        if self.codec in _G711:
            return g711.decode_one(payload, self.codec)
        if len(payload) % 2:
            raise RtpError("half a sample")
        return np.frombuffer(payload, ">i2").astype(np.int16)

    def recover(self, following: bytes, samples: int) -> None:
        return None

    def conceal(self, samples: int) -> None:
        return None

    def encode(self, pcm: Pcm) -> bytes:
        return g711.encode_one(pcm, self.codec) if self.codec in _G711 else pcm.astype(">i2").tobytes()


def new_decoder(codec: Codec) -> Decoder:
    """Return what decodes one call; raise ImportError or OSError where the machine lacks what it needs."""
    if codec is Codec.G722:
        from rtp.g722 import G722Decoder

        return G722Decoder()
    if codec is Codec.OPUS:
        from rtp.opus import OpusDecoder

        return OpusDecoder()
    return SampleCoder(codec)


def new_encoder(codec: Codec) -> Encoder:
    """Return what encodes one call; raise ImportError or OSError where the machine lacks what it needs."""
    if codec is Codec.G722:
        from rtp.g722 import G722Encoder

        return G722Encoder()
    if codec is Codec.OPUS:
        from rtp.opus import OpusEncoder

        return OpusEncoder()
    return SampleCoder(codec)


def prepare(codecs: Iterable[Codec]) -> None:
    """Load now what these codecs need, so that no call has to wait while another's does."""
    for codec in codecs:
        new_decoder(codec)
        new_encoder(codec)
