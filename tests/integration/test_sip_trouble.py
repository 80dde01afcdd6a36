"""sipp repeats, loses, misdirects and mistimes what it sends: each call comes out as RFC 3261 says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support import sipp
from tests.support.bots import Bot, RawServer
from tests.support.sidecar import sidecar_under_test
from tests.support.sipp import over_each_transport
from tests.support.stalls import measured_stalls

pytestmark = pytest.mark.peer("sipp")

QUICK = {"t1": 0.01}  # 64 T1, the life of a transaction, are 0.64 s
COPIES = 300


@over_each_transport
@pytest.mark.parametrize("calls", [1, 10])
async def test_a_storm_of_copies_is_one_call_and_harms_none(
    tmp_path: Path, transport: sipp.Transport, calls: int
) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url, "answer": "early"}, sip=QUICK) as car:
        counters = car.sidecar.agent.counters
        copies = COPIES // calls
        values = {"copies": str(copies)}
        running = sipp.run(
            *("storm", car.address, tmp_path),
            values=values,
            calls=calls,
            rate=100.0,
            seconds=0.2,
            transport=transport,
            arguments=sipp.TAKES_COPIES,
        )
        storm = asyncio.create_task(running)
        while counters.requests_by_method.total() < COPIES and not storm.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await bot.connected(calls)
        await bot.send_command("answer")
        outcome = await storm
        outcome.assert_all_successful(calls)
        assert outcome.log.count("CSeq: 99 BYE") >= 1.9 * COPIES  # each copy was sent, and answered
        await bot.closed(calls)
        assert counters.requests_by_method.total() >= 2 * COPIES + calls  # the ACKs too
        assert counters.calls_received == counters.calls_answered == calls
    assert len(bot.calls) == calls


@over_each_transport
async def test_a_lost_ack_ends_the_call_and_a_late_one_does_not(tmp_path: Path, transport: sipp.Transport) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:
        several: dict[str, Any] = {"calls": 3, "rate": 30.0, "transport": transport, "arguments": sipp.TAKES_COPIES}
        lost, late = await asyncio.gather(
            sipp.run("lost_ack", car.address, tmp_path / "lost", **several),
            sipp.run("late_ack", car.address, tmp_path / "late", seconds=0.3, **several),
        )
        lost.assert_all_successful(3)
        late.assert_all_successful(3)
        await bot.closed(6)
    assert 'Reason: SIP;cause=408;text="No ACK"' in lost.log
    assert 'text="No ACK"' not in late.log
    # At 0, 1, 3, 7, 15, 31 and 63 T1: over streams too, for what loses an ACK is a proxy (RFC 3261, 13.3.1.4).
    assert lost.log.count("SIP/2.0 200 OK\r\n") + lost.log.count("SIP/2.0 200 OK\n") >= 3 * 6


@over_each_transport
async def test_requests_that_miss_their_call_leave_it_alone(tmp_path: Path, transport: sipp.Transport) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:
        scenarios = ["wrong_to_tag", "merged", "cancel_too_late", "bye_after_the_end"]
        outcomes = await asyncio.gather(
            *(
                sipp.run(name, car.address, tmp_path / name, calls=3, rate=30.0, seconds=0.1, transport=transport)
                for name in scenarios
            )
        )
        for outcome in outcomes:
            outcome.assert_all_successful(3)
        await bot.closed(3 * len(scenarios))
        assert car.sidecar.agent.counters.merged_requests == 3
        assert car.sidecar.agent.counters.stray_acks >= 3
    assert len(bot.calls) == 3 * len(scenarios)
    assert {call.close_code for call in bot.calls} == {1000}


@over_each_transport
async def test_100_comes_at_once_and_a_call_that_is_cancelled_leaves_nothing(
    tmp_path: Path, transport: sipp.Transport
) -> None:
    async with (
        measured_stalls() as stalls,
        RawServer() as bot,
        sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car,
    ):
        trying, given_up = await asyncio.gather(
            sipp.run("trying", car.address, tmp_path / "trying", calls=5, rate=50.0, transport=transport),
            sipp.run("cancel", car.address, tmp_path / "cancel", calls=5, rate=50.0, seconds=0.2, transport=transport),
        )
        trying.assert_all_successful(5)
        given_up.assert_all_successful(5)
    assert trying.response_seconds < 0.020 + stalls.longest
