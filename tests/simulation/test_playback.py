"""What a caller hears of a bot that clears, bursts and stalls: through player and bridge, in virtual time."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from rtp import PACKET_BYTES, Codec, Leg, MediaPlane, Pcm, RtpPacket, address_key
from sidecar.core.bridge import Bridge
from sidecar.core.options import StreamOptions
from sidecar.core.player import Player
from tests.support.tones import find_tone, gaps, make_tone

TICK = 0.005
FRAME = 160
HZ = 437.0


class Listener:
    """One call whose codec keeps every bit: what is heard, frame by frame, and what the bot is told."""

    def __init__(self, **options: object) -> None:
        self.now = 0.0
        self.frames: list[Pcm] = []
        self.told: list[dict[str, Any]] = []
        self._plane = MediaPlane(4, Random(1))
        self.bridge = Bridge(self._plane, random_bytes=Random(2).randbytes)
        address = address_key("192.0.2.1", 5000)
        row = self._plane.open(Leg(Codec.L16_8K, 96, 96, address))
        assert row is not None
        stream = StreamOptions(url="ws://bot.example", **options)  # type: ignore[arg-type]
        self.bridge.open(row, stream, playout_seconds=stream.playback_max)
        self.bridge.start(row)
        self.player = Player("one", row, stream, self.bridge)
        self._packets = np.zeros((4, PACKET_BYTES), np.uint8)
        self._lengths = np.zeros(4, np.uint64)
        self._destinations = np.zeros(4, np.uint64)

    def say(self, kind: str, **data: object) -> None:
        self.player.receive(json.dumps({"type": kind, "data": data}), now=self.now)
        self._take()

    def play(self, audio: bytes) -> None:
        self.player.play(audio, now=self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (at := self.bridge.next_tick() or 0.0) < until - TICK / 2:
            self.now = at
            for _ in range(self.bridge.ticks_due(now=at)):
                count, _ = self.bridge.tick(self._packets, self._lengths, self._destinations, now=at)
                for packet, length in zip(self._packets[:count], self._lengths.tolist(), strict=False):
                    payload = RtpPacket.parse(packet[:length].tobytes()).payload
                    self.frames.append(np.frombuffer(payload, ">i2").astype(np.int16))
            for _, event in self.bridge.playback.take_news():
                self.player.tell(event)
            self._take()
        self.now = until

    def _take(self) -> None:
        self.told += [json.loads(text) for text in self.player.texts]
        self.player.texts.clear()

    def samples_heard(self, since: int) -> int:
        """Return how many samples of the frames from that one on were not silence."""
        return sum(int(np.count_nonzero(frame)) for frame in self.frames[since:])

    def answers(self, kind: str) -> list[dict[str, Any]]:
        return [text["data"] for text in self.told if text["type"] == kind]


@pytest.mark.parametrize("seed", range(4))
def test_clear_at_any_moment(seed: int) -> None:
    """250 times for each seed: silence within a packet, milliseconds that are true, one answer for each mark."""
    random = Random(seed)
    listener = Listener(preroll=random.choice([0, 60]))
    marks: list[str] = []
    for number in range(250):
        since, queued = len(listener.frames), 0  # since the queue was last empty
        for _ in range(random.randrange(1, 6)):
            if 2 * listener.samples_heard(since) == queued:
                since, queued = len(listener.frames), 0
            size = random.choice([FRAME * 2, FRAME * 2, FRAME * 20, random.randrange(2, 9000) // 2 * 2])
            listener.play(np.full(size // 2, 1000, "<i2").tobytes())
            queued += size
            if random.random() < 0.5:
                marks.append(f"{number}-{len(marks)}")
                listener.say("mark", name=marks[-1])
            if random.random() < 0.5:
                listener.run(random.choice([0.005, 0.02, 0.06]))
        listener.run(random.choice([0.0, 0.01, 0.02, 0.1, 0.3]))
        heard = listener.samples_heard(since)
        if 2 * heard == queued:
            heard = queued = 0
        listener.say("clear")
        cleared_at = len(listener.frames)
        cleared = listener.answers("cleared")[-1]
        assert len(listener.answers("cleared")) == number + 1
        assert cleared["played_ms"] == heard // 8
        assert cleared["played_ms"] + cleared["dropped_ms"] == queued // 16
        assert set(cleared["marks"]) <= set(marks)
        listener.run(0.2)
        assert not any(frame.any() for frame in listener.frames[cleared_at:])
        assert Counter(each["name"] for each in listener.answers("mark")) == Counter(marks)


def test_half_an_hour_in_thirty_seconds_is_queued_up_to_the_bound_and_played_without_a_gap() -> None:
    bound = 600
    listener = Listener(preroll=60, playback_max=bound, events=frozenset())
    second = make_tone(440.0, level_dbfs=-12.0, seconds=1.0, rate=8000).astype("<i2").tobytes()  # whole periods
    for _ in range(30):
        for _ in range(60):
            listener.play(second)
        listener.run(1.0)
    buffer = listener.bridge.playback.totals(0)
    taken = 1800 - buffer.refused_ms / 1000
    assert bound <= taken <= bound + 30
    listener.run(taken - 30 + 1.0)
    heard = np.concatenate(listener.frames)
    loud = np.flatnonzero(heard)
    assert (loud[-1] - loud[0] + 1) / 8000 == pytest.approx(taken, abs=0.05)
    ten = 10 * 8000
    for at in range(int(loud[0]), int(loud[-1]) - ten, 20 * ten):
        assert gaps(heard[at : at + ten], 8000) == []
    silences = [
        len(list(group)) for quiet, group in itertools.groupby(frame.any() for frame in listener.frames) if not quiet
    ]
    assert len(silences) <= 2  # before and after
    assert listener.bridge.playback.totals(0).underruns == 0


@pytest.mark.parametrize("engine", [False, True], ids=["rows", "engine"])
@pytest.mark.parametrize(("preroll", "bridges"), [(400, True), (60, False)])
def test_bursts_and_stalls_that_the_preroll_can_bridge(engine: bool, preroll: int, bridges: bool) -> None:
    """Chunks of 20 ms, each made in its time, arrive in bursts of 100 ms; now and then nothing arrives for 300 ms."""
    listener = Listener(preroll=preroll)
    if engine:
        listener.bridge.playback.queue(0, keep=True)
    said = make_tone(HZ, level_dbfs=-12.0, seconds=6.0, rate=8000).astype("<i2").tobytes()
    chunks = [said[at : at + 320] for at in range(0, len(said), 320)]
    random = Random(1)
    while chunks:
        late = random.choice([0.1, 0.1, 0.1, 0.3])
        listener.run(late)
        for chunk in chunks[: round(late / 0.02)]:
            listener.play(chunk)
        del chunks[: round(late / 0.02)]
    listener.run(1.0)
    heard = np.concatenate(listener.frames)
    loud = np.flatnonzero(heard)
    middle = heard[loud[0] : loud[-1] + 1]
    assert np.count_nonzero(middle) > 0.98 * 6 * 8000, "nothing of it is lost"
    if not bridges:
        assert gaps(middle, 8000) != []
        return
    assert len(middle) == pytest.approx(6 * 8000, abs=2)
    assert gaps(middle, 8000) == []
    assert find_tone(middle, 8000).frequency_hz == pytest.approx(HZ, abs=0.5)
