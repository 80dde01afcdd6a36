"""sipp changes calls that are up: hold, another codec, another address; late offers and early media."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.support import sipp
from tests.support.bots import Bot, ToneBot
from tests.support.capture import PCMA, PCMU, TimedPacket, rtp_packets
from tests.support.ports import LOOPBACK
from tests.support.rtp_receiver import RtpReceiver
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sipp import over_each_transport
from tests.support.stalls import measured_stalls
from tests.support.tones import find_tone, gaps, make_tone

pytestmark = pytest.mark.peer("sipp")

QUICK = {"t1": 0.03}  # less, and sipp takes a 200 that is sent again over TCP for one too many
PART = 0.4  # seconds: before a change, between, and after
CALLER_HZ, BOT_HZ = 437.0, 1130.0
CHANGES = ["change_by_reinvite", "change_by_update"]


CHANGED = {"address": "[media_ip]", "offset": "8", "format": "0", "direction": "sendrecv"}


def says() -> ToneBot:
    return ToneBot(make_tone(BOT_HZ, level_dbfs=-14.0, seconds=10.0, rate=8000), rate=8000)


@contextlib.asynccontextmanager
async def talking(port: RtpReceiver, sidecar_port: int, *, payload_type: int = PCMU) -> AsyncIterator[None]:
    """Send a tone from a port, 50 packets a second, until the block ends."""
    loop = asyncio.get_running_loop()
    packets = rtp_packets(make_tone(CALLER_HZ, level_dbfs=-14.0, seconds=10.0, rate=8000), payload_type=payload_type)

    async def talk() -> None:
        started = loop.time()
        for packet in packets:
            await asyncio.sleep(started + packet.at - loop.time())
            port.send(packet.data, (LOOPBACK, sidecar_port))

    async with ending(talk()):
        yield


@contextlib.asynccontextmanager
async def echoing(port: RtpReceiver, sidecar_port: int) -> AsyncIterator[None]:
    """Send back from a port all that comes in, until the block ends."""

    async def echo() -> None:
        returned = 0
        while True:
            for packet in port.packets[returned:]:
                port.send(packet.data, (LOOPBACK, sidecar_port))
            returned = len(port.packets)
            await asyncio.sleep(0.002)

    async with ending(echo()):
        yield


@contextlib.asynccontextmanager
async def ending(coroutine: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@dataclass(frozen=True, slots=True)
class Scene:
    """Calls of several kinds at a time, through one sidecar to one bot."""

    car: SidecarUnderTest
    bot: Bot
    directory: Path
    transport: sipp.Transport

    async def play(
        self,
        scenario: str,
        name: str,
        *,
        values: Mapping[str, str],
        ports: int = 1,
        sound: Callable[[RtpReceiver, int], AbstractAsyncContextManager[None]] = talking,
    ) -> list[RtpReceiver]:
        """Place one call, which must go well, and return its ports; `sound` is what comes from them."""
        async with contextlib.AsyncExitStack() as stack:
            at, ears = await stack.enter_async_context(sipp.listeners(ports))
            for port in ears:
                await stack.enter_async_context(sound(port, self.car.sidecar.rtp_port))
            outcome = await sipp.run(
                *(scenario, self.car.address, self.directory / name / scenario),
                headers={"X-STREAM_URL": f"{self.bot.url}?{name}-{scenario}"},
                values=values,
                seconds=PART,
                media_port=at,
                transport=self.transport,
            )
        outcome.assert_all_successful()
        return ears


@contextlib.asynccontextmanager
async def scene(directory: Path, transport: sipp.Transport) -> AsyncIterator[Scene]:
    async with says() as bot, sidecar_under_test(sip=QUICK) as car:
        yield Scene(car, bot, directory, transport)
        await bot.closed(len(bot.calls))


def silences(port: RtpReceiver) -> list[int]:
    """Return after which packets nothing came for most of a part."""
    return [index + 1 for index, ms in enumerate(port.intervals_ms) if ms > 1000 * PART * 0.6]


def assert_whole(packets: Sequence[TimedPacket]) -> None:
    """Every packet is there, in order, across all changes."""
    numbers = [int.from_bytes(packet.data[2:4]) for packet in packets]
    assert {(after - before) % 65536 for before, after in pairwise(numbers)} == {1}


class Hold(NamedTuple):
    """What a caller offers so that it hears nothing, and what is answered."""

    direction: str
    address: str
    answer: str


HOLDS = {
    "sendonly": Hold("sendonly", "[media_ip]", "a=recvonly"),
    "inactive": Hold("inactive", "[media_ip]", "a=inactive"),
    "nowhere": Hold("sendrecv", "0.0.0.0", "a=(recvonly|inactive)"),  # RFC 2543
}


@over_each_transport
async def test_a_held_caller_hears_nothing_until_it_resumes_and_is_heard_all_the_time(
    tmp_path: Path, transport: sipp.Transport
) -> None:
    async with measured_stalls() as stalls, scene(tmp_path, transport) as on:

        async def hold(how: str, scenario: str) -> None:
            direction, address, answer = HOLDS[how]
            values = {**CHANGED, "direction": direction, "address": address, "answer": answer}
            (ears,) = await on.play(scenario, how, values=values)
            (resumed,) = silences(ears)
            paused = ears.packets[resumed].at - ears.packets[resumed - 1].at
            assert paused == pytest.approx(PART, abs=0.1 + stalls.total)
            for part in (ears.packets[:resumed], ears.packets[resumed:]):
                assert len(part) == pytest.approx(50 * PART, abs=5 + 50 * stalls.total)
            assert find_tone(ears.pcm[-2400:-320], 8000).frequency_hz == pytest.approx(BOT_HZ, abs=3.0)

        await asyncio.gather(*(hold(how, scenario) for how in HOLDS for scenario in CHANGES))
    for call in on.bot.calls:
        assert len(call.heard) == pytest.approx(8000 * 3 * PART, abs=8000 * (0.15 + stalls.total))
        for part in (call.heard[:2400], call.heard[-2400:]):
            assert find_tone(part, 8000).frequency_hz == pytest.approx(CALLER_HZ, abs=3.0)


@over_each_transport
async def test_a_bot_hears_silence_while_its_caller_says_nothing(tmp_path: Path, transport: sipp.Transport) -> None:
    values = {**CHANGED, "direction": "inactive", "answer": "a=inactive"}
    async with measured_stalls() as stalls, scene(tmp_path, transport) as on:
        await asyncio.gather(*(on.play(scenario, "mute", values=values, sound=echoing) for scenario in CHANGES))
    for call in on.bot.calls:
        assert max(call.intervals_ms) < 200 + 1000 * stalls.total, "it does not know how time passes"
        assert len(call.heard) == pytest.approx(8000 * 3 * PART, abs=8000 * (0.15 + stalls.total))
        (silence,) = gaps(call.heard[400:-400], 8000, frequency_hz=BOT_HZ)
        assert silence.length_ms == pytest.approx(1000 * PART, abs=120 + 1000 * stalls.total)
        assert find_tone(call.heard[-2400:-320], 8000).frequency_hz == pytest.approx(BOT_HZ, abs=3.0)


@over_each_transport
async def test_a_call_changes_its_codec_and_changes_back(tmp_path: Path, transport: sipp.Transport) -> None:
    values = {**CHANGED, "format": "8", "answer": "m=audio [1-9][0-9]* RTP/AVP 8"}
    async with measured_stalls() as stalls, scene(tmp_path, transport) as on:

        async def change(scenario: str) -> None:
            (ears,) = await on.play(scenario, "codec", values=values, sound=echoing)
            types = [packet.data[1] & 0x7F for packet in ears.packets]
            assert [types[0], *(after for before, after in pairwise(types) if before != after)] == [PCMU, PCMA, PCMU]
            assert_whole(ears.packets)
            assert len(ears.packets) == pytest.approx(150 * PART, abs=8 + 50 * stalls.total)
            assert find_tone(ears.pcm[800:-800], 8000).frequency_hz == pytest.approx(BOT_HZ, abs=1.0)

        await asyncio.gather(*(change(scenario) for scenario in CHANGES))
    for call in on.bot.calls:
        heard = call.heard[1600:-320]
        assert len(heard) > 8000 * PART
        assert find_tone(heard, 8000).frequency_hz == pytest.approx(BOT_HZ, abs=2.0)
        assert np.abs(heard).max() < 8000  # what is decoded by the wrong law is loud


@over_each_transport
async def test_a_call_goes_on_at_another_address_and_comes_back(tmp_path: Path, transport: sipp.Transport) -> None:
    values = {**CHANGED, "offset": "12", "answer": "a=sendrecv"}
    async with measured_stalls() as stalls, scene(tmp_path, transport) as on:

        async def change(scenario: str) -> None:
            first, second = await on.play(scenario, "address", values=values, ports=2, sound=echoing)
            (returned,) = silences(first)
            assert first.packets[returned - 1].at < second.packets[0].at
            assert second.packets[-1].at < first.packets[returned].at
            assert len(second.packets) == pytest.approx(50 * PART, abs=5 + 50 * stalls.total)
            assert len(first.packets) == pytest.approx(100 * PART, abs=8 + 50 * stalls.total)
            assert_whole([*first.packets[:returned], *second.packets, *first.packets[returned:]])

        await asyncio.gather(*(change(scenario) for scenario in CHANGES))
    for call in on.bot.calls:
        assert gaps(call.heard[1600:-320], 8000) == [] or stalls.lengths
        assert find_tone(call.heard[1600:-320], 8000).frequency_hz == pytest.approx(BOT_HZ, abs=2.0)


@over_each_transport
async def test_offers_that_are_refused_or_never_answered(tmp_path: Path, transport: sipp.Transport) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:

        async def play(scenario: str) -> sipp.Outcome:
            outcome = await sipp.run(
                *(scenario, car.address, tmp_path / scenario), calls=3, rate=30.0, seconds=0.3, transport=transport
            )
            outcome.assert_all_successful(3)
            return outcome

        scenarios = ["change_refused", "glare", "late_offer_unanswered"]
        outcomes = await asyncio.gather(*(play(scenario) for scenario in scenarios))
        await bot.closed(3 * len(scenarios))
    assert outcomes[2].log.count("Reason: ") >= 3


@over_each_transport
async def test_a_call_without_an_offer_is_made_one(tmp_path: Path, transport: sipp.Transport) -> None:
    async with scene(tmp_path, transport) as on:

        async def call(payload_type: int) -> None:
            values = {"format": str(payload_type)}
            sound = partial(talking, payload_type=payload_type)
            (ears,) = await on.play("late_offer", f"late-{payload_type}", values=values, sound=sound)
            assert {packet.data[1] & 0x7F for packet in ears.packets} == {payload_type}
            assert find_tone(ears.pcm[-2400:-320], 8000).frequency_hz == pytest.approx(BOT_HZ, abs=3.0)

        await asyncio.gather(call(PCMU), call(PCMA))
    for call_heard in on.bot.calls:
        assert find_tone(call_heard.heard[320:], 8000).frequency_hz == pytest.approx(CALLER_HZ, abs=2.0)


class AnsweringBot(ToneBot):
    """Says something before it answers the call."""

    async def talk(self, connection: object, call: object) -> None:
        answering = asyncio.create_task(self._answer_later())
        await super().talk(connection, call)  # type: ignore[arg-type]
        await answering

    async def _answer_later(self) -> None:
        await asyncio.sleep(PART)
        await self.send(json.dumps({"type": "answer", "data": {}}))


@over_each_transport
async def test_early_media_are_heard_before_the_answer(tmp_path: Path, transport: sipp.Transport) -> None:
    async with (
        AnsweringBot(make_tone(BOT_HZ, level_dbfs=-14.0, seconds=10.0, rate=8000), rate=8000) as bot,
        sidecar_under_test(stream={"url": bot.url, "answer": "early"}, sip=QUICK) as car,
        sipp.listeners() as (at, (ears,)),
    ):
        outcome = await sipp.run(
            *("early_media", car.address, tmp_path), seconds=PART, media_port=at, transport=transport
        )
        outcome.assert_all_successful()
        await bot.closed()
    assert outcome.response_seconds > 0.9 * PART
    assert len(ears.packets) > 80 * PART
    early = ears.pcm[1600 : int(8000 * PART * 0.9)]
    assert find_tone(early, 8000).frequency_hz == pytest.approx(BOT_HZ, abs=2.0)


@over_each_transport
async def test_early_media_that_nobody_acknowledges_end_in_504(tmp_path: Path, transport: sipp.Transport) -> None:
    async with says() as bot, sidecar_under_test(stream={"url": bot.url, "answer": "early"}, sip=QUICK) as car:
        outcome = await sipp.run(
            *("early_media_unacknowledged", car.address, tmp_path),
            calls=3,
            rate=30.0,
            transport=transport,
            arguments=sipp.TAKES_COPIES,
        )
        outcome.assert_all_successful(3)
        await bot.closed(3)
    assert outcome.log.count("SIP/2.0 183") >= 3 * 6  # at 0, 1, 3, 7, 15, 31 and 63 T1, also over streams (RFC 3262, 3)
