"""Encrypted calls with baresip, and what the setting makes of offers that are, or are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import StartSidecar
from tests.support.baresip import Baresip, CallFailed
from tests.support.bots import ToneBot
from tests.support.sidecar import sidecar_under_test
from tests.support.stalls import measured_stalls
from tests.support.tones import find_tone, make_tone

pytestmark = pytest.mark.peer("baresip")

CALLER_HZ, BOT_HZ = 437.0, 1130.0
LEVEL_DBFS = -14.0


@pytest.mark.parametrize("mode", ["one", "ports"])
async def test_both_hear_each_other_through_srtp(tmp_path: Path, mode: str) -> None:
    says = make_tone(BOT_HZ, level_dbfs=LEVEL_DBFS, seconds=4.0, rate=8000)
    caller_says = make_tone(CALLER_HZ, level_dbfs=LEVEL_DBFS, seconds=5.0, rate=8000)
    async with (
        measured_stalls() as stalls,
        ToneBot(says, rate=8000) as bot,
        sidecar_under_test(stream={"url": bot.url, "preroll": "200"}, rtp={"srtp": "required", "mode": mode}) as car,
        Baresip(tmp_path, says=caller_says, encryption="srtp-mand") as caller,
    ):
        await caller.dial(car.uri())
        await bot.received(125, within=8.0)
        await caller.hang_up()
        await bot.closed()
        assert "RTP/SAVP" in caller.log
        for pcm, hz in ((bot.call.heard, CALLER_HZ), (caller.heard[0], BOT_HZ)):
            tone = find_tone(pcm[4000:-4000], 8000)
            assert tone.frequency_hz == pytest.approx(hz, abs=1.0)
            assert tone.level_dbfs == pytest.approx(LEVEL_DBFS, abs=0.5 + 2 * stalls.total)


@pytest.mark.parametrize(("policy", "encryption"), [("off", "srtp-mand"), ("required", None)])
async def test_what_the_setting_does_not_allow_is_refused(
    start_sidecar: StartSidecar, tmp_path: Path, policy: str, encryption: None
) -> None:
    quiet = make_tone(CALLER_HZ, level_dbfs=LEVEL_DBFS, seconds=1.0, rate=8000)
    async with (
        start_sidecar(stream={"url": "ws://127.0.0.1:9/"}, rtp={"srtp": policy}) as car,
        Baresip(tmp_path, says=quiet, encryption=encryption) as caller,
    ):
        with pytest.raises(CallFailed, match="488"):
            await caller.dial(car.uri())
