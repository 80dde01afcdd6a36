"""sipp asks in calls that are up: digits, questions, transfers, refreshes, and what nobody serves; the calls go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import sipp
from tests.support.bots import Bot
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sipp import over_each_transport

pytestmark = pytest.mark.peer("sipp")

QUICK = {"t1": 0.01}


class Asked(NamedTuple):
    """A request in a call, and its answer."""

    method: str
    status: int
    header: str = "Accept: application/sdp"
    content_type: str = "application/dtmf-relay"
    body: str = "Signal=5\r\nDuration=160"


IN_CALLS = {
    "relay": Asked("INFO", 200),
    "star": Asked("INFO", 200, body="Signal=*\r\nDuration=100"),
    "digit": Asked("INFO", 200, content_type="application/dtmf", body="7"),
    "no digit": Asked("INFO", 400, body="Signal=99\r\nDuration=160"),
    "other": Asked("INFO", 200, content_type="application/json", body="{}"),
    "package": Asked("INFO", 469, header="Info-Package: weather"),
    "options": Asked("OPTIONS", 200),
    "refer": Asked("REFER", 603, header="Refer-To: <sip:elsewhere@127.0.0.1>"),
    "notify": Asked("NOTIFY", 481, header="Event: refer"),
    "another event": Asked("NOTIFY", 489, header="Event: presence"),
    "prack": Asked("PRACK", 481, header="RAck: 1 1 INVITE", content_type="application/sdp", body="v=0"),
    "message": Asked("MESSAGE", 405),
    "unheard of": Asked("BREW", 501),
    "extension": Asked("INFO", 420, header="Require: teleport"),
}


async def ask(car: SidecarUnderTest, directory: Path, asked: Asked, transport: sipp.Transport) -> None:
    values = asked._asdict() | {"status": str(asked.status)}
    outcome = await sipp.run(
        "request_in_call", car.address, directory, values=values, calls=2, seconds=0.1, transport=transport
    )
    outcome.assert_all_successful(2)


@over_each_transport
async def test_what_is_asked_in_a_call_is_answered_and_the_call_goes_on(
    tmp_path: Path, transport: sipp.Transport
) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:
        await asyncio.gather(
            *(ask(car, tmp_path / name, asked, transport) for name, asked in IN_CALLS.items()),
        )
        await bot.closed(2 * len(IN_CALLS))
    assert {call.close_code for call in bot.calls} == {1000}
