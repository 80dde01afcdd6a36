"""Real callers and a real bot: two calls that carry the two voices of one stream."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import numpy as np
import pytest

from sidecar.io.caller import CallPlan, CallResult, HungUpBy, place_call
from sip import SipUri
from tests.integration.conftest import StartSidecar
from tests.support.bots import Bot, ToneBot
from tests.support.g711 import encode_ulaw
from tests.support.media_caller import CallRefused, MediaCaller, media_caller
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.stalls import measured_stalls
from tests.support.tones import Pcm, find_tone, level_at, make_tone

CALLER_HZ, CALLEE_HZ, BOT_HZ = 437.0, 613.0, 1009.0
LEVEL = -14.0
CLICK = 24_000


@pytest.fixture
def start_sidecar() -> StartSidecar:
    """How media is read is the same for legs as for calls: one way is enough."""
    return sidecar_under_test


def leg_headers(track: str, **options: str) -> list[tuple[str, str]]:
    given = {"id": "pair", "call": "7d1c", "track": track, "mix": "stereo", **options}
    return [(f"X-STREAM_{name.upper()}", value) for name, value in given.items()]


async def both_call(car: SidecarUnderTest, *, seconds: float, **options: str) -> tuple[CallResult, CallResult]:
    """Let a leg with the caller's tone and one with the callee's call; return what each has heard."""

    def plan(track: str, hertz: float) -> CallPlan:
        tone = make_tone(hertz, level_dbfs=LEVEL, seconds=seconds, rate=8000)
        return CallPlan(SipUri.parse(car.uri()), tone, seconds, headers=leg_headers(track, **options))

    caller, callee = await asyncio.gather(place_call(plan("caller", CALLER_HZ)), place_call(plan("callee", CALLEE_HZ)))
    return caller, callee


def assert_tone(pcm: Pcm, hertz: float, *others: float, rate: int = 8000) -> None:
    assert find_tone(pcm, rate).frequency_hz == pytest.approx(hertz, abs=1.0)
    assert level_at(pcm, rate, hertz) == pytest.approx(LEVEL, abs=0.7)
    for other in others:
        assert level_at(pcm, rate, other) < LEVEL - 40.0


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_each_voice_is_in_its_channel_and_the_bot_is_heard_by_the_right_party_alone(
    start_sidecar: StartSidecar, rate: int
) -> None:
    says = make_tone(BOT_HZ, level_dbfs=LEVEL, seconds=1.5, rate=rate)
    async with measured_stalls() as stalls, ToneBot(says, rate=rate) as bot:
        async with start_sidecar(stream={"url": bot.url}) as car:
            caller, callee = await both_call(car, seconds=3.0, rate=str(rate))
            await car.until_no_calls()
        await bot.closed()
    left, right = (bot.call.heard[channel::2][rate : 2 * rate] for channel in (0, 1))
    if not stalls.forgiven:
        assert_tone(left, CALLER_HZ, CALLEE_HZ, BOT_HZ, rate=rate)
        assert_tone(right, CALLEE_HZ, CALLER_HZ, BOT_HZ, rate=rate)
        assert_tone(callee.recording.heard[4000:8000], BOT_HZ)
    assert level_at(caller.recording.heard, 8000, BOT_HZ) < -60.0, "the caller's leg is what the callee hears"
    assert len(caller.recording.heard) > 2.5 * 8000, "and it is sent silence"
    assert bot.call.close_code == 1000


@pytest.mark.parametrize(("inject", "by_caller", "by_callee"), [("callee", True, False), ("both", True, True)])
async def test_inject_says_which_leg_the_bot_is_played_to(
    start_sidecar: StartSidecar, inject: str, by_caller: bool, by_callee: bool
) -> None:
    async with ToneBot(make_tone(BOT_HZ, level_dbfs=LEVEL, seconds=1.0, rate=8000), rate=8000) as bot:
        async with start_sidecar(stream={"url": bot.url}) as car:
            results = await both_call(car, seconds=2.0, inject=inject)
            await car.until_no_calls()
        await bot.closed()
    for result, hears in zip(results, (by_caller, by_callee), strict=True):
        heard = level_at(result.recording.heard[3000:7000], 8000, BOT_HZ)
        assert heard > LEVEL - 3.0 if hears else heard < -60.0


@pytest.mark.parametrize("mix", ["mono", "callee", "mixed"])
async def test_other_mixes_of_two_legs(start_sidecar: StartSidecar, mix: str) -> None:
    async with Bot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        await both_call(car, seconds=3.0, mix=mix)
        await bot.closed()
        await car.until_no_calls()
    parts = bot.call.heard[4000:20000].reshape(-1, 400)  # short, for on a busy machine voices are moved all the time
    for hertz, of in ((CALLER_HZ, ("mono", "mixed")), (CALLEE_HZ, ("callee", "mixed"))):
        level = float(np.median([level_at(part, 8000, hertz) for part in parts]))
        assert level > LEVEL - 3.0 if mix in of else level < LEVEL - 40.0


async def test_a_bot_that_hangs_up_ends_both_calls(start_sidecar: StartSidecar) -> None:
    async with Bot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        calls = asyncio.create_task(both_call(car, seconds=20.0))
        await bot.received(50)
        await bot.hang_up()
        results = await asyncio.wait_for(calls, 10.0)
        await car.until_no_calls()
    assert [result.hung_up_by for result in results] == [HungUpBy.CALLEE, HungUpBy.CALLEE]


@pytest.mark.parametrize("mode", ["one", "ports"])
async def test_the_stream_goes_on_while_a_leg_is_there_and_a_voice_has_one_leg(
    start_sidecar: StartSidecar, mode: str
) -> None:
    rtp = {"mode": mode, "port_min": 42000, "port_max": 42009}
    async with Bot() as bot, start_sidecar(stream={"url": bot.url}, rtp=rtp) as car:
        there = car.sidecar.sip_address
        async with media_caller(there, headers=leg_headers("callee")) as callee:
            async with media_caller(there, headers=leg_headers("caller")) as caller:
                with pytest.raises(CallRefused, match="486"):
                    async with media_caller(there, headers=leg_headers("caller")):
                        pass
                await asyncio.gather(caller.talk(0.3), callee.talk(0.3))
            messages = len(bot.call.binaries)
            await callee.talk(0.5)
            assert len(bot.call.binaries) > messages + 15
            assert bot.call.close_code is None
        await bot.closed()
        await car.until_no_calls()
    assert len(bot.calls) == 1


async def test_the_first_leg_may_go_first(start_sidecar: StartSidecar) -> None:
    async with AsyncExitStack() as last, Bot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        there = car.sidecar.sip_address
        async with media_caller(there, headers=leg_headers("caller")):
            callee = await last.enter_async_context(media_caller(there, headers=leg_headers("callee")))
        async with last:
            messages = len(bot.call.binaries)
            now = asyncio.get_running_loop().time()
            await talk(callee, begin=now, every=0.001, seconds=0.8)
            left, right = (bot.call.heard[160 * 2 * messages :][channel::2] for channel in (0, 1))
            assert not left[1600:].any()
            assert len(times_of_clicks(right)) == 1, "one click after the other"
            assert np.count_nonzero(right) > 500
        await bot.closed()
        await car.until_no_calls()


async def test_a_click_in_both_voices_is_heard_in_both_at_once(start_sidecar: StartSidecar) -> None:
    """Frames of the two legs begin 13 ms apart; a click falls into each at the time at which it sounds."""
    phase, seconds, every = 0.013, 5.0, 0.5
    async with measured_stalls() as stalls, Bot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        there = car.sidecar.sip_address
        async with (
            media_caller(there, headers=leg_headers("caller")) as caller,
            media_caller(there, headers=leg_headers("callee")) as callee,
        ):
            begin = asyncio.get_running_loop().time() + 0.1
            await asyncio.gather(
                talk(caller, begin=begin, phase=0.0, every=every, seconds=seconds),
                talk(callee, begin=begin, phase=phase, every=every, seconds=seconds),
            )
            await asyncio.sleep(0.2)
        await bot.closed()
        await car.until_no_calls()
    left, right = (times_of_clicks(bot.call.heard[channel::2]) for channel in (0, 1))
    assert len(left) >= 7
    skews = [float(1000 * np.abs(right - at).min()) for at in left[1:-1]]
    assert max(skews) < 20.0 + 1000 * stalls.longest, skews
    assert np.median(skews) < 5.0 + 1000 * stalls.longest, skews


async def talk(leg: MediaCaller, *, begin: float, phase: float = 0.0, every: float, seconds: float) -> None:
    """Send silence, in frames that begin `phase` after the others, and a click each time `every` seconds are over."""
    loop, step = asyncio.get_running_loop(), round(8000 * every)
    for number in range(int(seconds / 0.020)):
        frame, first = np.zeros(160, np.int16), round(8000 * phase) + 160 * number
        due = np.arange(first, first + 160) % step == step // 2
        frame[due] = CLICK
        await asyncio.sleep(begin + phase + 0.020 * (number + 1) - loop.time())
        leg.rtp.sendto(leg.packet(encode_ulaw(frame)), leg.there)


def times_of_clicks(pcm: Pcm) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > CLICK // 3)
    return loud[np.diff(loud, prepend=-8000) > 400] / 8000
