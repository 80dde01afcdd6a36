"""RTCP on the wire, read by another implementation."""

from __future__ import annotations

import asyncio

import pytest
from aiortc.rtp import RtcpPacket, RtcpSdesPacket, RtcpSrPacket
from structlog.testing import capture_logs

from rtp import ReceiverReport, ReportBlock, compound
from tests.integration.conftest import StartSidecar
from tests.support.bots import EchoBot
from tests.support.media_caller import media_caller


@pytest.mark.parametrize("rtcp_mux", [False, True])
async def test_reports_come_and_are_heard(start_sidecar: StartSidecar, rtcp_mux: bool) -> None:
    reports: list[list[object]] = []
    with capture_logs() as logs:
        async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}) as car:
            async with media_caller(car.sidecar.sip_address, rtcp_mux=rtcp_mux) as caller:
                assert caller.media.rtcp_mux == rtcp_mux
                sock = caller.rtp if rtcp_mux else caller.rtcp
                talking = asyncio.create_task(caller.talk(5.0))
                while not reports:
                    await asyncio.sleep(0.05)
                    reports = _reports(caller.received(sock))
                sender, description = reports[0]
                assert isinstance(sender, RtcpSrPacket)
                assert isinstance(description, RtcpSdesPacket)
                (block,) = sender.reports
                assert (block.ssrc, block.packets_lost, block.fraction_lost) == (7, 0, 0)
                assert sender.sender_info.packet_count > 50
                await asyncio.sleep(0.1)
                middle = sender.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
                answer = ReportBlock(sender.ssrc, 64, 10, 0, 80, middle, round(0.1 * 65536))
                sock.sendto(compound([ReceiverReport(7, (answer,))]), caller.there_reports)
                await asyncio.sleep(0.1)
                talking.cancel()
            await bot.closed()
    (stop,) = (log["body"] for log in logs if log["event"] == "stop")
    assert stop["round_trip_ms"] == pytest.approx(10, abs=60)
    assert stop["remote_loss"] == 0.25
    assert stop["remote_jitter_ms"] == 10.0
    assert stop["remote_mos"] < stop["mos"]


def _reports(datagrams: list[tuple[bytes, tuple[str, int]]]) -> list[list[object]]:
    return [list(RtcpPacket.parse(data)) for data, _ in datagrams if 192 <= data[1] <= 223]
