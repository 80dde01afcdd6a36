"""The clips of many streams on their way to one decoder: order, bounds, and the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from rtp import Codec, Leg, MediaPlane, address_key
from sidecar.core.bridge import Bridge
from sidecar.core.clip import Clip, ClipKind
from sidecar.core.link import StreamTold
from sidecar.core.options import StreamOptions
from sidecar.core.player import Player
from sidecar.io import clips as clips_module
from sidecar.io.clip_decoder import ClipDecoder
from sidecar.io.clips import Clips
from tests.support.clips import encoded_file, stream_audio
from tests.support.tones import make_tone


class Rig:
    """A player of a call, and the clips that it has."""

    def __init__(self) -> None:
        plane = MediaPlane(1, Random(1))
        row = plane.open(Leg(Codec.PCMU, 0, 0, address_key("192.0.2.1", 5000)))
        assert row is not None
        self.bridge = Bridge(plane, random_bytes=Random(2).randbytes)
        options = StreamOptions(url="ws://bot.example")
        self.bridge.open(row, options, playout_seconds=60.0)
        self.player = Player("one", row, options, self.bridge)
        self.done = asyncio.Event()

    def add(self, clips: Clips, data: dict[str, object]) -> None:

        self.player.receive(json.dumps({"type": "streamAudio", "data": data}), now=0.0)
        for clip in self.player.clips:
            clips.add("one", self.player, clip, done=self.done.set)
        self.player.clips.clear()

    @property
    def errors(self) -> list[str]:
        return [each.body for each in self.player.messages if isinstance(each, StreamTold) and each.kind == "error"]

    async def queued(self, size: int) -> None:
        async with asyncio.timeout(10.0):
            while self.bridge.playback.buffer(0).queued_bytes < size:
                self.done.clear()
                await self.done.wait()


def raw(size: int) -> dict[str, object]:
    return stream_audio(bytes(size), "raw", sampleRate=8000)


def mp3(seconds: float) -> dict[str, object]:
    tone = make_tone(437.0, level_dbfs=-12.0, seconds=seconds, rate=24000)
    return stream_audio(encoded_file(tone, 24000, container="mp3", codec="libmp3lame"), "mp3")


@asynccontextmanager
async def new_clips() -> AsyncIterator[Clips]:
    clips = Clips(ClipDecoder(), loop=asyncio.get_running_loop())
    try:
        yield clips
    finally:
        await clips.close()


async def test_clips_of_one_stream_are_queued_in_order_and_whole() -> None:
    async with new_clips() as clips:
        rig = Rig()
        rig.add(clips, raw(400_001))
        rig.add(clips, mp3(1.0))
        rig.add(clips, raw(99_999))
        await rig.queued(500_000 + 16_000)
        assert rig.errors == []


async def test_too_much_that_waits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with new_clips() as clips:
        monkeypatch.setattr(clips_module, "_MOST_BYTES", 1000)
        rig = Rig()
        rig.add(clips, raw(600))
        rig.add(clips, raw(600))
        assert len(rig.errors) == 1
        assert "too much audio waits to be decoded" in rig.errors[0]
        await rig.queued(600)
        await asyncio.sleep(0)
        rig.add(clips, raw(600))
        await rig.queued(1200)


async def test_a_clip_that_nobody_waits_for_is_not_decoded() -> None:
    async with new_clips() as clips:
        rig = Rig()
        rig.add(clips, stream_audio(b"nonsense", "mp3"))
        rig.player.closed = True
        async with asyncio.timeout(5.0):
            await rig.done.wait()
        assert rig.errors == []
        assert clips._decoder.restarts == 0


async def test_a_mistake_of_ours_costs_one_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    async with new_clips() as clips:

        async def broken(*_: object, **__: object) -> AsyncGenerator[bytes, None]:
            raise AssertionError("a mistake")
            yield b""

        rig = Rig()
        with monkeypatch.context() as patch:
            patch.setattr(clips._decoder, "decode", broken)
            rig.add(clips, stream_audio(b"nonsense", "mp3"))
            async with asyncio.timeout(5.0):
                await rig.done.wait()
        assert "internal error" in rig.errors[0]
        rig.add(clips, raw(320))
        await rig.queued(320)


async def test_the_end_leaves_nothing() -> None:
    async with new_clips() as clips:
        rig = Rig()
        rig.add(clips, mp3(60.0))
        rig.add(clips, raw(320))
        await asyncio.sleep(0)
        await clips.close()
        assert not clips._tasks


async def test_what_waits_for_its_turn_and_is_cleared_is_left_out() -> None:
    turns: list[int] = []
    async with ClipDecoder() as decoder:
        async for _ in decoder.decode("one", Clip(ClipKind.PCMU, 8000, "AAAA"), 8000, wanted=lambda: bool(turns)):
            raise AssertionError("not wanted")
        turns.append(1)
        assert [len(pcm) async for pcm in decoder.decode("one", Clip(ClipKind.PCMU, 8000, "AAAA"), 8000)] == [6]
