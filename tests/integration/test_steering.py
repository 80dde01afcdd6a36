"""Live streams, steered from outside: real calls, real bots."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from sidecar.core.commands import (
    Change,
    ClearPlayback,
    Command,
    End,
    Pause,
    PausePlayback,
    Play,
    Resume,
    ResumePlayback,
    Say,
)
from sidecar.core.errors import CommandError
from sidecar.core.events import StreamEvent
from sidecar.core.stream_snapshot import StreamSnapshot
from sidecar.io import bot_care, live_changes
from sidecar.io.caller import CallPlan, CallResult, place_call
from sip import SipUri
from tests.support.bots import Bot, BotCall
from tests.support.clips import stream_audio
from tests.support.live_call import live_call
from tests.support.ports import free_port
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.tones import Pcm, find_tone, make_tone

SILENCE = np.zeros(0, np.int16)


@dataclass
class Live:
    """A call, its bot, and all that was told of it."""

    car: SidecarUnderTest
    bot: Bot
    call: asyncio.Task[CallResult]
    events: list[StreamEvent]

    @property
    def seen(self) -> StreamSnapshot:
        (stream,) = self.car.sidecar.steering.streams()
        return stream

    def ask(self, command: Command) -> None:
        self.car.sidecar.steering.obey(self.seen.id, command)

    async def until(self, kind: str, *, within: float = 5.0) -> StreamEvent:
        """Wait for the first event of a kind."""
        async with asyncio.timeout(within):
            while True:
                for event in self.events:
                    if event.kind == kind:
                        return event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def live(*, says: Pcm = SILENCE, seconds: float = 2.0, **stream: str) -> AsyncIterator[Live]:
    events: list[StreamEvent] = []
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url, "preroll": "0", **stream}) as car:
        car.sidecar.events.subscribe(events.append)
        call = asyncio.create_task(place_call(CallPlan(SipUri.parse(car.uri()), says, seconds)))
        try:
            await bot.connected()
            await bot.received(5)
            yield Live(car, bot, call, events)
            await call
            await car.until_no_calls()
        finally:
            call.cancel()


def raw(pcm: Pcm) -> bytes:
    return pcm.astype("<i2").tobytes()


async def test_a_stream_is_seen_and_counted_while_it_is_up() -> None:
    async with live(call="a-uuid", rate="16k") as it:
        await it.bot.received(10)
        assert (it.seen.state, it.seen.bot, it.seen.call, it.seen.rate) == ("up", "connected", "a-uuid", 16000)
        first, second = await asyncio.gather(*(it.car.sidecar.steering.stats(it.seen.id) for _ in range(2)))
        assert first.messages_sent >= 10
        assert second.packets_received >= first.packets_received > 0
        last = asyncio.create_task(it.car.sidecar.steering.stats(it.seen.id))
        stream = it.seen.id
        it.ask(End())
        assert (await last).packets_received >= second.packets_received
    assert [event.kind for event in it.events] == ["start", "connect", "disconnect", "stop"]
    assert [event.sequence for event in it.events] == [1, 2, 3, 4]
    with pytest.raises(CommandError, match="no such stream"):
        it.car.sidecar.steering.stream(stream)


async def test_a_paused_stream_hears_nothing_of_what_is_said_meanwhile() -> None:
    says = make_tone(437.0, level_dbfs=-12.0, seconds=3.0, rate=8000)
    async with live(says=says, seconds=3.0, buffer_size="100") as it:
        it.ask(Pause())
        await asyncio.sleep(0.2)
        before = len(it.bot.call.binaries)
        await asyncio.sleep(0.5)
        assert len(it.bot.call.binaries) == before
        stats = await it.car.sidecar.steering.stats(it.seen.id)
        assert stats.messages_sent == before
        it.ask(Resume())
        await it.bot.received(before + 5)
        await it.call
        await it.bot.closed()
    heard = len(it.bot.call.heard) / 8000
    assert heard < 3.0 - 0.6
    assert find_tone(it.bot.call.heard[-4000:], 8000).frequency_hz == pytest.approx(437.0, abs=2.0)


async def test_the_outside_plays_pauses_and_clears() -> None:
    tone = make_tone(437.0, level_dbfs=-12.0, seconds=5.0, rate=8000)
    async with live(seconds=3.0, events="playback") as it:
        it.ask(PausePlayback())
        it.ask(Play({**stream_audio(raw(tone), "raw", sampleRate=8000), "id": "ours"}))
        event = await it.until("play")
        assert event.body.value() == {"audioDataType": "raw", "sampleRate": 8000, "id": "ours"}
        await asyncio.sleep(0.3)
        it.ask(ResumePlayback())
        await asyncio.sleep(0.7)
        it.ask(ClearPlayback())
        cleared = (await it.until("playback")).body.value()
        assert cleared["event"] == "cleared"
        assert cleared["played_ms"] + cleared["dropped_ms"] == 5000
        assert 400 <= cleared["played_ms"] <= 1000
        recording = (await it.call).recording
    loud = np.abs(recording.heard) > 1000
    assert 8 * 400 < np.flatnonzero(loud).size < 8 * 1000
    assert any('"cleared"' in text for text in it.bot.call.texts)


async def test_texts_reach_the_bot_the_last_one_too() -> None:
    async with live(metadata="hello") as it:
        it.ask(Say("one"))
        it.ask(Say("two"))
        it.ask(End("bye"))
        await it.call
        await it.bot.closed()
    assert it.bot.call.texts == ["hello", "one", "two", "bye"]
    assert it.bot.call.close_code == 1000


async def test_texts_wait_while_the_bot_is_away() -> None:
    async with live(seconds=4.0) as it:
        it.bot.drop()
        await it.until("reconnecting")
        it.ask(Say("late"))
        await it.until("reconnected")
        async with asyncio.timeout(5.0):
            while "late" not in it.bot.calls[-1].texts:  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(0.01)
        it.ask(End())


async def test_the_format_of_a_live_stream_changes() -> None:
    says = make_tone(437.0, level_dbfs=-12.0, seconds=6.0, rate=8000)
    async with live(says=says, seconds=4.0, events="call") as it:
        it.ask(Change({"rate": "16k", "mix": "stereo", "buffer_size": "100"}))
        await it.bot.received(len(it.bot.call.messages) + 15)
        assert (it.seen.rate, it.seen.mix, it.seen.buffer_size) == (16000, "stereo", 100)
        it.ask(Change({"mix": "mono"}))
        await it.call
        await it.bot.closed()
    changed = [at for at, message in enumerate(it.bot.call.messages) if '"changed"' in str(message.data)]
    first, second, third = (
        [len(message.data) for message in part if isinstance(message.data, bytes)]
        for part in (
            it.bot.call.messages[: changed[0]],
            it.bot.call.messages[changed[0] : changed[1]],
            it.bot.call.messages[changed[1] :],
        )
    )
    assert set(first) == {320}
    assert set(second[:-1]) == {6400}  # 100 ms, two channels, 16 kHz
    assert set(third[:-1]) == {3200}
    mono = b"".join(message.data for message in it.bot.call.messages[changed[1] :] if isinstance(message.data, bytes))
    pcm = np.frombuffer(mono, "<i2")[1600:]
    assert find_tone(pcm[:8000], 16000).frequency_hz == pytest.approx(437.0, abs=2.0)
    fewest = 3.5 * 50 * 320
    heard = sum(first) + sum(second) / 4 + sum(third) / 2
    assert heard > fewest, "audio was lost at a change"


async def test_a_live_stream_goes_over_to_another_bot_and_nothing_is_lost() -> None:
    says = make_tone(437.0, level_dbfs=-12.0, seconds=4.0, rate=8000)
    async with Bot() as other, live(says=says, seconds=4.0) as it:
        it.ask(Change({"url": other.url}))
        await other.connected()
        await it.bot.closed()
        await it.until("reconnected")
        stream = it.seen
        assert (stream.url, stream.bot) == (other.url.partition("?")[0], "connected")
        await it.call
        await other.closed()
    assert (it.bot.call.close_code, it.bot.call.close_reason) == (1000, "another bot is called")
    assert [event.kind for event in it.events] == [
        "start",
        "connect",
        "reconnecting",
        "reconnected",
        "disconnect",
        "stop",
    ]
    heard = len(it.bot.call.heard) + len(other.call.heard)
    assert heard == pytest.approx(4.0 * 8000, abs=1600)


class LeavingBot(Bot):
    """Says that it is going away after some messages, and closes the line when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.has_left = asyncio.Event()

    async def listen(self, connection: ServerConnection, call: BotCall) -> None:
        for _ in range(5):
            await connection.recv()
        connection.protocol.send_close(1012, "")
        connection.send_data()
        connection.transport.pause_reading()
        await self.has_left.wait()
        connection.transport.resume_reading()
        await connection.wait_closed()


