"""What many bots have sent: one read of each, side by side in one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtp import frame_samples
from sidecar.core.websocket_frames import SERVER_HEADER_BYTES
from sidecar.io.bot_lane import SocketLane

MOST_READS = 1024
"""Sockets in one batch."""

FRAMES_AT_ONCE = 4
"""Of one bot that has fallen behind, or is ahead."""

_ROW_BYTES = FRAMES_AT_ONCE * 1924 + 64  # 20 ms at 48 kHz; and no power of two, which caches do not like


def bytes_to_read(rate: int) -> int:
    """Return how much to read at once of a bot that talks at `rate`, in Hz."""
    return FRAMES_AT_ONCE * (SERVER_HEADER_BYTES + 2 * frame_samples(rate))


class BotInputs:
    """The newest read of each of some bots: `data` uint8[MOST_READS, m] and `lengths` int64[n] of what is filled."""

    def __init__(self) -> None:
        self.data = np.zeros((MOST_READS, _ROW_BYTES), np.uint8)
        self.lengths: NDArray[np.int64] = np.zeros(0, np.int64)
        self._rooms = [memoryview(row.data) for row in self.data]

    def read(self, lanes: Sequence[SocketLane]) -> None:
        """Read each of at most `MOST_READS` once. 0 bytes are its end; -1: nothing had come."""
        lengths = []
        for lane, room in zip(lanes, self._rooms, strict=False):
            try:
                lengths.append(lane.read_into(room, lane.read_bytes))
            except BlockingIOError:
                lengths.append(-1)
            except OSError:
                lengths.append(0)
        self.lengths = np.array(lengths, np.int64)

    def give(self, at: int, lane: SocketLane) -> None:
        """Give a lane what was read of it into row `at`, if anything was."""
        length = int(self.lengths[at])
        if length >= 0:
            lane.take(self.data[at, :length].tobytes(), more=length == lane.read_bytes)
