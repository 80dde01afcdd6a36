#!/usr/bin/env python3
"""Measures what a frame costs above the system calls, step by step, in batches of several sizes.

python -m bench.media_plane [mono|stereo|mixed|callee] [rows ...]

PCMU at 8 kHz on the wire, 16 kHz to and from the bots, 500 calls that all talk.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `sidecar serve` does; read when numpy is imported

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import numpy as np

from rtp import PACKET_BYTES, PACKETS_A_FRAME, Codec, Leg, MediaPlane, address_key
from rtp.pcm import Rows
from sidecar.core.bridge import PHASES, Bridge
from sidecar.core.options import MixMode, StreamOptions

CALLS = 500
BATCHES = [1, 10, 30, 125, 500]
STEPS = ("receive RTP", "messages to bots", "messages from bots", "send RTP")
_RATE = 16000
_FRAME_BYTES = _RATE // 50 * 2
_PACKET_BYTES = 12 + 160
_WARM_UP, _TURNS, _RUNS = 10, 40, 5


class Talk:
    """500 calls, their callers and their bots, as arrays."""

    def __init__(self, mix: MixMode) -> None:
        random = Random(1)
        self.plane = MediaPlane(CALLS, random)
        self.bridge = Bridge(self.plane, random_bytes=os.urandom)
        self.now = 1000.0
        self.spent: defaultdict[str, int] = defaultdict(int)  # ns of each step
        options = StreamOptions(url="ws://bot.example", mix=mix, rate=_RATE)
        for number in range(CALLS):
            leg = Leg(codec=Codec.PCMU, payload_type=0, send_payload_type=0, destination=_address(number))
            row = self.plane.open(leg)
            assert row == number
            self.bridge.open(row, options, playout_seconds=600)
            self.bridge.start(row)
        self._rtp = np.zeros((CALLS, 2048), np.uint8)
        self._rtp[:, 0] = 0x80
        self._rtp[:, 12:] = np.random.default_rng(1).integers(0, 256, (CALLS, 2036))
        self._lengths = np.full(CALLS, _PACKET_BYTES, np.uint32)
        self._sources = np.array([_address(number) for number in range(CALLS)], np.uint64)
        self._said = np.zeros((CALLS, 8192), np.uint8)
        self._said[:, :4] = (0x82, 126, _FRAME_BYTES >> 8, _FRAME_BYTES & 255)
        self._said_lengths = np.full(CALLS, 4 + _FRAME_BYTES)
        self._packets = np.zeros((PACKETS_A_FRAME * CALLS, PACKET_BYTES), np.uint8)
        self._packet_lengths = np.zeros(PACKETS_A_FRAME * CALLS, np.uint64)
        self._destinations = np.zeros(PACKETS_A_FRAME * CALLS, np.uint64)
        self._number = 0

    @contextmanager
    def _counting(self, step: str) -> Iterator[None]:
        begun = time.process_time_ns()
        yield
        self.spent[step] += time.process_time_ns() - begun

    def turn(self, size: int) -> None:
        """Let 20 ms pass: everybody says one frame, and `size` of them arrive at a time."""
        self._number += 1
        self._rtp[:, 2:4] = np.full(1, self._number, ">u2").view(np.uint8)
        self._rtp[:, 4:8] = np.full(1, 160 * self._number, ">u4").view(np.uint8)
        for first in range(0, CALLS, size):
            rows = np.arange(first, min(first + size, CALLS))
            self._up(rows)
            self._down(rows)
        for _ in range(PHASES):
            self.now += 0.020 / PHASES
            self._tick()

    def _up(self, rows: Rows) -> None:
        some = slice(rows[0], rows[-1] + 1)
        with self._counting("receive RTP"):
            received = list(self.plane.receive(self._rtp[some], self._lengths[some], self._sources[some], now=self.now))
        with self._counting("messages to bots"):
            for frames in received:
                for _ in self.bridge._from_caller(frames, now=self.now):  # noqa: SLF001
                    pass

    def _down(self, rows: Rows) -> None:
        some = slice(rows[0], rows[-1] + 1)
        with self._counting("messages from bots"):
            played = self.bridge.playback.play_frames(rows, self._said[some], self._said_lengths[some], now=self.now)
        assert played.all()

    def _tick(self) -> None:
        for _ in range(self.bridge.ticks_due(now=self.now)):
            with self._counting("send RTP"):
                self.bridge.tick(self._packets, self._packet_lengths, self._destinations, now=self.now)
        with self._counting("time passes"):
            for _ in self.bridge.handle_timeout(now=self.now):
                pass


def _address(number: int) -> int:
    return address_key("192.0.2.1", 10000 + 2 * number)


def measure(mix: MixMode, size: int) -> dict[str, float]:
    """Return the µs that each step needs for a frame, in batches of `size` rows: the best of some runs."""
    talk = Talk(mix)
    for _ in range(_WARM_UP):
        talk.turn(size)
    best: dict[str, float] = {}
    for _ in range(_RUNS):
        talk.spent.clear()
        for _ in range(_TURNS):
            talk.turn(size)
        for step, ns in talk.spent.items():
            best[step] = min(best.get(step, np.inf), ns / 1000 / CALLS / _TURNS)
    return best


def report(mix: MixMode, sizes: list[int]) -> None:
    """Print a table: a row a step, a column a size."""
    columns = [measure(mix, size) for size in sizes]
    print(f"| µs a frame, {mix.value} | " + " | ".join(f"{size} rows" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for step in columns[0]:
        print(f"| {step} | " + " | ".join(f"{column[step]:.2f}" for column in columns) + " |")
    print("| sum | " + " | ".join(f"{sum(column.values()):.2f}" for column in columns) + " |")


if __name__ == "__main__":
    mix, sizes = MixMode.MONO, BATCHES
    for argument in sys.argv[1:]:
        if argument.isdigit():
            sizes = [*(sizes if sizes is not BATCHES else []), int(argument)]
        else:
            mix = MixMode(argument)
    report(mix, sizes)
