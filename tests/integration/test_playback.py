"""What bots say in text, each message against a real WebSocket server and a real call."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from rtp import Codec
from rtp.g711 import encode_one
from sidecar.io.caller import CallPlan, CallResult, HungUpBy, place_call
from sip import SipUri
from tests.integration.conftest import StartSidecar
from tests.support import sipp
from tests.support.bots import Bot, OpeningBot
from tests.support.capture import rtp_packets
from tests.support.clips import encoded_file, opus_packets, stream_audio
from tests.support.sidecar import sidecar_under_test
from tests.support.tones import Pcm, find_tone, make_tone

HZ = 437.0


def tone(rate: int = 8000, seconds: float = 1.0) -> Pcm:
    return make_tone(HZ, level_dbfs=-12.0, seconds=seconds, rate=rate)


def raw(pcm: Pcm) -> bytes:
    return pcm.astype("<i2").tobytes()


@dataclass
class Scene:
    """A bot, and the call that it has."""

    bot: Bot
    call: asyncio.Task[CallResult]
    logs: list[EventDict]

    async def said(self, kind: str, count: int = 1, *, within: float = 5.0) -> list[dict[str, Any]]:
        """Wait until the bot was told so much of one type; return it."""
        async with asyncio.timeout(within):
            while len(found := self.told(kind)) < count:
                await self.bot.received(len(self.bot.call.messages) + 1, within=within)
        return found

    def told(self, kind: str) -> list[dict[str, Any]]:
        texts = [json.loads(text) for text in self.bot.call.texts]
        return [text["data"] for text in texts if text["type"] == kind]

    def bodies(self, kind: str) -> list[Any]:
        """Return the bodies of the events of one kind."""
        return [log["body"] for log in self.logs if log["event"] == kind]

    async def until_event(self, kind: str, count: int = 1, *, within: float = 5.0) -> list[Any]:
        async with asyncio.timeout(within):
            while len(found := self.bodies(kind)) < count:  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(0.01)
        return found

    async def heard_to_the_end(self) -> Pcm:
        """Let the call end when all that the bot has said was heard; return what was heard in it."""
        await self.bot.send_command("hangup")
        return await self.heard()

    async def heard(self) -> Pcm:
        """Let the call end; return what was heard in it."""
        return (await self.call).recording.heard


@asynccontextmanager
async def scene(*, seconds: float = 2.0, **stream: str) -> AsyncIterator[Scene]:
    with capture_logs() as logs:
        async with Bot() as bot, sidecar_under_test(stream={"url": bot.url, "preroll": "0", **stream}) as car:
            plan = CallPlan(SipUri.parse(car.uri()), np.zeros(0, np.int16), seconds)
            call = asyncio.create_task(place_call(plan))
            try:
                await bot.connected()
                await bot.received(5)
                yield Scene(bot, call, logs)
                await call
                await bot.closed()
                await car.until_no_calls()
            finally:
                call.cancel()


CLIPS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "raw": lambda: stream_audio(raw(tone()), "raw", sampleRate=8000),
    "raw of another rate": lambda: stream_audio(raw(tone(24000)), "raw", sampleRate=24000),
    "wav": lambda: stream_audio(encoded_file(tone(16000), 16000, container="wav", codec="pcm_s16le"), "wav"),
    "mp3": lambda: stream_audio(encoded_file(tone(24000), 24000, container="mp3", codec="libmp3lame"), "mp3"),
    "ogg": lambda: stream_audio(encoded_file(tone(48000), 48000, container="ogg", codec="libopus"), "ogg"),
    "pcmu": lambda: stream_audio(encode_one(tone(), Codec.PCMU), "pcmu"),
    "pcma": lambda: stream_audio(encode_one(tone(), Codec.PCMA), "pcma", sampleRate=8000),
}


def said_alone(pcm: Pcm) -> Pcm:
    """Return what is loud of it, less its ends."""
    loud = np.flatnonzero(np.abs(pcm) > 1000)
    return pcm[loud[0] + 400 : loud[-1] - 400]


@pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)
async def test_a_clip_is_heard_and_told_of(clip: Callable[[], dict[str, Any]]) -> None:
    data = {**clip(), "id": "greeting"}
    async with scene(seconds=10.0) as it:
        await it.bot.send_command("streamAudio", **data)
        await it.until_event("playback", 2, within=20.0)
        pcm = said_alone(await it.heard_to_the_end())
    assert find_tone(pcm, 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    assert len(pcm) == pytest.approx(8000 - 800, abs=900)
    body = {key: value for key, value in data.items() if key != "audioData"}
    assert it.bodies("play") == [body]
    assert json.loads(it.bodies("json")[0]) == {"type": "streamAudio", "data": body}
    assert [each["event"] for each in it.bodies("playback")] == ["chunk_played", "queue_completed"]
    assert len(it.bot.call.texts) == len(it.told("hangup"))  # nobody has asked for EVENTS


async def test_bare_packets_of_opus_are_one_sound() -> None:
    async with scene(seconds=10.0) as it:
        for packet in opus_packets(tone(48000)):
            await it.bot.send_command("streamAudio", **stream_audio(packet, "opus"))
        pcm = said_alone(await it.heard_to_the_end())
    assert find_tone(pcm, 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    assert len(pcm) > 6000


async def test_megabytes_in_one_message_with_odd_pieces_before() -> None:
    whole = raw(tone(48000, 60.0))
    async with scene(seconds=3.0, sample_rate="48k") as it:
        for piece in (whole[:4801], whole[4801:9601], whole[9601:]):
            await it.bot.send_command("streamAudio", **stream_audio(piece, "raw", sampleRate=48000))
        pcm = said_alone(await it.heard())
    assert find_tone(pcm, 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    assert len(pcm) > 2 * 8000


async def test_a_mark_is_answered_when_what_is_before_it_was_heard() -> None:
    async with scene(seconds=2.0) as it:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await it.bot.send(raw(tone(seconds=0.5)))
        await it.bot.send_command("mark", name="half")
        await it.bot.send(raw(tone(seconds=0.3)))
        await it.bot.send_command("mark", name="end")
        assert await it.said("mark") == [{"name": "half", "event": "playout"}]
        assert loop.time() - began == pytest.approx(0.5, abs=0.2)
        assert (await it.said("mark", 2))[1:] == [{"name": "end", "event": "playout"}]
        assert loop.time() - began == pytest.approx(0.8, abs=0.2)
    assert it.bodies("mark") == [{"name": "half", "event": "playout"}, {"name": "end", "event": "playout"}]


@pytest.mark.parametrize("kind", ["clear", "killAudio"])
async def test_clear_is_silence_and_says_what_was_heard(kind: str) -> None:
    async with scene(seconds=2.0) as it:
        await it.bot.send(raw(tone(seconds=10.0)))
        await it.bot.send_command("mark", name="end")
        await asyncio.sleep(0.5)
        await it.bot.send_command(kind)
        (cleared,) = await it.said("cleared")
        assert it.told("mark") == [{"name": "end", "event": "cleared"}]
        pcm = await it.heard()
    assert cleared["marks"] == ["end"]
    assert cleared["played_ms"] + cleared["dropped_ms"] == 10_000
    assert cleared["played_ms"] == pytest.approx(500, abs=150)
    assert np.count_nonzero(np.abs(pcm) > 100) / 8 == pytest.approx(cleared["played_ms"], rel=0.06)


async def test_pause_and_resume_keep_what_is_queued() -> None:
    async with scene(seconds=2.5) as it:
        await it.bot.send(raw(tone()))
        await asyncio.sleep(0.3)
        await it.bot.send_command("pause")
        (paused,) = await it.said("pause")
        await asyncio.sleep(0.5)
        await it.bot.send_command("resume")
        (resumed,) = await it.said("resume")
        pcm = await it.heard()
    assert paused == resumed
    assert paused["ok"]
    assert paused["queued_ms"] == pytest.approx(700, abs=150)
    loud = np.flatnonzero(np.abs(pcm) > 1000)
    assert loud[-1] - loud[0] == pytest.approx(1.5 * 8000, abs=1600)
    assert np.count_nonzero(np.abs(pcm) > 100) > 0.95 * 8000 * 0.98


async def test_raw_audio_has_the_rate_that_was_said_last() -> None:
    async with scene(seconds=10.0) as it:
        await it.bot.send_command("rawAudio", sampleRate=24000)
        await it.bot.send(raw(tone(24000)))
        await it.bot.send_command("rawAudio", sampleRate=16000)
        await it.bot.send(raw(tone(16000)))
        pcm = said_alone(await it.heard_to_the_end())
    assert find_tone(pcm[:7000], 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    assert find_tone(pcm[9000:], 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    assert len(pcm) == pytest.approx(2 * 8000 - 800, abs=400)


async def test_progress_is_told_to_a_bot_that_wants_it() -> None:
    async with scene(seconds=3.0, events="playback", playback_max="1") as it:
        await it.bot.send(raw(tone(seconds=2.0)))
        told = await it.said("playback", 5)
        pcm = await it.heard()
    assert [each["event"] for each in told] == ["xoff", "refused", "xon", "chunk_played", "queue_completed"]
    assert told[0]["queued_ms"] == 1000
    assert told[1]["refused_ms"] == 1000
    assert told[3] == {"event": "chunk_played", "seq": 1, "size": 16000, "remaining": 0}
    assert told[4] == {"event": "queue_completed", "total_chunks": 1}
    assert it.bodies("playback") == told
    assert np.count_nonzero(np.abs(pcm) > 100) == pytest.approx(8000, rel=0.03)


async def test_a_bot_that_is_not_to_be_heard_is_not() -> None:
    async with scene(seconds=1.0, playback="false") as it:
        await it.bot.send(raw(tone()))
        await it.bot.send_command("streamAudio", **CLIPS["raw"]())
        await it.bot.send_command("mark", name="m")
        await it.said("mark")
        assert not (await it.heard()).any()
    assert it.bodies("play") == [{"audioDataType": "raw", "sampleRate": 8000}]
    assert it.bodies("playback") == []


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("mark", {}, "name: missing"),
    ("rawAudio", {"sampleRate": 44100}, "sampleRate: not a multiple"),
    ("streamAudio", {"audioDataType": "flac", "audioData": "AAAA"}, "audioDataType: not one of"),
    ("streamAudio", {"audioDataType": "mp3", "audioData": "AAAA"}, "audioData: not mp3"),
    ("streamAudio", {"audioDataType": "raw", "sampleRate": 8000, "audioData": "!"}, "audioData: not base64"),
    ("hangup", {"cause": "BOREDOM"}, "cause: not 1 to 127"),
    ("hangup", {"after": "tea"}, "after: not drain or now"),
    ("transfer", {"to": "tel:+4930"}, "to: "),
    ("dtmf", {}, "digits: missing"),
    ("dtmf", {"digits": "12x"}, "digits: 'x' is not a digit"),
    ("dtmf", {"digits": "1", "duration_ms": 1}, "duration_ms: a digit lasts"),
]
"""Each field of each type is wrong in tests/unit/sidecar/core/test_bot_messages.py."""


async def test_what_is_malformed_is_an_error_and_the_call_goes_on() -> None:
    async with scene(seconds=10.0, events="playback") as it:
        for kind, data, _ in BAD:
            await it.bot.send_command(kind, **data)
        errors = await it.until_event("error", len(BAD))
        counts = Counter(kind for kind, _, _ in BAD)
        answers = [(kind, answer) for kind, count in counts.items() for answer in await it.said(kind, count)]
        await it.bot.send("no JSON at all")
        await it.bot.send(raw(tone(seconds=0.2)))
        assert (await it.heard_to_the_end()).any()
    assert all(answer["ok"] is False for _, answer in answers)
    texts = sorted(each["message"]["error"] for each in errors)
    assert texts == sorted(f"{kind}: {answer['error']}" for kind, answer in answers)
    for kind, _, why in BAD:
        assert any(text.startswith(f"{kind}: {why}") for text in texts), why
    assert it.bodies("json")[len(BAD)] == "no JSON at all"
    assert len(it.bodies("json")) == len(BAD) + 2


async def test_dtmf_is_answered() -> None:
    async with scene(seconds=1.0) as it:
        await it.bot.send_command("dtmf", digits="12#", duration_ms=120)
        assert await it.said("dtmf") == [{"ok": True, "digits": "12#"}]


async def test_a_transfer_is_answered_with_its_outcome() -> None:
    async with scene(seconds=1.5) as it:
        await it.bot.send_command("transfer", to="sip:operator@127.0.0.1")
        (outcome,) = await it.said("transfer")
        assert not outcome["ok"]  # our caller does as it is told by nobody
        assert outcome["status"] >= 400
        assert it.bodies("transfer")[-1] == {"status": outcome["status"], "final": True}


async def test_a_bot_answers_the_call() -> None:
    with capture_logs():
        async with Bot() as bot, sidecar_under_test(stream={"url": bot.url, "answer": "early"}) as car:
            plan = CallPlan(SipUri.parse(car.uri()), np.zeros(0, np.int16), 0.5)
            call = asyncio.create_task(place_call(plan))
            await bot.connected()
            await asyncio.sleep(0.1)
            assert not call.done()
            await bot.send_command("answer")
            assert (await call).answered
            await bot.closed()
    assert [json.loads(text) for text in bot.call.texts] == [{"type": "answer", "data": {"ok": True}}]


async def test_a_bot_hangs_up_when_all_is_heard() -> None:
    async with scene(seconds=5.0) as it:
        await it.bot.send(raw(tone(seconds=0.5)))
        await it.bot.send_command("pause")
        await it.bot.send_command("hangup")
        result = await it.call
        assert it.told("hangup") == [{"ok": True, "cause": 16}]
    assert result.hung_up_by is HungUpBy.CALLEE
    assert np.count_nonzero(np.abs(result.recording.heard) > 100) > 0.9 * 4000


async def test_a_bot_hangs_up_at_once() -> None:
    async with scene(seconds=5.0) as it:
        await it.bot.send(raw(tone(seconds=5.0)))
        await it.bot.send_command("hangup", after="now")
        result = await it.call
    assert result.hung_up_by is HungUpBy.CALLEE
    assert len(result.recording.heard) < 8000


@pytest.mark.peer("sipp")
async def test_the_cause_of_a_hangup_is_the_reason_of_the_bye(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    hangup = json.dumps({"type": "hangup", "data": {"after": "now", "cause": "user_busy"}})
    packets = rtp_packets(tone())
    async with OpeningBot([hangup]) as bot, start_sidecar(stream={"url": bot.url}) as car:
        outcome = await sipp.run("bye_from_server", car.address, tmp_path, packets=packets)
        outcome.assert_all_successful()
        assert 'Reason: Q.850;cause=17;text="the bot hangs up"' in outcome.log


async def test_a_call_may_outlive_its_bot() -> None:
    async with scene(seconds=1.5, on_bot_close="keep") as it:
        await it.bot.send(raw(tone(seconds=0.2)))
        await it.bot.hang_up()
        result = await it.call
    assert result.hung_up_by is HungUpBy.CALLER
    assert len(it.bodies("disconnect")) == 1
    assert len(result.recording.heard) > 8000


async def test_what_a_bot_said_is_played_and_told_of_after_its_close() -> None:
    async with scene(seconds=1.5, on_bot_close="keep") as it:
        await it.bot.send_command("streamAudio", **stream_audio(raw(tone(seconds=0.5)), "raw", sampleRate=8000))
        await it.bot.hang_up()
        await it.until_event("playback", 2)
        assert np.count_nonzero(np.abs(await it.heard()) > 100) > 0.9 * 4000
    assert [each["event"] for each in it.bodies("playback")] == ["chunk_played", "queue_completed"]


async def test_a_clip_that_breaks_the_decoder_costs_itself_alone() -> None:
    long = encoded_file(tone(8000, 500.0), 8000, container="wav", codec="pcm_mulaw")
    async with scene(seconds=4.0) as it:
        await it.bot.send_command("streamAudio", **stream_audio(long, "wav"))
        decoder = await running_decoder()
        await it.bot.send_command("streamAudio", **CLIPS["mp3"]())
        os.kill(decoder, signal.SIGKILL)
        (error,) = await it.until_event("error")
        await it.bot.send_command("clear")  # of what there was of it
        await it.said("cleared")
        await it.bot.send_command("streamAudio", **CLIPS["mp3"]())
        pcm = said_alone((await it.heard())[4000:])
    assert error["message"]["error"] == "streamAudio: audioData: broke the decoder"
    assert find_tone(pcm, 8000).frequency_hz == pytest.approx(HZ, abs=1.0)


async def running_decoder() -> int:
    """Wait for the process that decodes clips; return its id."""
    async with asyncio.timeout(5.0):
        while (decoder := _decoder()) is None:  # noqa: ASYNC110  nobody tells of it
            await asyncio.sleep(0.005)
    return decoder


def _decoder() -> int | None:
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with contextlib.suppress(OSError):
            if b"clip_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None
