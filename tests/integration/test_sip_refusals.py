"""sipp asks for what cannot be had, and is told so as RFC 3261 says; nothing is left of any of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import sipp
from tests.support.bots import Bot
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sipp import over_each_transport

pytestmark = pytest.mark.peer("sipp")

QUICK = {"t1": 0.01}
METHODS = "Allow: .*INVITE.*ACK.*CANCEL.*BYE.*OPTIONS"


class Refusal(NamedTuple):
    """A request that is refused, and how."""

    status: int
    pattern: str  # of the response
    method: str = "OPTIONS"
    uri: str = "sip:[service]@[remote_ip]:[remote_port]"
    version: str = "2.0"
    headers: Mapping[str, str] = {}


REFUSALS = {
    "register": Refusal(405, METHODS, "REGISTER"),
    "subscribe": Refusal(405, METHODS, "SUBSCRIBE", headers={"Event": "presence"}),
    "message": Refusal(405, METHODS, "MESSAGE"),
    "refer": Refusal(405, METHODS, "REFER", headers={"Refer-To": "<sip:elsewhere@127.0.0.1>"}),
    "unheard of": Refusal(501, METHODS, "BREW"),
    "extension": Refusal(420, "Unsupported: teleport", headers={"Require": "timer, teleport"}),
    "scheme": Refusal(416, "416 ", uri="tel:+4930123456"),
    "version": Refusal(505, "505 ", version="3.0"),
    "bye": Refusal(481, "481 ", "BYE"),
    "cancel": Refusal(481, "481 ", "CANCEL"),
    "info": Refusal(481, "481 ", "INFO"),
    "prack": Refusal(481, "481 ", "PRACK"),
    "update": Refusal(481, "481 ", "UPDATE"),
    "notify": Refusal(481, "481 ", "NOTIFY"),
}


async def ask(car: SidecarUnderTest, directory: Path, refusal: Refusal, transport: sipp.Transport) -> None:
    """Ask twice for something that is refused."""
    values = {
        "method": refusal.method,
        "uri": refusal.uri,
        "version": refusal.version,
        "status": str(refusal.status),
        "pattern": refusal.pattern,
    }
    outcome = await sipp.run(
        *("request_refused", car.address, directory),
        headers=refusal.headers,
        values=values,
        calls=2,
        rate=50.0,
        transport=transport,
    )
    outcome.assert_all_successful(2)


async def call(
    car: SidecarUnderTest,
    directory: Path,
    status: int,
    header: str,
    pattern: str,
    transport: sipp.Transport,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Place two calls that are refused."""
    outcome = await sipp.run(
        *("call_refused", car.address, directory),
        values={"status": str(status), "header": header, "pattern": pattern},
        headers=headers,
        calls=2,
        rate=50.0,
        transport=transport,
    )
    outcome.assert_all_successful(2)


async def ask_whether_it_is_there(
    car: SidecarUnderTest, directory: Path, status: int, header: str, pattern: str, transport: sipp.Transport
) -> None:
    outcome = await sipp.run(
        *("options", car.address, directory),
        values={"status": str(status), "header": header, "pattern": pattern},
        calls=2,
        rate=50.0,
        transport=transport,
    )
    outcome.assert_all_successful(2)


@over_each_transport
async def test_what_is_not_served_is_refused_by_its_number(tmp_path: Path, transport: sipp.Transport) -> None:
    async with sidecar_under_test(sip=QUICK) as car:
        await asyncio.gather(
            *(ask(car, tmp_path / name, refusal, transport) for name, refusal in REFUSALS.items()),
        )
        assert car.sidecar.agent.counters.calls_received == 0


@over_each_transport
async def test_a_call_that_cannot_be_taken_is_refused_by_its_number(tmp_path: Path, transport: sipp.Transport) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:
        await asyncio.gather(
            call(car, tmp_path / "420", 420, "Unsupported", "teleport", transport, {"Require": "teleport"}),
            call(car, tmp_path / "422", 422, "Min-SE", "90", transport, {"Session-Expires": "30", "k": "timer"}),
            call(car, tmp_path / "406", 406, "Accept", "application/sdp", transport, {"Accept": "text/plain"}),
            call(car, tmp_path / "400", 400, "Warning", "rate: ", transport, {"X-STREAM_RATE": "11025"}),
            ask_hops(car, tmp_path / "483", transport),
            ask_for_a_codec_that_nobody_has(car, tmp_path / "488", transport),
        )
        assert not bot.calls


async def ask_hops(car: SidecarUnderTest, directory: Path, transport: sipp.Transport) -> None:
    outcome = await sipp.run("too_many_hops", car.address, directory, calls=2, rate=50.0, transport=transport)
    outcome.assert_all_successful(2)


async def ask_for_a_codec_that_nobody_has(car: SidecarUnderTest, directory: Path, transport: sipp.Transport) -> None:
    outcome = await sipp.run("unknown_codec", car.address, directory, calls=2, rate=50.0, transport=transport)
    outcome.assert_all_successful(2)


@over_each_transport
async def test_options_say_what_is_accepted(tmp_path: Path, transport: sipp.Transport) -> None:
    async with sidecar_under_test(sip=QUICK) as car:
        await asyncio.gather(
            ask_whether_it_is_there(car, tmp_path / "allow", 200, "Allow", "INVITE, .*UPDATE.*PRACK", transport),
            ask_whether_it_is_there(car, tmp_path / "accept", 200, "Accept", "application/sdp", transport),
            ask_whether_it_is_there(car, tmp_path / "supported", 200, "Supported", "timer.*100rel", transport),
        )


@over_each_transport
async def test_when_full_it_says_so_to_calls_and_to_options(tmp_path: Path, transport: sipp.Transport) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip={**QUICK, "max_calls": 1}) as car:
        running = sipp.run("call", car.address, tmp_path / "call", seconds=0.6, transport=transport)
        only = asyncio.create_task(running)
        await bot.connected()
        await asyncio.gather(
            call(car, tmp_path / "second", 503, "Retry-After", "[0-9]", transport),
            ask_whether_it_is_there(car, tmp_path / "options", 503, "Retry-After", "[0-9]", transport),
        )
        (await only).assert_all_successful()
        await ask_whether_it_is_there(car, tmp_path / "again", 200, "Allow", "INVITE", transport)


@over_each_transport
async def test_when_it_stops_it_says_so_to_calls_and_to_options(tmp_path: Path, transport: sipp.Transport) -> None:
    async with Bot() as bot, sidecar_under_test(stream={"url": bot.url}, sip=QUICK) as car:
        car.sidecar.control.hang_up_all(now=asyncio.get_running_loop().time())
        await asyncio.gather(
            call(car, tmp_path / "call", 503, "Retry-After", "[0-9]", transport),
            ask_whether_it_is_there(car, tmp_path / "options", 503, "Retry-After", "[0-9]", transport),
        )
        assert not bot.calls
