"""baresip calls in every codec, says a tone, and records what it hears; the bot hears that tone, and says another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import StartSidecar
from tests.support.baresip import G722, L16_8K, L16_16K, OPUS, PCMA, PCMU, Baresip, CallFailed, Codec
from tests.support.bots import BotCall, ToneBot
from tests.support.stalls import Stalls, measured_stalls
from tests.support.tones import Pcm, find_tone, gaps, make_tone

pytestmark = pytest.mark.peer("baresip")

LEVEL_DBFS = -14.0
SECONDS = 2.5
BOT_RATE = 16000


async def talk(
    start_sidecar: StartSidecar, directory: Path, codec: Codec, *, caller_hz: float, bot_hz: float, mix: str = "mono"
) -> tuple[BotCall, Pcm, Stalls]:
    """Let caller and bot talk; return what the bot heard, what the caller heard, and stalls."""
    caller_says = make_tone(caller_hz, level_dbfs=LEVEL_DBFS, seconds=SECONDS + 2, rate=codec.rate)
    bot_says = make_tone(bot_hz, level_dbfs=LEVEL_DBFS, seconds=SECONDS + 1, rate=BOT_RATE)
    options = {"rate": str(BOT_RATE), "preroll": "200", "mix": mix}
    async with measured_stalls() as stalls, ToneBot(bot_says, rate=BOT_RATE) as bot:
        async with (
            start_sidecar(stream={"url": bot.url, **options}) as car,
            Baresip(directory, says=caller_says, codec=codec) as caller,
        ):
            await caller.dial(car.uri())
            await bot.received(round(SECONDS * 50), within=SECONDS + 5)
            await caller.hang_up()
            await bot.closed()
            await car.until_no_calls()
        pcm, rate = caller.heard
        assert rate == codec.rate
        return bot.call, pcm.reshape(-1, codec.channels)[:, 0], stalls


def assert_tone(pcm: Pcm, rate: int, hz: float, stalls: Stalls, *, tolerance_db: float) -> None:
    """The tone is there, at its level, without a hole but for stalls."""
    middle = np.ascontiguousarray(pcm[rate // 2 : -rate // 2])
    assert len(middle) > rate
    tone = find_tone(middle, rate)
    assert tone.frequency_hz == pytest.approx(hz, abs=1.0)
    assert tone.level_dbfs == pytest.approx(LEVEL_DBFS, abs=tolerance_db + 2 * stalls.total)
    assert len(gaps(middle, rate, frequency_hz=hz)) <= stalls.forgiven


@pytest.mark.parametrize(
    ("codec", "tolerance_db"), [(L16_8K, 0.2), (L16_16K, 0.2), (G722, 0.5), (OPUS, 1.5)], ids=lambda value: str(value)
)
async def test_each_codec_carries_a_tone_both_ways_at_its_level(
    start_sidecar: StartSidecar, tmp_path: Path, codec: Codec, tolerance_db: float
) -> None:
    call, heard, stalls = await talk(start_sidecar, tmp_path, codec, caller_hz=437.0, bot_hz=1130.0)
    assert {len(message) for message in call.binaries} == {BOT_RATE // 50 * 2}
    assert_tone(call.heard, BOT_RATE, 437.0, stalls, tolerance_db=tolerance_db)
    assert_tone(heard, codec.rate, 1130.0, stalls, tolerance_db=tolerance_db)


@pytest.mark.parametrize("codec", [L16_16K, G722, OPUS], ids=lambda codec: codec.module)
async def test_wide_codecs_carry_what_a_telephone_cannot(
    start_sidecar: StartSidecar, tmp_path: Path, codec: Codec
) -> None:
    call, heard, stalls = await talk(start_sidecar, tmp_path, codec, caller_hz=5600.0, bot_hz=6100.0)
    assert_tone(call.heard, BOT_RATE, 5600.0, stalls, tolerance_db=2.0)
    assert_tone(heard, codec.rate, 6100.0, stalls, tolerance_db=2.0)


async def test_both_voices_are_paired_in_a_wide_codec(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    call, _, stalls = await talk(start_sidecar, tmp_path, G722, caller_hz=437.0, bot_hz=1130.0, mix="stereo")
    left, right = call.heard.reshape(-1, 2).T
    assert_tone(left, BOT_RATE, 437.0, stalls, tolerance_db=0.5)
    assert_tone(right, BOT_RATE, 1130.0, stalls, tolerance_db=0.5)


async def test_only_the_codecs_of_the_setting_are_taken(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    silence = np.zeros(8000, np.int16)
    async with ToneBot(silence, rate=8000) as bot:
        async with start_sidecar(stream={"url": bot.url}, rtp={"codecs": ["PCMA"]}) as car:
            async with Baresip(tmp_path / "pcmu", says=silence, codec=PCMU) as caller:
                with pytest.raises(CallFailed, match="488"):
                    await caller.dial(car.uri())
            async with Baresip(tmp_path / "pcma", says=silence, codec=PCMA) as caller:
                await caller.dial(car.uri())
                await caller.hang_up()
