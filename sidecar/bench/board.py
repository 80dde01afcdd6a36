"""Memory that the bench shares with its C programs: what they need to know, and what they count."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from rtp import Codec
from rtp.g711 import decode_one
from rtp.pcm import FRAME_MS
from sidecar.bench.plan import MOST_CALLS
from sidecar.core.listening import Span

FRAMES = 250
"""Numbers of frames; after 5 s they begin anew."""

_BINS, _BIN_MS = 100_000, 0.01
_NEAR = 3  # how far a sample may be off its level: resampling rounds

_LAYOUT = np.dtype(  # as `struct board` in board.h
    [
        ("sent_at", np.int64, (MOST_CALLS, FRAMES)),
        *((name, np.uint64) for name in ("sent", "received", "messages", "lost_up", "lost_down", "left_out", "faults")),
        ("uplink", np.uint32, _BINS),
        ("gaps", np.uint32, _BINS),
        *((name, np.uint32) for name in ("running", "recording", "calls", "loss_per_mille", "ptime_ms", "noisy")),
        ("frame_of_sample", np.int16, 1 << 16),
        ("caller_port", np.uint16, MOST_CALLS),
        ("target_port", np.uint16, MOST_CALLS),
        ("code", np.uint8, FRAMES),
        ("_padding", np.uint8, 6),
    ]
)


class Board:
    """The shared memory; `descriptor` is what a program opens it by."""

    def __init__(self, descriptor: int, memory: mmap.mmap) -> None:
        self.descriptor = descriptor
        self._fields = np.frombuffer(memory, _LAYOUT)

    def __getitem__(self, name: str) -> int:
        """Return a number of the board."""
        return int(self._fields[name][0])

    def __setitem__(self, name: str, value: int) -> None:
        """Write a number of the board."""
        self._fields[name] = value

    def ports(self, name: str) -> NDArray[np.uint16]:
        """Return the ports of the calls, uint16[calls]; what is written to them is on the board."""
        ports: NDArray[np.uint16] = self._fields[name][0, : self["calls"]]
        return ports

    def forget(self) -> None:
        """Set all that is counted to zero, but `faults`: one is too many, whenever it was."""
        for name in ("sent", "received", "messages", "lost_up", "lost_down", "left_out", "uplink", "gaps"):
            self._fields[name] = 0

    def span(self, name: str) -> Span | None:
        """Return the percentiles of a histogram, in ms; None if it is empty."""
        reached = np.cumsum(self._fields[name][0], dtype=np.int64)
        if not reached[-1]:
            return None
        p50, p99 = ((np.searchsorted(reached, share * reached[-1]) + 1) * _BIN_MS for share in (0.5, 0.99))
        return Span(float(p50), float(p99))

    def number_frames(self) -> None:
        """Give each frame a level of its own: a level passes any resampling unchanged, silence is none of them."""
        levels = {int(decode_one(bytes([code]), Codec.PCMU)[0]): code for code in range(256)}
        frame_of_sample = np.full(1 << 16, -1, np.int16)
        chosen = sorted(levels, key=abs)[1 : FRAMES + 1]
        for number, level in enumerate(sorted(chosen)):
            self._fields["code"][0, number] = levels[level]
            near = np.arange(level - _NEAR, level + _NEAR + 1)
            frame_of_sample[near.clip(-32768, 32767).astype(np.int16).view(np.uint16)] = number
        self._fields["frame_of_sample"][0] = frame_of_sample


@contextmanager
def open_board(calls: int, *, ptime_ms: int = FRAME_MS, noisy: bool = False) -> Iterator[Board]:
    """Make a board for so many calls; it is gone when the block has ended, and with it all who use it."""
    descriptor = os.memfd_create("bench")
    try:
        os.truncate(descriptor, _LAYOUT.itemsize)
        board = Board(descriptor, mmap.mmap(descriptor, _LAYOUT.itemsize))
        board["calls"], board["ptime_ms"], board["noisy"] = calls, ptime_ms, noisy
        board.number_frames()
        yield board
    finally:
        os.close(descriptor)
