"""Digits between a telephone and a bot's events: as telephone events, in both directions, and as tones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from rtp import Codec
from rtp.g711 import encode_one
from sidecar.core.commands import Dial
from tests.integration.conftest import StartSidecar
from tests.support.baresip import Baresip
from tests.support.bots import EchoBot
from tests.support.media_caller import media_caller
from tests.support.tones import make_tone

DIGITS = "159#"
TONES = {"1": (697, 1209), "5": (770, 1336), "9": (852, 1477), "#": (941, 1477)}


@pytest.mark.peer("baresip")
async def test_baresip_presses_keys_and_hears_some(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    quiet = make_tone(437.0, level_dbfs=-14.0, seconds=8.0, rate=8000)
    with capture_logs() as logs:
        async with (
            EchoBot() as bot,
            start_sidecar(stream={"url": bot.url}) as car,
            Baresip(tmp_path, says=quiet) as caller,
        ):
            await caller.dial(car.uri())
            await bot.received(10)
            stream = car.sidecar.steering.streams()[0].id
            car.sidecar.steering.obey(stream, Dial(DIGITS, 80))
            await caller.press(DIGITS)
            await asyncio.sleep(0.5)
            await caller.hang_up()
            await bot.closed()
            assert caller.digits_heard == DIGITS
    heard = [log["body"] for log in logs if log["event"] == "dtmf"]
    assert "".join(each["digit"] for each in heard) == DIGITS
    assert {each["source"] for each in heard} == {"rfc4733"}


async def test_tones_in_the_audio_of_who_sends_no_events(start_sidecar: StartSidecar) -> None:
    pressed = np.concatenate([_key(digit) for digit in DIGITS])
    with capture_logs() as logs:
        async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}, rtp={"inband_dtmf": True}) as car:
            async with media_caller(car.sidecar.sip_address, telephone_event=False) as caller:
                for at in range(0, len(pressed), 160):
                    payload = encode_one(pressed[at : at + 160].astype(np.int16), Codec.PCMU)
                    caller.rtp.sendto(caller.packet(payload), caller.there)
                    await asyncio.sleep(0.02)
            await bot.closed()
    heard = [log["body"] for log in logs if log["event"] == "dtmf"]
    assert "".join(each["digit"] for each in heard) == DIGITS
    assert {each["source"] for each in heard} == {"inband"}


def _key(digit: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """100 ms of a key, and 100 ms without."""
    time = np.arange(800) / 8000
    return np.concatenate([sum(6000 * np.sin(2 * np.pi * hz * time) for hz in TONES[digit]), np.zeros(800)])
