"""Reads what a bot would read from a WebSocket frame that was made for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sidecar.core.bridge import Messages


def unmasked(frame: bytes) -> bytes:
    """Return the content of one masked binary frame (RFC 6455, section 5.2)."""
    assert frame[0] == 0x82
    assert frame[1] & 0x80
    header = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
    size = frame[1] & 0x7F if header == 2 else int.from_bytes(frame[2:header])
    mask, content = frame[header : header + 4], frame[header + 4 :]
    assert len(content) == size
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(content) ^ int.from_bytes(repeated)).to_bytes(size)


def messages_by_row(messages: Iterable[Messages]) -> dict[int, list[bytes]]:
    """Return the messages of each row, in order."""
    by_row: dict[int, list[bytes]] = defaultdict(list)
    for rows, frames in messages:
        assert len(rows) == len(frames)
        for row, frame in zip(rows.tolist(), frames, strict=True):
            by_row[row].append(unmasked(frame.tobytes()))
    return by_row
