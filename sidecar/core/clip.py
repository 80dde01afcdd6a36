"""A clip: audio that a bot sends in one message of JSON (`streamAudio`), in one of many formats."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec

MOST_ENCODED_BYTES = 16 << 20
"""Of base64: as much as a text message may hold."""

_PIECE_CHARACTERS = 256 << 10  # a fraction of a millisecond's work

_LEAST_HZ, _MOST_HZ = 4000, 192_000


class ClipKind(Enum):
    """How a clip is encoded."""

    RAW = "raw"  # L16 little-endian, mono
    WAV = "wav"
    MP3 = "mp3"
    OGG = "ogg"  # with Opus, Vorbis or FLAC in it
    OPUS = "opus"  # one packet of it, or an Ogg file
    PCMU = "pcmu"
    PCMA = "pcma"


class ClipError(Exception):
    """A clip cannot be played; the reason is for the bot."""


class Clip(msgspec.Struct, frozen=True):
    """A clip as it came. Its base64 is not looked into here, as it may be megabytes."""

    kind: ClipKind
    rate: int | None  # Hz, of kinds that do not say it themselves
    encoded: str  # base64


def parse_stream_audio(data: Any) -> Clip:
    """Read the `data` of a `streamAudio` message; raise `ClipError` that names the field which is wrong."""
    if not isinstance(data, dict):
        raise ClipError("data: not an object")
    kind, rate, encoded = data.get("audioDataType"), data.get("sampleRate"), data.get("audioData")
    try:
        clip_kind = ClipKind(kind.lower() if isinstance(kind, str) else kind)
    except ValueError:
        raise ClipError(f"audioDataType: not one of {', '.join(each.value for each in ClipKind)}") from None
    if encoded is None:
        raise ClipError("audioData: missing")
    if not isinstance(encoded, str) or not encoded:
        raise ClipError("audioData: not base64 text")
    if len(encoded) > MOST_ENCODED_BYTES:
        raise ClipError(f"audioData: more than {MOST_ENCODED_BYTES} bytes")
    if clip_kind in (ClipKind.PCMU, ClipKind.PCMA):
        rate = 8000 if rate is None else rate
    elif clip_kind is not ClipKind.RAW:
        return Clip(clip_kind, None, encoded)
    if rate is None:
        raise ClipError("sampleRate: missing, which only files and opus say themselves")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate != rate // 1:
        raise ClipError("sampleRate: not a whole number")
    if not _LEAST_HZ <= rate <= _MOST_HZ:
        raise ClipError(f"sampleRate: not {_LEAST_HZ} to {_MOST_HZ} Hz")
    return Clip(clip_kind, int(rate), encoded)


def without_audio(data: dict[str, Any]) -> str:
    """Return, as JSON, what was said of a clip beside its audio."""
    return msgspec.json.encode({key: value for key, value in data.items() if key != "audioData"}).decode()


def decoded_pieces(encoded: str) -> Iterator[bytes]:
    """Decode base64 bit by bit, with padding at its end or without; raise `ClipError` where it is none."""
    rest = ""
    for at in range(0, len(encoded), _PIECE_CHARACTERS):
        rest += "".join(encoded[at : at + _PIECE_CHARACTERS].split())
        is_last = at + _PIECE_CHARACTERS >= len(encoded)
        whole = len(rest) if is_last else len(rest) // 4 * 4
        piece, rest = rest[:whole], rest[whole:]
        try:
            data = binascii.a2b_base64(piece + "=" * (-len(piece) % 4), strict_mode=True)
        except ValueError:  # not ASCII, or not base64
            raise ClipError("audioData: not base64 text") from None
        yield data
