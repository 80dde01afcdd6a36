"""20 ms frames into payloads of another length, or of a codec with memory: the slow path of sending."""

from __future__ import annotations

import numpy as np

from rtp.codec import Codec
from rtp.payload_coding import Encoder, new_encoder
from rtp.pcm import FRAME_MS, Pcm

LONGEST_PAYLOAD = 1400
"""Bytes that fit into one packet of any network, with all headers."""

_PTIMES_MS = (60, 40, 30, 20, 10)


def packet_ms(codec: Codec, asked: int) -> int:
    """Return the packet time, in ms, that comes next to what was `asked` for: not longer, and what fits."""
    for ptime_ms in _PTIMES_MS:
        fits = codec.frame_bytes * ptime_ms <= LONGEST_PAYLOAD * FRAME_MS
        if ptime_ms <= asked and fits and not (codec is Codec.OPUS and ptime_ms == 30):  # RFC 7587, section 3.2
            return ptime_ms
    return _PTIMES_MS[-1]


class Packetizer:
    """Makes the payloads of one call: as soon as there is enough for a packet, it is given."""

    def __init__(self, codec: Codec, ptime_ms: int) -> None:
        self._codec = codec
        self._encoder: Encoder = new_encoder(codec)
        self._samples = codec.sample_rate * ptime_ms // 1000  # of a packet
        self._bytes = codec.frame_bytes * ptime_ms // FRAME_MS
        self._pcm = np.empty(0, np.int16)  # where a packet can only be encoded whole
        self._encoded = b""  # where frames can be encoded one by one

    def write(self, frame: Pcm) -> list[bytes]:
        """Take int16[samples] of 20 ms; return the payloads that are complete."""
        payloads = []
        if self._bytes:
            self._encoded += self._encoder.encode(frame)
            while len(self._encoded) >= self._bytes:
                payloads.append(self._encoded[: self._bytes])
                self._encoded = self._encoded[self._bytes :]
            return payloads
        self._pcm = np.concatenate([self._pcm, frame])
        while len(self._pcm) >= self._samples:
            payloads.append(self._encoder.encode(self._pcm[: self._samples]))
            self._pcm = self._pcm[self._samples :]
        return payloads

    def clear(self) -> int:
        """Forget what is not sent; return how many timestamp units that is."""
        samples = len(self._encoded) * self._samples // self._bytes if self._bytes else len(self._pcm)
        self._encoded, self._pcm = b"", self._pcm[:0]
        return self._codec.ticks(samples)
