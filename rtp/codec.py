"""The codecs of a call: what each is called, how fast it counts, and how fast it samples."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from rtp.pcm import FRAMES_PER_SECOND, frame_samples

CLOCK_RATE = 8000
"""Hz, of G.711 and of the telephone network."""


class Codec(IntEnum):
    """An RTP payload format. The number is its place in the columns of a `MediaPlane`.

    Formats with a fixed size a frame have no memory: they are decoded and encoded for many calls at once.
    """

    encoding: str  # its name in `a=rtpmap`
    clock_rate: int  # Hz, of the RTP timestamp
    sample_rate: int  # Hz, of the samples that come out of it
    frame_bytes: int  # of 20 ms; 0 where it varies
    has_memory: bool  # one packet depends on those before

    PCMU = 0, "PCMU", 8000, 8000, 160
    PCMA = 1, "PCMA", 8000, 8000, 160
    L16_8K = 2, "L16", 8000, 8000, 320
    L16_16K = 3, "L16", 16000, 16000, 640
    G722 = 4, "G722", 8000, 16000, 160, True  # the clock rate is an old mistake: RFC 3551, section 4.5.2
    OPUS = 5, "opus", 48000, 48000, 0, True

    def __new__(
        cls, number: int, encoding: str, clock_rate: int, sample_rate: int, frame_bytes: int, has_memory: bool = False
    ) -> Self:
        codec = int.__new__(cls, number)
        codec._value_ = number
        codec.encoding = encoding
        codec.clock_rate, codec.sample_rate = clock_rate, sample_rate
        codec.frame_bytes, codec.has_memory = frame_bytes, has_memory
        return codec

    @classmethod
    def of_rtpmap(cls, encoding: str, clock_rate: int) -> Self:
        """Return the codec of an `a=rtpmap`; raise ValueError for one that we do not have."""
        for codec in cls:
            if (codec.encoding.lower(), codec.clock_rate) == (encoding.lower(), clock_rate):
                return codec
        raise ValueError(f"no codec {encoding}/{clock_rate}")

    @property
    def frame_samples(self) -> int:
        """Samples of 20 ms."""
        return frame_samples(self.sample_rate)

    @property
    def frame_ticks(self) -> int:
        """RTP timestamp units of 20 ms."""
        return self.clock_rate // FRAMES_PER_SECOND

    def samples(self, ticks: int) -> int:
        """Return how many samples so many timestamp units are."""
        return ticks * self.sample_rate // self.clock_rate

    def ticks(self, samples: int) -> int:
        """Return how many timestamp units so many samples are."""
        return samples * self.clock_rate // self.sample_rate
