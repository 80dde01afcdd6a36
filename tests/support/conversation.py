"""A caller and a bot that talk to each other through bridge and player, in virtual time."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from rtp import FRAME_MS, PACKET_BYTES, Codec, Leg, MediaPlane, Pcm, RtpPacket, address_key
from rtp.payload_coding import new_decoder, new_encoder
from sidecar.core.bridge import PHASES, Bridge
from sidecar.core.link import StreamTold
from sidecar.core.options import StreamOptions
from sidecar.core.player import Player
from tests.support.rtp_sender import batch_of
from tests.support.tones import make_tone

TICK = 0.005
FRAME = FRAME_MS / 1000
ADDRESS = address_key("192.0.2.1", 5000)

Samples = npt.NDArray[np.float64]


def talk(seconds: float, *, rate: int = 8000, dbfs: float = -20.0) -> Pcm:
    """Make syllables of 200 ms, with a dip of 60 ms after each, as speech has them."""
    tone = make_tone(440.0, level_dbfs=dbfs, seconds=seconds, rate=rate)
    return np.where(np.arange(len(tone)) * 1000 // rate % 260 < 200, tone, 0).astype(np.int16)


class Conversation:
    """One call: what is heard of it, frame by frame, and what the bot and the outside are told, and when."""

    def __init__(self, *, codec: Codec = Codec.L16_8K, row: int = 0, **options: Any) -> None:
        self.now = 0.0
        self.heard: list[Pcm] = []
        self.told: list[tuple[float, dict[str, Any]]] = []
        self.events: list[tuple[float, str, Any]] = []
        self.rate = codec.sample_rate
        self._codec = codec
        self.plane = MediaPlane(row + 1, Random(1))
        self.bridge = Bridge(self.plane, random_bytes=Random(2).randbytes)
        for _ in range(row):  # calls that want nothing of this
            other = self.plane.open(Leg(codec, 96, 96, None))
            assert other is not None
            self.bridge.open(other, StreamOptions(url="ws://bot.example"), playout_seconds=1.0)
        taken = self.plane.open(Leg(codec, 96, 96, ADDRESS))
        assert taken == row
        self.row = row
        self.options = StreamOptions(url="ws://bot.example", preroll=0, **options)
        self.bridge.open(row, self.options, playout_seconds=60.0)
        self.bridge.start(row)
        self.player = Player("one", row, self.options, self.bridge)
        self.frames_said = 0
        self._encoder, self._decoder = new_encoder(codec), new_decoder(codec)
        self._packets = np.zeros((row + 1, PACKET_BYTES), np.uint8)
        self._lengths = np.zeros(row + 1, np.uint64)
        self._destinations = np.zeros(row + 1, np.uint64)

    # --- what is said

    def bot_says(self, pcm: Pcm) -> None:
        """Let the bot send audio, all at once."""
        self.player.play(pcm.astype("<i2").tobytes(), now=self.now)

    def bot_asks(self, kind: str, **data: object) -> None:
        """Let the bot send a text."""
        self.player.receive(json.dumps({"type": kind, "data": data}), now=self.now)
        self._take()

    def caller_says(self, pcm: Pcm) -> None:
        """Let the caller say something, for as long as it takes; its packets come every 20 ms."""
        size = self.rate // 50
        for frame in pcm[: len(pcm) // size * size].reshape(-1, size):
            self._tick(FRAME)
            packet = RtpPacket(
                96, self.frames_said, self.frames_said * self._codec.frame_ticks, 7, self._encoder.encode(frame)
            )
            self.frames_said += 1
            list(self.bridge.receive(*batch_of([(bytes(packet), ADDRESS)]), now=self.now))

    def silence(self, seconds: float) -> None:
        """Let the caller say nothing, in packets."""
        self.caller_says(np.zeros(round(seconds * self.rate), np.int16))

    def pause(self, seconds: float) -> None:
        """Let nothing come of the caller."""
        self._tick(seconds)

    # --- what became of it

    def texts(self, kind: str) -> list[dict[str, Any]]:
        """What the bot was told of one type."""
        return [text["data"] for _, text in self.told if text["type"] == kind]

    def vad(self, event: str) -> list[dict[str, Any]]:
        """The events `vad` of one kind."""
        return [body for _, kind, body in self.events if kind == "vad" and body["event"] == event]

    def frame_at(self, seconds: float) -> int:
        """The number of the frame that is heard first at that time or later."""
        return max(0, int(np.ceil((seconds - self.time_of(0)) / FRAME - 1e-6)))

    def time_of(self, frame: int) -> float:
        """When the frame of that number was heard."""
        return self.row % PHASES * TICK + frame * FRAME

    # --- how it works

    def _tick(self, seconds: float) -> None:
        until = self.now + seconds
        while (at := self.bridge.next_tick() or 0.0) < until - TICK / 2:
            self.now = at
            for row, news in self.bridge.speech.take_news():
                assert row == self.row
                self.player.hear(news, now=at)
                self._take()
            for _ in range(self.bridge.ticks_due(now=at)):
                count, _ = self.bridge.tick(self._packets, self._lengths, self._destinations, now=at)
                for packet, length in zip(self._packets[:count], self._lengths.tolist(), strict=False):
                    payload = RtpPacket.parse(packet[:length].tobytes()).payload
                    self.heard.append(self._decoder.decode(payload))
            list(self.bridge.handle_timeout(now=at))
            for _, event in self.bridge.playback.take_news():
                self.player.tell(event)
            self._take()
        self.now = until

    def _take(self) -> None:
        self.told += [(self.now, json.loads(text)) for text in self.player.texts]
        for message in self.player.messages:
            if isinstance(message, StreamTold):
                self.events.append((self.now, message.kind, json.loads(message.body)))
        self.player.texts.clear()
        self.player.messages.clear()
