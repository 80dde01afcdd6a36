"""Clips as bots send them, made by FFmpeg's encoders."""

from __future__ import annotations

import base64
import io
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream

from tests.support.tones import Pcm


def encoded_file(pcm: Pcm, rate: int, *, container: str, codec: str, layout: str = "mono") -> bytes:
    """Encode int16 samples of one channel into a file."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = cast(AudioStream, output.add_stream(codec, rate=rate, layout=layout))
        for frame in (_frame(pcm, rate), None):
            for packet in stream.encode(frame):
                output.mux(packet)
    return file.getvalue()


def opus_packets(pcm: Pcm) -> list[bytes]:
    """Encode int16 samples at 48 kHz into packets of 20 ms each, without a file around them."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    packets: list[bytes] = []
    for at in range(0, len(pcm), 960):
        packets += [bytes(packet) for packet in encoder.encode(_frame(pcm[at : at + 960], 48_000, pts=at))]
    return packets


def stream_audio(data: bytes, kind: str, **more: Any) -> dict[str, Any]:
    """Return the `data` of a `streamAudio` message."""
    return {"audioDataType": kind, "audioData": base64.b64encode(data).decode(), **more}


def _frame(pcm: Pcm, rate: int, *, pts: int = 0) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = rate, pts
    return frame
