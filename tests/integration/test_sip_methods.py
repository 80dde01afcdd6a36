"""sipp asks in calls that are up: digits, questions, transfers, refreshes, and what nobody serves; the calls go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs

from sidecar.core.commands import Transfer
from tests.support import sipp
from tests.support.bots import Bot
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sipp import over_each_transport

pytestmark = pytest.mark.peer("sipp")

QUICK = {"t1": 0.01}


TIMED = {**QUICK, "session_expires": 2, "min_se": 1}  # seconds
ALLOW = "INVITE, ACK, BYE, CANCEL"


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


@over_each_transport
async def test_digits_in_info_are_events(tmp_path: Path, transport: sipp.Transport) -> None:
    digits = {"5": IN_CALLS["relay"], "*": IN_CALLS["star"], "7": IN_CALLS["digit"]}
    with capture_logs() as logs:
        async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:
            await asyncio.gather(
                *(ask(car, tmp_path / str(number), asked, transport) for number, asked in enumerate(digits.values())),
            )
    heard = sorted(log["body"]["digit"] for log in logs if log["event"] == "dtmf")
    assert heard == sorted([*digits, *digits])


@over_each_transport
async def test_a_session_is_kept_alive_by_either_side_and_ends_when_nobody_does(
    tmp_path: Path, transport: sipp.Transport
) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=TIMED) as car:

        async def play(scenario: str, name: str, headers: Mapping[str, str]) -> None:
            values = {"interval": "3", "reason": 'SIP;cause=408;text="Session Expired"'}
            outcome = await sipp.run(
                *(scenario, car.address, tmp_path / name),
                headers=headers,
                values=values,
                seconds=1.3,
                transport=transport,
            )
            outcome.assert_all_successful()

        def asks(refresher: str, *, seconds: int = 2, allow: str = ALLOW) -> dict[str, str]:
            expires = f"{seconds};refresher={refresher}"
            return {"Supported": "timer", "Allow": allow, "Session-Expires": expires, "Min-SE": "1"}

        await asyncio.gather(
            play("refreshed_by_caller", "caller", asks("uac", seconds=3)),
            play("refreshed_by_peer", "peer", asks("uas", allow=f"{ALLOW}, UPDATE")),
            play("refreshed_by_peer_reinvite", "reinvite", asks("uas")),
            play("refreshed_by_peer", "no timers", {"Allow": f"{ALLOW}, UPDATE"}),
            play("bye_from_peer", "nobody", asks("uac")),
        )
        await bot.closed(5)


@over_each_transport
async def test_a_caller_is_sent_elsewhere(tmp_path: Path, transport: sipp.Transport) -> None:
    target = "sip:9986@127.0.0.1"
    with capture_logs() as logs:
        async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:

            async def play(scenario: str, last: str) -> None:
                values = {"target": target, "last": last}
                outcome = await sipp.run(
                    scenario, car.address, tmp_path / scenario, values=values, seconds=0.1, transport=transport
                )
                outcome.assert_all_successful()

            both = asyncio.gather(play("transfer", "200 OK"), play("transfer_failed", "486 Busy Here"))
            await bot.connected(2)
            await transfer_all(car, target)
            await bot.send("sends what waits")
            await both
            await bot.closed(2)
    told = sorted(log["body"]["status"] for log in logs if log["event"] == "transfer")
    assert told == [100, 100, 200, 486]
    (transferred,) = (call for call in logs if call["event"] == "disconnect" and "local" in str(call["body"]))
    assert transferred


async def transfer_all(car: SidecarUnderTest, target: str) -> None:
    """Ask all callers to call another, once each call is up."""
    control, now = car.sidecar.control, asyncio.get_running_loop().time
    for stream in list(control._sessions):
        while True:
            try:
                control.obey(stream, Transfer(target), now=now())
                break
            except ValueError:  # the ACK is still on its way
                await asyncio.sleep(0.01)


@over_each_transport
async def test_who_knows_the_password_may_call_and_nobody_else(tmp_path: Path, transport: sipp.Transport) -> None:
    settings = {
        **QUICK,
        "auth": {"users": {"alice": "wonderland"}, "algorithms": ["MD5"]},
    }  # sipp reads the first alone
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=settings) as car:

        async def play(scenario: str, user: str, password: str) -> None:
            outcome = await sipp.run(
                *(scenario, car.address, tmp_path / f"{user}-{password}"),
                calls=3,
                rate=30.0,
                transport=transport,
                arguments=("-au", user, "-ap", password),
            )
            outcome.assert_all_successful(3)

        await asyncio.gather(
            play("digest", "alice", "wonderland"),
            play("digest_refused", "alice", "looking-glass"),
            play("digest_refused", "bob", "wonderland"),
        )
        await bot.closed(3)
    assert len(bot.calls) == 3


@over_each_transport
async def test_too_many_calls_a_second_are_told_to_come_again(tmp_path: Path, transport: sipp.Transport) -> None:
    settings = {**QUICK, "invites_per_second": 5}
    with capture_logs() as logs:
        async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=settings) as car:
            outcome = await sipp.run("call", car.address, tmp_path, calls=30, rate=200.0, transport=transport)
            assert 1 <= outcome.successful <= 15
            assert car.sidecar.agent.counters.refused_calls == outcome.failed
            await bot.closed(outcome.successful)
            await asyncio.sleep(1.1)
    said = [line for line in logs if line["event"] == "calls refused"]
    assert sum(line["calls"] for line in said) == outcome.failed
    assert {line["why"] for line in said} == {"Too Many Calls A Second"}
    assert outcome.log.count("Retry-After: 1") >= outcome.failed
