"""sipp places calls by the hundred, and calls that go wrong in every way; nothing may be left of any of them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Sequence
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.integration.conftest import StartSidecar
from tests.support import sipp
from tests.support.bots import (
    Bot,
    ClosingBot,
    EchoBot,
    GarbageServer,
    OpeningBot,
    RawServer,
    RefusingBot,
    StallingBot,
)
from tests.support.capture import TimedPacket, pcm_of, rtp_packets
from tests.support.ports import LOOPBACK, free_port
from tests.support.sidecar import sidecar_under_test
from tests.support.stalls import measured_stalls
from tests.support.tones import Pcm, find_tone, gaps, level_at, make_tone, splices

pytestmark = pytest.mark.peer("sipp")

TONE_HZ = 437.0
PACKETS = rtp_packets(make_tone(TONE_HZ, level_dbfs=-14.0, seconds=2.0, rate=8000))
ONE_SECOND = PACKETS[:50]


@pytest.mark.parametrize("portable", [False, True], ids=["batched", "portable"])
async def test_two_hundred_calls_at_twenty_a_second(tmp_path: Path, portable: bool) -> None:
    calls, make_bot = (40, EchoBot) if portable else (200, Bot)
    async with make_bot() as bot, sidecar_under_test(portable=portable, stream={"url": bot.url, "rate": "16k"}) as car:
        outcome = await sipp.run(
            "call_with_pcap", car.address, tmp_path, packets=ONE_SECOND, calls=calls, rate=20.0, seconds=2.2
        )
        outcome.assert_all_successful(calls)
        await bot.closed(calls)
        await car.until_no_calls()
    assert len(bot.calls) == calls
    for call in bot.calls:
        assert call.close_code == 1000
        assert 16000 <= len(call.heard) <= 2.6 * 16000  # all of it, and the pause until the BYE
        assert level_at(call.heard[16000 + 1920 :], 16000, TONE_HZ) < -40.0  # after the fade
        middle = call.heard[1600 : 16000 - 1600]
        assert find_tone(middle, 16000).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)
        assert gaps(middle, 16000) == []
        assert splices(middle, 16000) == []


async def test_the_caller_hears_the_echo_and_rtp_never_stops(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with (
        measured_stalls() as stalls,
        EchoBot() as bot,
        start_sidecar(stream={"url": bot.url, "rate": "16k", "preroll": "200"}) as car,
        sipp.listeners() as (media_port, (ears,)),
    ):
        outcome = await sipp.run(
            "call_with_pcap", car.address, tmp_path, packets=PACKETS, seconds=2.7, media_port=media_port
        )
        outcome.assert_all_successful()
    lasted = ears.packets[-1].at - ears.packets[0].at
    assert lasted > 2.5
    assert len(ears.packets) == pytest.approx(1 + lasted * 50, abs=3 + stalls.total * 50)
    numbers = [int.from_bytes(packet.data[2:4]) for packet in ears.packets]
    assert {(after - before) % 65536 for before, after in pairwise(numbers)} == {1}
    echo = tone_between_ends(ears.pcm)
    assert len(echo) > 1.8 * 8000
    assert find_tone(echo, 8000).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)
    assert level_at(echo, 8000, TONE_HZ) == pytest.approx(-14.0, abs=0.5 + stalls.total)
    assert len(gaps(echo, 8000)) <= stalls.forgiven


def tone_between_ends(pcm: Pcm) -> Pcm:
    """Return what is loud, less 50 ms at each end."""
    loud = np.flatnonzero(np.abs(pcm) > 1000)
    return pcm[loud[0] + 400 : loud[-1] - 400]


async def test_twenty_seconds_of_audio_in_one_message_are_played_to_the_sample(tmp_path: Path) -> None:
    said = make_tone(TONE_HZ, level_dbfs=-14.0, seconds=20.0, rate=8000)
    said[0] = said[-1] = 12000  # so that both ends can be found
    async with measured_stalls() as stalls, OpeningBot([said.astype("<i2").tobytes()]) as bot:
        async with sidecar_under_test(stream={"url": bot.url}) as car, sipp.listeners() as (media_port, (ears,)):
            outcome = await sipp.run(
                "call_with_pcap", car.address, tmp_path, packets=PACKETS, seconds=23.0, media_port=media_port
            )
            outcome.assert_all_successful()
    # After a stall of more than 100 ms the timestamps jump, and what is played goes on where it was.
    assert len(pcm_of(ears.packets)) == 160 * len(ears.packets) or stalls.longest > 0.060
    heard = decode_each(ears.packets)
    ends = np.flatnonzero(np.abs(heard) > 11000)
    assert ends[-1] - ends[0] == len(said) - 1
    played = heard[ends[0] : ends[-1] + 1]
    error = played.astype(np.int64) - said
    assert np.abs(error).max() < 512  # of G.711 at this level
    assert np.sqrt(np.mean(error.astype(np.float64) ** 2)) < 0.02 * np.sqrt(np.mean(said.astype(np.float64) ** 2))


def decode_each(packets: Sequence[TimedPacket]) -> Pcm:
    """Decode packets one after the other, whatever their timestamps say."""
    return np.concatenate([pcm_of([packet]) for packet in packets])


async def test_a_call_can_be_cancelled_while_its_bot_is_slow(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with RawServer() as bot, start_sidecar(stream={"url": bot.url}, bot={"connect_timeout": 20.0}) as car:
        (await sipp.run("cancel", car.address, tmp_path, calls=10, rate=50.0, seconds=0.5)).assert_all_successful(10)
        await car.until_no_calls()
        assert len(bot.connections) == 10


async def test_a_bye_right_after_the_ack_is_a_short_call(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with Bot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        (await sipp.run("early_bye", car.address, tmp_path, calls=20, rate=50.0)).assert_all_successful(20)
        await bot.closed(20)
        assert {call.close_code for call in bot.calls} == {1000}


async def test_a_bye_before_the_bot_is_connected(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    stream = {"url": "", "answer": "immediate"}
    async with RawServer() as bot, start_sidecar(stream=stream | {"url": bot.url}) as car:
        (await sipp.run("early_bye", car.address, tmp_path, calls=20, rate=50.0)).assert_all_successful(20)
        await car.until_no_calls()


async def test_a_retransmitted_invite_is_one_call(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with Bot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        (await sipp.run("retransmitted_invite", car.address, tmp_path)).assert_all_successful()
        await bot.closed()
        assert len(bot.calls) == 1


async def test_options_say_what_is_accepted(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with start_sidecar() as car:
        values = {"status": "200", "header": "Accept", "pattern": "application/sdp"}
        (await sipp.run("options", car.address, tmp_path, values=values)).assert_all_successful()


async def refused(
    car_address: str, directory: Path, *, status: int, header: str, pattern: str, calls: int = 5
) -> float:
    """Place calls that must be refused so; return how long the slowest run took, in seconds."""
    values = {"status": str(status), "header": header, "pattern": pattern}
    started = time.monotonic()
    outcome = await sipp.run("call_refused", car_address, directory, values=values, calls=calls, rate=50.0)
    outcome.assert_all_successful(calls)
    return time.monotonic() - started


async def test_a_bot_that_is_not_there_is_a_503_that_says_so(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with start_sidecar(stream={"url": f"ws://{LOOPBACK}:{free_port()}/"}) as car:
        await refused(car.address, tmp_path, status=503, header="Reason", pattern="bot unreachable: Connection refused")


async def test_a_bot_without_a_name_is_a_503_that_says_so(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    # A resolver that reaches nobody takes longer to say so than a call should wait.
    async with start_sidecar(stream={"url": "ws://bot.invalid/"}, bot={"connect_timeout": 30.0}) as car:
        await refused(car.address, tmp_path, status=503, header="Reason", pattern="bot unreachable: .*(name|Name)")


async def test_a_bot_that_refuses_is_a_503_with_its_status(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with RefusingBot(HTTPStatus.FORBIDDEN) as bot, start_sidecar(stream={"url": bot.url}) as car:
        await refused(car.address, tmp_path, status=503, header="Reason", pattern="HTTP 403")


async def test_a_bot_that_never_answers_is_a_503_within_the_time_for_it(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    async with RawServer() as bot, start_sidecar(stream={"url": bot.url}, bot={"connect_timeout": 0.5}) as car:
        took = await refused(car.address, tmp_path, status=503, header="Reason", pattern="no connection within 0.5 s")
        assert took < 5.0


async def test_options_that_are_wrong_are_refused_by_name(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with start_sidecar() as car:
        await refused(car.address, tmp_path, status=400, header="Warning", pattern="399 .*url: missing")


@pytest.mark.parametrize(
    "garbage",
    [GarbageServer.RESERVED_OPCODE, GarbageServer.MASKED, GarbageServer.BAD_UTF8, b"\xff" * 4000],
    ids=["opcode", "masked", "utf8", "noise"],
)
async def test_a_bot_that_talks_garbage_is_lost_and_the_call_ends(
    start_sidecar: StartSidecar, tmp_path: Path, garbage: bytes
) -> None:
    async with GarbageServer(garbage) as bot, start_sidecar(stream={"url": bot.url}) as car:
        outcome = await sipp.run("bye_from_server", car.address, tmp_path, packets=PACKETS, calls=3)
        outcome.assert_all_successful(3)
        assert 'Reason: Q.850;cause=41;text="bot lost: ' in outcome.log
        await car.until_no_calls()


async def test_a_bot_that_closes_ends_the_call(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with ClosingBot(1000, reason="done") as bot, start_sidecar(stream={"url": bot.url}) as car:
        outcome = await sipp.run("bye_from_server", car.address, tmp_path, packets=PACKETS, calls=3)
        outcome.assert_all_successful(3)
        assert "Reason: Q.850;cause=16" in outcome.log
        await car.until_no_calls()


async def test_what_a_bot_said_before_it_closed_is_heard_to_the_end(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    said = make_tone(TONE_HZ, level_dbfs=-14.0, seconds=1.0, rate=8000)

    class SayAndClose(ClosingBot):
        async def talk(self, connection: object, call: object) -> None:
            await self.send(said.astype("<i2").tobytes())
            await self.hang_up()

    async with SayAndClose(1000, after=10_000) as bot, start_sidecar(stream={"url": bot.url}) as car:
        async with sipp.listeners() as (media_port, (ears,)):
            outcome = await sipp.run("bye_from_server", car.address, tmp_path, packets=PACKETS, media_port=media_port)
            outcome.assert_all_successful()
    assert np.count_nonzero(np.abs(ears.pcm) > 100) > 0.95 * len(said) * 0.99


async def test_a_bot_that_stops_reading_delays_nobody_and_keeps_little(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    """At 48 kHz a bot is sent 96 KB a second: some wait in the kernel, 2 s in the outbox, the rest is dropped."""
    packets = rtp_packets(make_tone(TONE_HZ, level_dbfs=-14.0, seconds=6.0, rate=8000))
    with capture_logs() as logs:
        async with (
            measured_stalls() as stalls,
            StallingBot(receive_buffer=4096) as stalling,
            EchoBot() as good,
            start_sidecar(
                stream={"rate": "48k", "preroll": "200"},
                profiles={"stalling": {"url": stalling.url}, "good": {"url": good.url}},
            ) as car,
            sipp.listeners() as (media_port, (ears,)),
        ):

            def call(bot: str, port: int | None = None) -> Awaitable[sipp.Outcome]:
                directory = tmp_path / bot
                return sipp.run(
                    "call_with_pcap", car.address, directory, user=bot, packets=packets, seconds=6.5, media_port=port
                )

            for outcome in await asyncio.gather(call("good", media_port), call("stalling")):
                outcome.assert_all_successful()
            await good.closed()
            await car.until_no_calls()
            stalling.drop()
            await stalling.closed()
    dropped = sorted(log["body"]["messages_dropped"] for log in logs if log["event"] == "stop")
    assert len(dropped) == 2
    assert dropped[0] == 0, "the good bot lost audio"
    assert 100 < dropped[1] < 250  # of 300 messages of 20 ms: 100 are kept, and what the kernel takes
    errors = [log["body"]["message"] for log in logs if log["event"] == "error"]
    assert [error["code"] for error in errors] == [10], "it is told once"
    assert len(good.call.heard) >= 6 * 48000
    assert gaps(good.call.heard[4800 : 6 * 48000 - 4800], 48000) == []
    echo = tone_between_ends(ears.pcm)
    assert len(echo) > 5.8 * 8000
    assert len(gaps(echo, 8000)) <= stalls.forgiven


async def test_garbage_on_both_ports_is_counted_and_nothing_else(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    random = Random(1)
    garbage = [random.randbytes(random.choice([0, 1, 11, 12, 200, 1500, 9000])) for _ in range(500)]
    garbage += [b"INVITE sip:x SIP/2.0\r\n" + random.randbytes(300) for _ in range(100)]
    garbage += [packet.data for packet in PACKETS[:50]]  # well-formed RTP, from nobody
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        host, port = car.sidecar.sip_address
        call = asyncio.create_task(sipp.run("call_with_pcap", car.address, tmp_path, packets=PACKETS, seconds=2.2))
        await bot.connected()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number, datagram in enumerate(garbage):
                stranger.sendto(datagram, (host, port))
                stranger.sendto(datagram, (host, car.sidecar.rtp_port))
                if number % 50 == 0:
                    await asyncio.sleep(0.01)
        (await call).assert_all_successful()
        await bot.closed()
        counters = car.sidecar.worker.counters
        assert counters.unknown_source == len(garbage)
        malformed = car.sidecar.agent.counters
        assert malformed.malformed_requests + malformed.malformed_datagrams > 500
    assert 2 * 8000 <= len(bot.call.heard) <= 2.5 * 8000  # all of it, and the pause until the BYE
    assert gaps(bot.call.heard[800 : 2 * 8000 - 800], 8000) == []
