#!/usr/bin/env python3
"""Measures barge-in: how soon it comes, what else brings it about, and what it costs to listen.

Needs espeak-ng, as `bench.voice` does.

    python -m bench.barge_in
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import itertools
from collections.abc import Iterator
from random import Random
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from bench.timing import microseconds
from bench.voice import RATE, Samples, conversation, noise, speak
from rtp import PACKET_BYTES, Codec, Frames, Leg, MediaPlane, Rows, address_key
from sidecar.core import barge_ins
from sidecar.core.bridge import PHASES, Bridge
from sidecar.core.options import BargeIn, EventKind, StreamOptions
from sidecar.core.speech_events import BargedIn
from sidecar.core.speech_rows import SpeechRows

_FRAME = RATE // 50
_TURNS = 15
_BOT_TEXT = (
    "I can help you with that. Your order was sent on Monday, and it should be with you by the end of this week."
)


def pcm_frames(samples: Samples) -> NDArray[np.int16]:
    pcm = np.rint(samples).clip(-32768, 32767).astype(np.int16)
    return pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, 1, _FRAME)


def bot_speech(count: int) -> Samples:
    """Return so many samples of a bot that talks, and is silent for a second, 7 dB louder than the callers."""
    speech = speak(_BOT_TEXT, "en-us+f3") * 10 ** (7 / 20)
    return np.resize(np.concatenate([speech, np.zeros(RATE)]), count)


def barge_in_times(caller: Samples, bot: Samples) -> list[float]:
    """Return the seconds at which the caller interrupted the bot, which talks on."""
    speech, row, times = SpeechRows(1), np.array([0]), []
    speech.open(0, StreamOptions(url="ws://bot.example", barge_in=BargeIn.CLEAR))
    for number, (heard, played) in enumerate(zip(pcm_frames(caller), pcm_frames(bot), strict=False)):
        at = 0.02 * (number + 1)
        speech.played(Frames(row, played), np.array([True]), now=at)
        speech.process(Frames(row, heard), now=at)
        times += [at for _, news in speech.take_news() if isinstance(news, BargedIn)]
    return times


def interrupting(generator: np.random.Generator) -> None:
    speech, spans = conversation(generator)
    print("| noise of the caller, SNR | sentences that interrupt | after, ms: median, worst | where nobody began |")
    print("|---|---|---|---|")
    bot = bot_speech(len(speech))
    for snr in (40, 20, 15, 10):
        level = np.sqrt((speech[np.abs(speech) > 300] ** 2).mean() / 10 ** (snr / 10))
        times = barge_in_times(speech + noise("pink", len(speech), generator) * level, bot)
        found = [[at for at in times if start - 0.04 <= at <= end + 0.1] for start, end in spans]
        late = sorted(1000 * (each[0] - start) for each, (start, _) in zip(found, spans, strict=True) if each)
        stray = len(times) - sum(map(len, found))
        print(f"| {snr} dB | {len(late)} of {len(spans)} | {late[len(late) // 2]:.0f}, {late[-1]:.0f} | {stray} |")


def echoes(generator: np.random.Generator) -> None:
    bot = bot_speech(60 * RATE)
    hiss = noise("pink", len(bot), generator) * 32768 * 10 ** (-60 / 20)
    print("| echo | later, ms | times a minute that the bot interrupts itself | without the rule of 20 dB |")
    print("|---|---|---|---|")
    for loss in (12, 18, 24, 30, 40):
        for delay in (0.02, 0.2, 0.4):
            echo = np.concatenate([np.zeros(int(delay * RATE)), bot])[: len(bot)] * 10 ** (-loss / 20)
            caller = echo + hiss
            with mock.patch.object(barge_ins, "ECHO", 0.0):
                without = len(barge_in_times(caller, bot))
            print(f"| -{loss} dB | {1000 * delay:.0f} | {len(barge_in_times(caller, bot))} | {without} |")


class Calls:
    """Calls of a bridge whose callers and bots talk all the time."""

    def __init__(self, rows: int, options: StreamOptions) -> None:
        plane = MediaPlane(rows, Random(1))
        self._bridge = Bridge(plane, random_bytes=os.urandom)
        for number in range(rows):
            row = plane.open(Leg(Codec.PCMU, 0, 0, address_key("192.0.2.1", 1024 + number)))
            assert row is not None
            self._bridge.open(row, options, playout_seconds=1.0)
            self._bridge.start(row)
        self._rows: Rows = np.arange(rows)
        self._sources = np.array([address_key("192.0.2.1", 1024 + number) for number in range(rows)], np.uint64)
        generator = np.random.default_rng(1)
        self._data = np.zeros((rows, 172), np.uint8)
        self._data[:, 0] = 0x80
        self._loud = generator.integers(0, 256, (rows, 160)).astype(np.uint8)
        self._lengths = np.full(rows, 172, np.uint32)
        self._said = np.zeros((rows, 324), np.uint8)
        self._said[:, :4] = (0x82, 0x7E, 0x01, 0x40)
        self._said[:, 4:] = generator.integers(-3000, 3000, (rows, 160)).astype("<i2").view(np.uint8)
        self._said_lengths = np.full(rows, 324)
        self._packets = np.zeros((rows, PACKET_BYTES), np.uint8)
        self._packet_lengths, self._destinations = np.zeros(rows, np.uint64), np.zeros(rows, np.uint64)
        self._number = 0

    def step(self) -> None:
        """Let 20 ms pass."""
        number, now = self._number, 0.02 * self._number
        self._number += 1
        self._data[:, 2:4] = np.frombuffer((number & 0xFFFF).to_bytes(2), np.uint8)
        self._data[:, 4:8] = np.frombuffer((160 * number & 0xFFFFFFFF).to_bytes(4), np.uint8)
        self._data[:, 12:] = self._loud if number % 13 < 10 else 0xFF
        for _ in self._bridge.receive(self._data, self._lengths, self._sources, now=now):
            pass
        self._bridge.playback.play_frames(self._rows, self._said, self._said_lengths, now=now)
        for _ in range(PHASES):
            self._bridge.tick(self._packets, self._packet_lengths, self._destinations, now=now)
        self._bridge.speech.take_news()


def wanting() -> Iterator[tuple[str, StreamOptions]]:
    url = "ws://bot.example"
    yield "nothing", StreamOptions(url=url, preroll=0)
    yield "EVENTS=vad", StreamOptions(url=url, preroll=0, events=frozenset({EventKind.VAD}))
    yield "BARGE_IN=clear", StreamOptions(url=url, preroll=0, barge_in=BargeIn.CLEAR)
    yield "BARGE_IN=duck, all lowered", StreamOptions(url=url, preroll=0, barge_in=BargeIn.DUCK)


def cost() -> None:
    """Take turns, so that whatever else this machine does meets all alike."""
    sizes, names = (1, 10, 100, 500), [name for name, _ in wanting()]
    best = dict.fromkeys(itertools.product(names, sizes), float("inf"))
    for size in sizes:
        calls = {name: Calls(size, options) for name, options in wanting()}
        for name in names * _TURNS:
            spent = microseconds(calls[name].step, rows=size, frames=400, runs=1)
            best[name, size] = min(best[name, size], spent)
    print(f"| wanted | {' | '.join(f'{size} calls' for size in sizes)} |")
    print(f"|---|{'---|' * len(sizes)}")
    for name in names:
        print(f"| {name} | {' | '.join(f'{best[name, size]:.1f}' for size in sizes)} |")


if __name__ == "__main__":
    numbers = np.random.default_rng(3)
    for part in (interrupting, echoes):
        part(numbers)
        print()
    cost()
