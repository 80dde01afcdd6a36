"""G.722 for one call: 16 kHz sound in 64 kbit/s, by FFmpeg's coder (PyAV, imported when the first call needs it)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from rtp.errors import RtpError
from rtp.pcm import Pcm

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

_SAMPLE_RATE = 16000


def _context(mode: Literal["r", "w"]) -> AudioCodecContext:
    from av.audio.codeccontext import AudioCodecContext
    from av.codec import CodecContext

    context = CodecContext.create("g722", mode)
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = _SAMPLE_RATE
    context.layout = "mono"
    context.format = "s16"
    context.open()
    return context


class G722Decoder:
    """Decodes the packets of one call in their order."""

    def __init__(self) -> None:
        self._context = _context("r")

    def decode(self, payload: bytes) -> Pcm:
        """Return int16[2 * bytes]; raise `RtpError` for a payload that cannot be decoded."""
        from av.error import FFmpegError
        from av.packet import Packet

        try:
            frames = self._context.decode(Packet(payload))
        except FFmpegError as error:
            raise RtpError(f"G.722: {error}") from None
        return np.concatenate([np.empty(0, np.int16), *(frame.to_ndarray()[0] for frame in frames)])

    def recover(self, following: bytes, samples: int) -> None:
        return None

    def conceal(self, samples: int) -> None:
        return None


class G722Encoder:
    """Encodes the frames of one call in their order."""

    def __init__(self) -> None:
        self._context = _context("w")

    def encode(self, pcm: Pcm) -> bytes:
        """Encode int16[samples], an even number of them, to half as many bytes."""
        from av.audio.frame import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(pcm)[None], format="s16", layout="mono")
        frame.sample_rate = _SAMPLE_RATE
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
