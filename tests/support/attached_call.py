"""A `Bridge` with one stream over one leg or two, in virtual time: RTP comes and goes, messages are kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from random import Random
from typing import Any

import numpy as np

from rtp import PACKET_BYTES, Codec, Leg, MediaPlane, Pcm, RtpPacket, address_key
from sidecar.core.bridge import PHASES, Bridge, Messages
from sidecar.core.options import StreamOptions, Track
from tests.support.rtp_sender import batch_of
from tests.support.websocket_messages import messages_by_row

TICK = 0.020 / PHASES
CAPACITY = 8


class AttachedCall:
    """One stream; its legs are named by their ports. L16 leaves samples as they are."""

    def __init__(self, *, codec: Codec = Codec.L16_8K, calls_before: int = 0, **options: Any) -> None:
        self.plane = MediaPlane(CAPACITY, Random(1))
        self.bridge = Bridge(self.plane, random_bytes=Random(2).randbytes)
        self.options = StreamOptions(url="ws://bot.example", preroll=0, **options)
        self.now = 100.0
        self.heard: dict[int, list[bytes]] = defaultdict(list)  # messages, by row
        self.sent: dict[int, list[Pcm]] = defaultdict(list)  # frames, by row
        self._numbers: dict[int, int] = defaultdict(int)
        self._rows: dict[int, int] = {}  # by the address
        self._arrays = (np.zeros((64, PACKET_BYTES), np.uint8), np.zeros(64, np.uint64), np.zeros(64, np.uint64))
        for _ in range(calls_before):
            self._row(Codec.PCMU)
        self.row = self._row(codec)
        self.bridge.open(self.row, self.options, playout_seconds=10.0)

    def join(self, track: Track, *, codec: Codec = Codec.L16_8K) -> int:
        """Let another leg come; return its row."""
        row = self._row(codec)
        self.bridge.join(row, self.row, track, self.options)
        return row

    def change(self, row: int, codec: Codec) -> None:
        """Let a leg have another codec."""
        assert self.plane.change(row, self._leg(row, codec), now=self.now)
        self.bridge.change(row)

    def speak(self, row: int, frame: Pcm, *, at: float | None = None, number: int | None = None) -> None:
        """Let a frame come over a leg: the next one, or that of a number."""
        codec = self.plane.codec(row)
        number = self._numbers[row] if number is None else number
        self._numbers[row] = number + 1
        packet = RtpPacket(
            payload_type=_payload_type(codec),
            sequence_number=number % (1 << 16),
            timestamp=number * codec.frame_ticks % (1 << 32),
            ssrc=row + 1,
            payload=frame.astype(">i2").tobytes(),
        )
        now = self.now if at is None else at
        self._keep(self.bridge.receive(*batch_of([(bytes(packet), _address(row))], width=1024), now=now))

    def say(self, samples: Pcm) -> None:
        """Let the bot speak."""
        self.bridge.playback.play(self.row, samples.astype("<i2").tobytes(), now=self.now)

    def run(self, *, until: float) -> None:
        """Let the grid go on."""
        while self.now < until - TICK / 2:
            for _ in range(self.bridge.ticks_due(now=self.now)):
                count, messages = self.bridge.tick(*self._arrays, now=self.now)
                packets, lengths, destinations = (array[:count] for array in self._arrays)
                for packet, length, address in zip(packets, lengths.tolist(), destinations.tolist(), strict=True):
                    payload = RtpPacket.parse(packet[:length].tobytes()).payload
                    self.sent[self._rows[address]].append(np.frombuffer(payload, ">i2").astype(np.int16))
                self._keep(messages)
            self._keep(self.bridge.handle_timeout(now=self.now))
            self.now = self.bridge.next_tick() or self.now

    def talk(self, frames: dict[int, Pcm], count: int) -> None:
        """Let the same frame come over each leg, every 20 ms, `count` times."""
        for _ in range(count):
            for row, frame in frames.items():
                self.speak(row, frame)
            self.run(until=self.now + 0.020)

    def heard_by_bot(self, *, channels: int = 1) -> Pcm:
        """Return what the bot has heard, int16[channels, samples]."""
        return np.frombuffer(b"".join(self.heard[self.row]), "<i2").reshape(-1, channels).T

    def _keep(self, messages: Iterable[Messages]) -> None:
        for row, more in messages_by_row(messages).items():
            self.heard[row] += more

    def _row(self, codec: Codec) -> int:
        row = self.plane.open(self._leg(len(self._rows), codec))
        assert row == len(self._rows)
        self._rows[_address(row)] = row
        return row

    def _leg(self, row: int, codec: Codec) -> Leg:
        return Leg(codec, _payload_type(codec), _payload_type(codec), _address(row))


def _address(row: int) -> int:
    return address_key("192.0.2.1", 5000 + 2 * row)


def _payload_type(codec: Codec) -> int:
    return 96 + int(codec)
