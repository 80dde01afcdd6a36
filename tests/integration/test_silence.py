"""Audio from elsewhere never reaches a bot, and a call that is silent because of it is told of."""

from __future__ import annotations

import asyncio
import socket

import numpy as np
import pytest
from structlog.testing import capture_logs

from rtp import Codec, RtpPacket
from rtp.g711 import encode_one
from tests.integration.conftest import StartSidecar
from tests.support.bots import EchoBot
from tests.support.media_caller import media_caller, new_socket
from tests.support.ports import LOOPBACK
from tests.support.tones import find_tone, level_at, make_tone

CALLER_HZ, STRANGER_HZ = 437.0, 1130.0
SPOOFED = 1000


def payloads(hz: float, seconds: float) -> list[bytes]:
    pcm = make_tone(hz, level_dbfs=-14.0, seconds=seconds, rate=8000)
    return [encode_one(pcm[at : at + 160], Codec.PCMU) for at in range(0, len(pcm) - 159, 160)]


async def test_a_thousand_spoofed_sources_during_a_call_are_never_heard(start_sidecar: StartSidecar) -> None:
    said, spoofed = payloads(CALLER_HZ, 4.0), payloads(STRANGER_HZ, 4.0)
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        async with media_caller(car.sidecar.sip_address) as caller:
            strangers = [_socket_at(f"127.{1 + number // 250}.7.{1 + number % 250}") for number in range(SPOOFED)]
            try:
                for number, payload in enumerate(said):
                    sequence = caller.sequence_number
                    for stranger in strangers[number % 20 :: 20]:  # the very packet that is expected next
                        packet = RtpPacket(0, sequence, 160 * sequence, 7, spoofed[number])
                        stranger.sendto(bytes(packet), caller.there)
                    caller.rtp.sendto(caller.packet(payload), caller.there)
                    await asyncio.sleep(0.02)
            finally:
                for stranger in strangers:
                    stranger.close()
        await bot.closed()
        assert car.sidecar.worker.counters.unknown_source > 0.9 * len(said) * SPOOFED / 20
    heard = bot.call.heard[: len(said) * 160]
    assert find_tone(heard, 8000).frequency_hz == pytest.approx(CALLER_HZ, abs=1.0)
    assert level_at(heard, 8000, STRANGER_HZ) < -60.0
    assert not np.abs(heard).max() > 12000


def _socket_at(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock


async def test_a_call_that_is_sent_audio_from_elsewhere_is_told_of_once(start_sidecar: StartSidecar) -> None:
    with capture_logs() as logs:
        async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}) as car:
            async with media_caller(car.sidecar.sip_address) as caller:
                with new_socket() as elsewhere:
                    actual = elsewhere.getsockname()[1]
                    await caller.talk(3.2, by=elsewhere)
                expected = caller.rtp.getsockname()[1]
            await bot.closed()
    (error,) = (log["body"]["message"]["error"] for log in logs if log["event"] == "error")
    assert f"{LOOPBACK}:{expected}" in error
    assert f"{LOOPBACK}:{actual}" in error
    assert "SIDECAR_RTP__MODE=ports" in error


@pytest.mark.parametrize("talks", [False, True])
async def test_a_call_without_audio_is_ended(start_sidecar: StartSidecar, talks: bool) -> None:
    timeouts = {"timeout_start": 1.0, "timeout": 1.0}
    with capture_logs() as logs:
        async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}, rtp=timeouts) as car:
            async with media_caller(car.sidecar.sip_address) as caller:
                await caller.talk(0.5 if talks else 0.0)
                ended = await asyncio.wait_for(asyncio.shield(caller.ended), 3.0)
                assert ended.message is not None
                assert "cause=102" in (ended.message.headers.get("Reason") or "")
            await bot.closed()
    (error,) = (log["body"]["message"]["error"] for log in logs if log["event"] == "error")
    assert error.startswith("no RTP for" if talks else "no RTP came at all")
