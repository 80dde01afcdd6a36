"""baresip calls, says a tone, and records what it hears; the bot hears that tone, and says another at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import StartSidecar
from tests.support.baresip import PCMA, PCMU, Baresip, Codec
from tests.support.bots import BotCall, ToneBot
from tests.support.stalls import Stalls, measured_stalls
from tests.support.tones import Pcm, find_tone, gaps, level_at, make_tone, splices

pytestmark = pytest.mark.peer("baresip")

CALLER_HZ, BOT_HZ = 437.0, 1130.0
LEVEL_DBFS = -14.0
SECONDS = 2.5

# G.711 itself, and two conversions of the rate, may cost this much.
TOLERANCE_DB = 0.5


def caller_tone(seconds: float = SECONDS + 2) -> Pcm:
    return make_tone(CALLER_HZ, level_dbfs=LEVEL_DBFS, seconds=seconds, rate=8000)


async def talk(
    start_sidecar: StartSidecar, directory: Path, codec: Codec = PCMU, **options: str
) -> tuple[BotCall, Pcm, Stalls]:
    """Let caller and bot talk for some seconds; return what the bot heard, what the caller heard, and stalls."""
    async with measured_stalls() as stalls:
        call, heard = await _talk(start_sidecar, directory, codec, {"preroll": "200", **options})
    return call, heard, stalls


async def _talk(
    start_sidecar: StartSidecar, directory: Path, codec: Codec, options: Mapping[str, str]
) -> tuple[BotCall, Pcm]:
    rate = int(options.get("sample_rate", options["rate"]).removesuffix("k")) * 1000
    says = make_tone(BOT_HZ, level_dbfs=LEVEL_DBFS, seconds=SECONDS + 1, rate=rate)
    async with ToneBot(says, rate=rate) as bot, start_sidecar(stream={"url": bot.url, **options}) as car:
        async with Baresip(directory, says=caller_tone(), codec=codec) as caller:
            await caller.dial(car.uri())
            await bot.received(round(SECONDS * 50), within=SECONDS + 5)
            await caller.hang_up()
        await bot.closed()
        await car.until_no_calls()
        pcm, recorded_rate = caller.heard
        assert recorded_rate == 8000
        return bot.call, pcm


def assert_tone(pcm: Pcm, rate: int, hz: float, stalls: Stalls, *, trim: float = 0.5) -> None:
    """The tone is there, at its level, without a hole or a splice but for stalls, `trim` seconds after the start."""
    middle = pcm[round(trim * rate) : -round(trim * rate)]
    tone = find_tone(middle, rate)
    assert tone.frequency_hz == pytest.approx(hz, abs=1.0)
    assert tone.level_dbfs == pytest.approx(LEVEL_DBFS, abs=TOLERANCE_DB + 2 * stalls.total)
    assert len(gaps(middle, rate, frequency_hz=hz)) <= stalls.forgiven
    assert len(splices(middle, rate, frequency_hz=hz)) <= stalls.forgiven


@pytest.mark.parametrize("rate", ["8k", "16k", "24k"])
async def test_each_hears_the_other_at_the_right_pitch_and_level(
    start_sidecar: StartSidecar, tmp_path: Path, rate: str
) -> None:
    call, heard, stalls = await talk(start_sidecar, tmp_path, rate=rate)
    hz = int(rate.removesuffix("k")) * 1000
    assert {len(message) for message in call.binaries} == {hz // 50 * 2}
    assert_tone(call.heard, hz, CALLER_HZ, stalls)
    assert level_at(call.heard, hz, BOT_HZ) < -60.0
    assert_tone(heard, 8000, BOT_HZ, stalls)
    assert level_at(heard, 8000, CALLER_HZ) < -60.0


async def test_pcma_and_rates_that_differ_in_the_two_directions(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    call, heard, stalls = await talk(start_sidecar, tmp_path, codec=PCMA, rate="48k", sample_rate="32k")
    assert_tone(call.heard, 48000, CALLER_HZ, stalls)
    assert_tone(heard, 8000, BOT_HZ, stalls)


async def test_stereo_has_the_caller_left_and_the_callee_right(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    call, heard, stalls = await talk(start_sidecar, tmp_path, rate="16k", mix="stereo")
    assert {len(message) for message in call.binaries} == {1280}
    left, right = call.heard.reshape(-1, 2).T
    assert_tone(np.ascontiguousarray(left), 16000, CALLER_HZ, stalls)
    assert level_at(left, 16000, BOT_HZ) < -60.0
    assert_tone(np.ascontiguousarray(right), 16000, BOT_HZ, stalls)
    assert level_at(right, 16000, CALLER_HZ) < -60.0
    assert_tone(heard, 8000, BOT_HZ, stalls)


async def test_mixed_has_both(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    call, heard, stalls = await talk(start_sidecar, tmp_path, rate="16k", mix="mixed")
    assert {len(message) for message in call.binaries} == {640}
    middle = call.heard[8000:-8000]
    for hz in (CALLER_HZ, BOT_HZ):
        assert level_at(middle, 16000, hz) == pytest.approx(LEVEL_DBFS, abs=TOLERANCE_DB + 2 * stalls.total)
        assert len(gaps(middle, 16000, frequency_hz=hz, drop_db=40.0)) <= stalls.forgiven
    assert_tone(heard, 8000, BOT_HZ, stalls)


async def test_callee_has_what_is_played_and_nothing_of_the_caller(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    call, _, stalls = await talk(start_sidecar, tmp_path, rate="8k", mix="callee")
    assert_tone(call.heard, 8000, BOT_HZ, stalls)
    assert level_at(call.heard, 8000, CALLER_HZ) < -60.0


async def test_headers_of_the_invite_set_the_options(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with ToneBot(make_tone(BOT_HZ, level_dbfs=LEVEL_DBFS, seconds=1.0, rate=16000), rate=16000) as bot:
        headers = {
            "X-STREAM_URL": bot.url + "?room=1",
            "X-Stream-Rate": "16000",
            "x-stream_buffer_size": "100",
            "X-STREAM_METADATA": '{"name": "Jörg", "spaces":  "kept"}',
            "X-STREAM_EXTRA_HEADERS": '{"X-Api-Key": "k3y"}',
        }
        async with start_sidecar() as car, Baresip(tmp_path, says=caller_tone(1.0), headers=headers) as caller:
            await caller.dial(car.uri())
            await bot.received(6)
            await caller.hang_up()
            await bot.closed()
        call = bot.call
        assert call.path == "/ws?room=1"
        assert call.headers["X-Api-Key"] == "k3y"
        assert call.messages[0].data == '{"name": "Jörg", "spaces":  "kept"}'
        assert {len(message) for message in call.binaries[:-1]} == {3200}
        assert call.texts == ['{"name": "Jörg", "spaces":  "kept"}']
