"""baresip holds a call and takes it up again: media stops, and returns."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.integration.conftest import StartSidecar
from tests.support.baresip import Baresip
from tests.support.bots import ToneBot
from tests.support.tones import find_tone, make_tone

pytestmark = pytest.mark.peer("baresip")

BOT_HZ = 1130.0


async def test_a_held_caller_is_sent_nothing_until_it_resumes(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    says = make_tone(BOT_HZ, level_dbfs=-14.0, seconds=8.0, rate=8000)
    quiet = make_tone(437.0, level_dbfs=-14.0, seconds=8.0, rate=8000)
    loop = asyncio.get_running_loop()
    with capture_logs() as logs:
        async with ToneBot(says, rate=8000) as bot, start_sidecar(stream={"url": bot.url}) as car:
            async with Baresip(tmp_path, says=quiet) as caller:
                await caller.dial(car.uri())
                started = loop.time()
                await asyncio.sleep(1.0)
                await caller.hold()
                held = loop.time()
                await asyncio.sleep(1.5)
                await caller.resume()
                resumed = loop.time()
                await asyncio.sleep(1.5)
                await caller.hang_up()
                ended = loop.time()
            await bot.closed()
    (stop,) = (log for log in logs if log["event"] == "stop")
    talked, paused = ended - started - (resumed - held), resumed - held
    assert stop["body"]["packets_sent"] == pytest.approx(50 * talked, abs=15)
    assert paused > 1.4
    heard, _ = caller.heard
    assert find_tone(heard[-8000:-800], 8000).frequency_hz == pytest.approx(BOT_HZ, abs=1.0)
