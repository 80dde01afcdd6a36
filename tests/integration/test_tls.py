"""A bot behind `wss://`: its certificate is checked, and the call is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import StartSidecar
from tests.support import sipp
from tests.support.bots import EchoBot
from tests.support.capture import rtp_packets
from tests.support.certificates import write_certificate
from tests.support.stalls import measured_stalls
from tests.support.tones import find_tone, gaps, make_tone

pytestmark = pytest.mark.peer("sipp")

TONE_HZ = 437.0
PACKETS = rtp_packets(make_tone(TONE_HZ, level_dbfs=-14.0, seconds=1.0, rate=8000))


async def test_a_bot_with_a_certificate_that_is_trusted(
    start_sidecar: StartSidecar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with (
        measured_stalls() as stalls,
        EchoBot(certificate=certificate) as bot,
        start_sidecar(stream={"url": bot.url, "preroll": "200"}) as car,
    ):
        async with sipp.listeners() as (media_port, (ears,)):
            outcome = await sipp.run(
                "call_with_pcap", car.address, tmp_path, packets=PACKETS, seconds=1.5, media_port=media_port
            )
            outcome.assert_all_successful()
        await bot.closed()
    assert bot.call.close_code == 1000
    assert 8000 <= len(bot.call.heard) <= 1.6 * 8000  # all of it, and the pause until the BYE
    echo = ears.pcm[ears.pcm.nonzero()[0][0] + 400 :][:6000]
    assert find_tone(echo, 8000).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)
    assert len(gaps(echo, 8000)) <= stalls.forgiven


@pytest.mark.parametrize(
    ("address", "days", "trusted"),
    [("127.0.0.1", 1, False), ("127.0.0.1", -1, True), ("192.0.2.1", 1, True)],
    ids=["unknown authority", "expired", "another host"],
)
async def test_a_certificate_that_proves_nothing_is_a_503(
    start_sidecar: StartSidecar,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    days: int,
    trusted: bool,
) -> None:
    certificate = write_certificate(tmp_path, address=address, days=days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with EchoBot(certificate=certificate) as bot, start_sidecar(stream={"url": bot.url}) as car:
        values = {"status": "503", "header": "Reason", "pattern": "bot unreachable: certificate refused"}
        (await sipp.run("call_refused", car.address, tmp_path, values=values)).assert_all_successful()
        assert bot.calls == []
