"""Callers who speak to bots that play something: real calls, real WebSocket servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict
from websockets.asyncio.server import ServerConnection

from rtp import Codec
from sidecar.core.talker import Recording
from sidecar.io.caller import CallPlan, place_call
from sip import SipUri
from tests.integration.conftest import StartSidecar
from tests.support import baresip
from tests.support.bots import Bot, BotCall
from tests.support.conversation import talk
from tests.support.sidecar import sidecar_under_test
from tests.support.stalls import measured_stalls
from tests.support.tones import Pcm, find_tone, make_silence, make_tone

HZ = 1130.0
LEVEL_DBFS = -14.0


@pytest.fixture
def start_sidecar() -> StartSidecar:
    """What is heard does not depend on how media is read: one way is enough."""
    return sidecar_under_test


def tone(seconds: float) -> Pcm:
    return make_tone(HZ, level_dbfs=LEVEL_DBFS, seconds=seconds, rate=8000)


def raw(pcm: Pcm) -> bytes:
    return pcm.astype("<i2").tobytes()


def speech(*parts: float, rate: int = 8000) -> Pcm:
    """Make so many seconds of silence, of speech, of silence, and so on."""
    sounds = [
        talk(each, rate=rate) if at % 2 else make_silence(seconds=each, rate=rate) for at, each in enumerate(parts)
    ]
    return np.concatenate(sounds)


class AnsweringBot(Bot):
    """Says `opening` at once, and `answer` some seconds after each end of the caller's speech that it is told of."""

    def __init__(self, *, opening: Pcm | None = None, answer: Pcm | None = None, after: float = 0.0) -> None:
        super().__init__()
        self.answered_at: list[float] = []
        self._opening, self._answer, self._after = opening, answer, after

    async def talk(self, connection: ServerConnection, call: BotCall) -> None:
        if self._opening is not None:
            await connection.send(raw(self._opening))
            await connection.send(json.dumps({"type": "mark", "data": {"name": "end"}}))

    async def answer(self, connection: ServerConnection, call: BotCall, data: str | bytes) -> None:
        if self._answer is not None and isinstance(data, str) and "speech_stop" in data:
            await asyncio.sleep(self._after)
            self.answered_at.append(asyncio.get_running_loop().time())
            await connection.send(raw(self._answer))

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What it was told of one type."""
        texts = [json.loads(text) for text in self.call.texts]
        return [text["data"] for text in texts if text["type"] == kind]


@dataclass
class Outcome:
    """What a call has left behind."""

    recording: Recording
    logs: list[EventDict]
    stalled: float  # seconds that this machine stood still

    def bodies(self, kind: str) -> list[Any]:
        return [log["body"] for log in self.logs if log["event"] == kind]

    @property
    def stats(self) -> dict[str, Any]:
        (stop,) = self.bodies("stop")
        stats: dict[str, Any] = stop
        return stats

    def said_at(self, first: int) -> float:
        """When the frame of that number was sent by the caller."""
        return float(self.recording.sent_at[first])

    def loudness(self) -> Pcm:
        """The loudest sample of each frame that was heard."""
        loudest: Pcm = np.abs(self.recording.heard.reshape(-1, 160)).max(axis=1)
        return loudest


async def converse(bot: Bot, signal: Pcm, *, codec: Codec = Codec.PCMU, **stream: str) -> Outcome:
    """Let a caller say something to a bot."""
    with capture_logs() as logs:
        async with measured_stalls() as stalls, bot:
            async with sidecar_under_test(stream={"url": bot.url, "preroll": "0", **stream}) as car:
                plan = CallPlan(SipUri.parse(car.uri()), signal, len(signal) / 8000, codec=codec)
                result = await place_call(plan)
                await bot.closed()
                await car.until_no_calls()
    return Outcome(result.recording, logs, stalls.total)


async def test_a_bot_is_told_when_the_caller_speaks() -> None:
    bot = AnsweringBot()
    outcome = await converse(bot, speech(1.0, 0.98, 1.2, 0.72, 2.0), events="vad")
    told = bot.told("vad")
    assert outcome.bodies("vad") == told
    assert [each["event"] for each in told] == ["speech_start", "speech_stop"] * 2
    loud = np.abs(bot.call.heard) > 500
    for start, stop in zip(told[::2], told[1::2], strict=True):
        first, last = start["at_ms"] * 8, stop["at_ms"] * 8
        assert not loud[first - 320 : first - 160].any()
        assert loud[first : first + 480].any()
        assert loud[last - 320 : last].any()
        assert not loud[last + 160 : last + 4000].any()
    assert outcome.stats["responses"] == outcome.stats["barge_ins"] == 0
    assert outcome.stats["response_ms_mean"] is None


async def test_nobody_is_told_who_has_not_asked() -> None:
    bot = AnsweringBot(opening=tone(3.0))
    outcome = await converse(bot, speech(0.5, 1.0, 0.7))
    assert bot.call.texts == outcome.bodies("vad") == []
    assert np.count_nonzero(outcome.loudness() > 1000) > 100


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
async def test_speech_clears_what_is_played(codec: Codec) -> None:
    """From the caller's first frame of speech to the first silent one that it hears; the bot wants no events."""
    bot = AnsweringBot(opening=tone(10.0))
    outcome = await converse(bot, speech(1.0, 1.0, 1.0), codec=codec, barge_in="clear")
    began = outcome.said_at(50) - 0.02  # a packet leaves when its frame is over
    silent = int(np.flatnonzero(outcome.loudness() > 1000)[-1]) + 1
    latency = outcome.recording.heard_at[silent] - began
    assert 0.12 <= latency <= 0.2 + outcome.stalled
    assert not (outcome.loudness()[silent + 1 :] > 100).any()
    (cleared,) = bot.told("cleared")
    assert cleared["reason"] == "barge_in"
    assert cleared["marks"] == ["end"]
    assert cleared["played_ms"] + cleared["dropped_ms"] == 10_000
    assert cleared["played_ms"] == pytest.approx(20 * np.count_nonzero(outcome.loudness() > 1000), abs=45)
    assert bot.told("mark") == [{"name": "end", "event": "cleared"}]
    assert [each["event"] for each in outcome.bodies("vad")] == ["speech_start", "barge_in", "speech_stop"]
    assert outcome.stats["barge_ins"] == 1