async def test_a_bot_that_is_leaving_leaves_in_peace_while_another_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_care, "GOODBYE_SECONDS", 0.6)
    async with LeavingBot() as leaving, Bot() as other, sidecar_under_test(stream={"url": leaving.url}) as car:
        async with live_call(car) as call:
            async with asyncio.timeout(5.0):
                while car.sidecar.steering.stream(call.stream).bot != "reconnecting":  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
            car.sidecar.steering.obey(call.stream, Change({"url": other.url}))
            await other.connected()
            leaving.has_left.set()
            await leaving.closed()
            await asyncio.sleep(0.8)
            assert car.sidecar.worker._care.unanswered_goodbyes == 0
        await other.closed()


async def test_a_live_stream_waits_for_another_bot_that_is_not_there_yet() -> None:
    async with live(seconds=6.0) as it:
        port = free_port()
        it.ask(Change({"url": f"ws://127.0.0.1:{port}/ws"}))
        await it.until("reconnecting")
        await asyncio.sleep(0.5)
        assert (it.seen.state, it.seen.bot) == ("up", "reconnecting")
        async with Bot(port=port) as late:
            await late.connected(within=8.0)
            it.ask(End())
            await it.call
            await late.closed()


async def test_a_bot_is_told_figures_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_changes, "STATS_SECONDS", 0.3)
    async with live(events="stats") as it:
        event = await it.until("stats")
        async with asyncio.timeout(5.0):
            while len(it.bot.call.texts) < 2:  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(0.01)
        it.ask(End())
    first, second = (json.loads(text) for text in it.bot.call.texts[:2])
    assert first == {"type": "stats", "data": event.body.value()}
    assert second["data"]["packets_received"] > first["data"]["packets_received"] > 0
