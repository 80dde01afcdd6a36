"""WebSocket frames of many calls at once: header, mask and payload as one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BINARY = 0x82  # FIN and opcode 2
_MASKED = 0x80


def masked_binary_frames(payloads: NDArray[np.uint8], masks: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Wrap each payload in a frame of its own (RFC 6455, section 5.2).

    `payloads` is uint8[n, m] with m a multiple of four, `masks` uint32[n] and unpredictable (section 10.3); the result
    is uint8[n, header + m].
    """
    count, size = payloads.shape
    if size < 126:
        header = bytes([_BINARY, _MASKED | size])
    elif size < 1 << 16:
        header = bytes([_BINARY, _MASKED | 126]) + size.to_bytes(2)
    else:
        header = bytes([_BINARY, _MASKED | 127]) + size.to_bytes(8)
    start = len(header) + 4
    frames = np.empty((count, start + size), np.uint8)
    frames[:, : len(header)] = np.frombuffer(header, np.uint8)
    frames[:, len(header) : start] = masks.view(np.uint8).reshape(-1, 4)
    frames[:, start:] = (payloads.view(np.uint32) ^ masks[:, None]).view(np.uint8)
    return frames


def unmasked_payload(frame: memoryview) -> bytes:
    """Return the payload of one whole masked frame: what `masked_binary_frames` was given."""
    start = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2) + 4
    masked = np.frombuffer(frame, np.uint8, offset=start)
    mask = np.frombuffer(frame, np.uint8, count=4, offset=start - 4)
    return (masked ^ np.resize(mask, len(masked))).tobytes()