async def test_speech_lowers_what_is_played() -> None:
    bot = AnsweringBot(opening=tone(10.0))
    outcome = await converse(bot, speech(1.0, 1.5, 2.0), barge_in="duck", events="vad")
    heard, loud = outcome.recording.heard, outcome.loudness() > 3000
    assert find_tone(heard[3200:7200], 8000).level_dbfs == pytest.approx(LEVEL_DBFS, abs=0.3)
    soft = np.flatnonzero(~loud & (outcome.loudness() > 300))
    assert 20 * len(soft) == pytest.approx(1500 + 500 - 120, abs=150)  # from the barge-in to the end of the hang-over
    lowered = heard[160 * (soft[0] + 2) : 160 * (soft[-1] - 1)]
    assert find_tone(lowered, 8000).level_dbfs == pytest.approx(LEVEL_DBFS - 18.0, abs=0.5)
    assert find_tone(heard[-6000:-1000], 8000).level_dbfs == pytest.approx(LEVEL_DBFS, abs=0.3)
    assert bot.told("cleared") == []
    assert [each.get("action") for each in bot.told("vad")] == [None, "duck", None]
    assert outcome.stats["barge_ins"] == 1


async def test_the_response_time_is_that_of_the_bot() -> None:
    """It is the time between two packets at the caller, within a frame and what the machine stood still."""
    bot = AnsweringBot(answer=tone(0.3), after=0.2)
    outcome = await converse(bot, speech(0.6, 0.98, 1.6, 0.98, 1.6), events="vad")
    frames = outcome.loudness() > 1000
    begins = np.flatnonzero(frames & ~np.concatenate([[False], frames[:-1]]))
    assert len(begins) == 2
    ends = [outcome.said_at(frame) for frame in (30 + 48, 30 + 49 + 80 + 48)]  # the last of each syllable
    expected = [1000 * (outcome.recording.heard_at[at] - end) for at, end in zip(begins, ends, strict=True)]
    told = [each["response_ms"] for each in bot.told("vad") if each["event"] == "response"]
    assert told == pytest.approx(expected, abs=20 + 1000 * outcome.stalled)
    assert all(each > 700 for each in told)  # the hang-over, and what the bot thinks
    assert outcome.stats["responses"] == 2
    assert outcome.stats["response_ms_last"] == told[-1]
    assert outcome.stats["response_ms_max"] == max(told)


@asynccontextmanager
async def baresip_call(
    directory: Path, start_sidecar: StartSidecar, bot: Bot, codec: baresip.Codec, says: Pcm, **stream: str
) -> AsyncIterator[tuple[baresip.Baresip, list[EventDict]]]:
    with capture_logs() as logs:
        async with bot, start_sidecar(stream={"url": bot.url, "preroll": "0", **stream}) as car:
            async with baresip.Baresip(directory, says=says, codec=codec) as caller:
                await caller.dial(car.uri())
                yield caller, logs
                await caller.hang_up()
            await bot.closed()
            await car.until_no_calls()


@pytest.mark.peer("baresip")
@pytest.mark.parametrize("codec", [baresip.PCMU, baresip.G722, baresip.OPUS], ids=lambda codec: codec.module)
async def test_any_codec_can_interrupt(start_sidecar: StartSidecar, tmp_path: Path, codec: baresip.Codec) -> None:
    bot = AnsweringBot(opening=tone(10.0))
    says = speech(1.5, 1.0, 1.0, rate=codec.rate)
    async with baresip_call(tmp_path, start_sidecar, bot, codec, says, barge_in="clear", events="vad") as (_, logs):
        async with asyncio.timeout(8.0):
            while "speech_stop" not in [each["event"] for each in bot.told("vad")]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert [each["event"] for each in bot.told("vad")] == ["speech_start", "barge_in", "speech_stop"]
    assert len(bot.told("cleared")) == 1
    (stop,) = [log["body"] for log in logs if log["event"] == "stop"]
    assert stop["barge_ins"] == 1


@pytest.mark.peer("baresip")
async def test_on_hold_nobody_speaks(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    bot, says = AnsweringBot(), speech(0.0, 20.0)
    async with baresip_call(tmp_path, start_sidecar, bot, baresip.PCMU, says, events="vad") as (caller, _):
        await asyncio.sleep(1.0)
        assert [each["event"] for each in bot.told("vad")] == ["speech_start"]
        await caller.hold()
        await asyncio.sleep(1.0)
        assert [each["event"] for each in bot.told("vad")] == ["speech_start", "speech_stop"]
        await caller.resume()
        await asyncio.sleep(1.0)
        assert [each["event"] for each in bot.told("vad")] == ["speech_start", "speech_stop", "speech_start"]
