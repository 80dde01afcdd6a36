"""What the media worker and the process that decodes clips say to each other: all of it, framed by length."""

from __future__ import annotations

import msgspec

from sidecar.core.clip import Clip


class ClipJob(msgspec.Struct, frozen=True, tag=True):
    """Decode this. Clips of one `stream` that are pieces of one sound (raw, pcmu, pcma, opus) are joined seamlessly."""

    stream: str
    clip: Clip
    rate: int  # Hz, of the PCM wanted
    most_seconds: float  # of it
    most_cpu_seconds: float


class PcmDecoded(msgspec.Struct, frozen=True, tag=True):
    """A piece of the clip: L16 little-endian, mono."""

    pcm: bytes


class ClipDone(msgspec.Struct, frozen=True, tag=True):
    """The clip is at its end, or cannot be decoded (further): then there is an error."""

    error: str | None = None


ClipAnswer = PcmDecoded | ClipDone

LENGTH_BYTES = 4


def framed(message: ClipJob | ClipAnswer) -> bytes:
    """Return a message as it travels."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(LENGTH_BYTES) + data
