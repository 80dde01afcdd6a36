"""WebSocket frames of many calls at once: header, mask and payload as one array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SERVER_HEADER_BYTES = 4
"""Of a frame that is not masked and has 126 to 65,535 bytes."""

_BINARY = 0x82  # FIN and opcode 2
_MASKED = 0x80


def count_binary_frames(data: NDArray[np.uint8], lengths: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Tell how many frames of a server each row of uint8[n, m] is made of, int64[n]; `lengths` bytes of it count.

    Each is a whole binary message with `size` bytes of payload, 126 to 65,535; 0: the row has anything else in it.
    """
    header = int.from_bytes(_server_header(size))
    frame_bytes = SERVER_HEADER_BYTES + size
    counts, rest = np.divmod(lengths, frame_bytes)
    counts[rest > 0] = 0
    for number in range(int(counts.max(initial=0))):
        at = number * frame_bytes
        wrong = np.ascontiguousarray(data[:, at : at + SERVER_HEADER_BYTES]).view(">u4")[:, 0] != header
        counts[wrong & (counts > number)] = 0
    return counts


def _server_header(size: int) -> bytes:
    return bytes([_BINARY, 126]) + size.to_bytes(2)


def binary_payloads(
    data: NDArray[np.uint8], lengths: NDArray[np.int64], size: int
) -> Iterator[tuple[slice | NDArray[np.int64], NDArray[np.uint8]]]:
    """Give the payloads of rows that are nothing but such frames: of the first frame of each, then of the second, ...

    Each time, which rows they are of, and uint8[k, size].
    """
    frame_bytes = SERVER_HEADER_BYTES + size
    if not np.count_nonzero(lengths != frame_bytes):
        headers = data[:, :SERVER_HEADER_BYTES].view(np.uint32)
        if not np.count_nonzero(headers != np.frombuffer(_server_header(size), np.uint32)):
            yield slice(None), data[:, SERVER_HEADER_BYTES:frame_bytes]  # most often, that is all
            return
    counts = count_binary_frames(data, lengths, size)
    for number in range(int(counts.max(initial=0))):
        at = number * frame_bytes + SERVER_HEADER_BYTES
        chosen = counts > number
        where = slice(None) if chosen.all() else np.flatnonzero(chosen)
        yield where, data[where, at : at + size]


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
    np.bitwise_xor(payloads.view(np.uint32), masks[:, None], out=frames[:, start:].view(np.uint32))
    return frames


def unmasked_payload(frame: bytes) -> bytes:
    """Return the payload of one whole masked frame: what `masked_binary_frames` was given."""
    start = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2) + 4
    masked = np.frombuffer(frame, np.uint8, offset=start)
    mask = np.frombuffer(frame, np.uint8, count=4, offset=start - 4)
    return (masked ^ np.resize(mask, len(masked))).tobytes()
