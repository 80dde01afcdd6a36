"""Opus for one call (RFC 6716, RFC 7587): libopus itself, which comes with PyAV, or else the system's.

FFmpeg's decoder cannot use the in-band FEC of a packet to make good the loss of the one before; libopus can.
The memory of coders belongs to Python: nothing must be freed by hand.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from rtp.errors import RtpError
from rtp.pcm import Pcm

SAMPLE_RATE = 48000
BIT_RATE = 32000
LONGEST_PAYLOAD = 1275 * 3 + 7  # RFC 6716, section 3.2.5: 60 ms in three frames

_LONGEST = SAMPLE_RATE * 120 // 1000  # samples of a packet
_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS = 4002, 4010, 4012, 4014
_COMPLEXITY = 5
_EXPECTED_LOSS = 10  # per cent: how much of a packet is spent on the one before


@cache
def _library() -> ctypes.CDLL:
    """Load libopus; raise OSError where there is none."""
    av = find_spec("av")
    shipped = Path(av.origin).parent.parent if av is not None and av.origin else Path()
    paths = [*shipped.glob("av.libs/libopus-*.so*"), *shipped.glob("av/.dylibs/libopus.*.dylib")]
    library = ctypes.CDLL(str(paths[0]) if paths else "libopus.so.0")
    for name in ("opus_decoder_get_size", "opus_encoder_get_size"):
        getattr(library, name).argtypes = [ctypes.c_int]
    library.opus_decoder_init.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int]
    library.opus_encoder_init.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int, ctypes.c_int]
    library.opus_encoder_ctl.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.opus_decode.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
    ]
    library.opus_encode.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_int32,
    ]
    return library


class OpusDecoder:
    """Decodes the packets of one call, mono or stereo, to mono at 48 kHz."""

    def __init__(self) -> None:
        self._library = _library()
        self._state = ctypes.create_string_buffer(self._library.opus_decoder_get_size(1))
        assert self._library.opus_decoder_init(self._state, SAMPLE_RATE, 1) == 0
        self._pcm = np.empty(_LONGEST, np.int16)

    def decode(self, payload: bytes) -> Pcm:
        """Return int16[samples]; raise `RtpError` for a payload that cannot be decoded."""
        return self._decode(payload, _LONGEST, fec=False)

    def recover(self, following: bytes, samples: int) -> Pcm:
        """Return what the packet before `following`, which is lost, had: from its FEC where it has that."""
        return self._decode(following, samples, fec=True)

    def conceal(self, samples: int) -> Pcm:
        """Return a stand-in of a multiple of 2.5 ms for a packet of which nothing is known."""
        return self._decode(None, samples, fec=False)

    def _decode(self, payload: bytes | None, most: int, *, fec: bool) -> Pcm:
        size = len(payload) if payload is not None else 0
        count = self._library.opus_decode(self._state, payload, size, self._pcm.ctypes.data, most, fec)
        if count < 0:
            raise RtpError(f"opus: error {count}")
        return self._pcm[:count].copy()


class OpusEncoder:
    """Encodes the frames of one call, mono at 48 kHz, each with FEC for the one before."""

    def __init__(self) -> None:
        self._library = _library()
        self._state = ctypes.create_string_buffer(self._library.opus_encoder_get_size(1))
        assert self._library.opus_encoder_init(self._state, SAMPLE_RATE, 1, _APPLICATION_VOIP) == 0
        for request, value in (
            (_SET_BITRATE, BIT_RATE),
            (_SET_COMPLEXITY, _COMPLEXITY),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS, _EXPECTED_LOSS),
        ):
            assert self._library.opus_encoder_ctl(self._state, request, ctypes.c_int(value)) == 0
        self._payload = np.empty(LONGEST_PAYLOAD, np.uint8)

    def encode(self, pcm: Pcm) -> bytes:
        """Encode int16[samples]: 10, 20, 40 or 60 ms."""
        samples = np.ascontiguousarray(pcm)
        count = self._library.opus_encode(
            self._state, samples.ctypes.data, len(samples), self._payload.ctypes.data, len(self._payload)
        )
        assert count > 0, f"opus: error {count}"
        return self._payload[:count].tobytes()
