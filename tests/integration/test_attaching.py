"""Streams attached to live calls: a scripted FreeSWITCH sends the legs it is asked for, as a real one would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from rtp import Pcm
from sidecar.core.attaching import AttachRequest
from sidecar.core.freeswitch.errors import AttachFailed, Failure
from sidecar.core.freeswitch.tickets import MOST_TICKETS, Claim
from sidecar.core.options import OptionError
from tests.support.bots import Bot, EchoBot, ToneBot
from tests.support.freeswitch import LiveCall, ScriptedFreeSwitch, scripted_freeswitch
from tests.support.ports import free_port
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.tones import level_at, make_tone

UUID = "eb46e254-1a8e-4cfc-bb83-dd8ead7cdd8c"
ANN_HZ, BOB_HZ, BOT_HZ = 700.0, 440.0, 1000.0
LEVEL, ABSENT = -15.0, -50.0


def tone(hz: float) -> Pcm:
    return make_tone(hz, level_dbfs=LEVEL, seconds=10, rate=8000)


def ann_and_bob(**how: Any) -> LiveCall:
    return LiveCall(UUID, says=tone(ANN_HZ), hears=tone(BOB_HZ), **how)


def level(pcm: Pcm, hz: float) -> float:
    """Return the level of a tone in the middle of what was heard, whatever gaps a busy machine has made."""
    middle = pcm[8000 // 4 : -8000 // 4]
    return median(level_at(middle[start : start + 800], 8000, hz) for start in range(0, len(middle) - 800, 800))


@asynccontextmanager
async def beside(peer: ScriptedFreeSwitch, **server: Any) -> AsyncIterator[SidecarUnderTest]:
    """Start a sidecar that knows a FreeSWITCH, and wait until it is logged in."""
    settings = {"port": peer.port, "password": peer.password, **server}
    async with sidecar_under_test(freeswitch={"main": settings}) as car:
        await until(lambda: peer.logins > 0)
        await until(lambda: client(car).is_ready)
        yield car


def client(car: SidecarUnderTest) -> Any:
    return car.sidecar.attacher._servers["main"].client


async def until(condition: Callable[[], bool], *, within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def wanted(url: str, **options: str) -> AttachRequest:
    return AttachRequest(UUID, {"url": url, **options})


@pytest.mark.parametrize(("mix", "hears"), [("mono", {ANN_HZ}), ("callee", {BOB_HZ}), ("mixed", {ANN_HZ, BOB_HZ})])
async def test_the_bot_hears_the_voices_it_should(mix: str, hears: set[float]) -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        await car.sidecar.attacher.attach(wanted(bot.url, mix=mix, inject="none"))
        await bot.received(100)
        peer.end(call)
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()
    for hz in (ANN_HZ, BOB_HZ):
        heard = level(bot.call.heard, hz)
        assert heard == pytest.approx(LEVEL, abs=0.3) if hz in hears else heard < ABSENT
    assert [party for party, heard in call.heard.items() if heard] == []


async def test_stereo_has_a_voice_on_each_side() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        await car.sidecar.attacher.attach(wanted(bot.url, mix="stereo", inject="none"))
        await bot.received(100)
        assert len(peer.legs) == 2
        peer.end(call)
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()
    left, right = np.ascontiguousarray(bot.call.heard.reshape(-1, 2).T)
    assert level(left, ANN_HZ) == pytest.approx(LEVEL, abs=0.3)
    assert level(right, BOB_HZ) == pytest.approx(LEVEL, abs=0.3)
    assert max(level(left, BOB_HZ), level(right, ANN_HZ)) < ABSENT


@pytest.mark.parametrize("mix", ["mixed", "mono", "stereo"])
@pytest.mark.parametrize("inject", ["caller", "callee", "both", "none"])
async def test_the_bot_is_heard_by_whom_it_should(mix: str, inject: str) -> None:
    says = make_tone(BOT_HZ, level_dbfs=LEVEL, seconds=5, rate=8000)
    async with scripted_freeswitch() as peer, ToneBot(says, rate=8000) as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        await car.sidecar.attacher.attach(wanted(bot.url, mix=mix, inject=inject))
        await bot.received(100)
        peer.end(call)
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()
    parties = {"both": ["caller", "callee"], "none": []}.get(inject, [inject])
    assert [party for party, heard in call.heard.items() if heard] == parties
    for party in parties:
        (heard,) = call.heard[party]
        assert level(heard, BOT_HZ) == pytest.approx(LEVEL, abs=0.3)


async def test_several_streams_hang_on_one_call_and_all_end_with_it() -> None:
    async with scripted_freeswitch() as peer, EchoBot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        request = wanted(bot.url, mix="mixed")
        ids = await asyncio.gather(*(car.sidecar.attacher.attach(request) for _ in range(5)))
        assert len(set(ids)) == 5
        assert car.sidecar.control.calls == 5
        peer.end(call)
        await bot.closed(5)
        await peer.until_no_legs()
        await car.until_no_calls()


async def test_what_the_bot_is_told_never_passes_through_freeswitch() -> None:
    metadata, token = '{"who": "Ann, Bob"}\'\\,=${uuid}', "bearer a.b~c="
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed", metadata=metadata, auth=token))
        await bot.received(2)
        (leg,) = peer.legs.values()
        assert not any(text in str(leg.variables) for text in ("Ann", "a.b", bot.url))
        peer.end(call)
        await bot.closed()
        await car.until_no_calls()
    assert bot.call.texts == [metadata]
    assert bot.call.headers["Authorization"] == "Bearer a.b~c="


async def test_a_call_that_is_not_there_or_not_up_or_no_call_at_all() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        attacher = car.sidecar.attacher
        for uuid in (UUID, "x y", "x,y}", ""):
            with pytest.raises(AttachFailed) as caught:
                await attacher.attach(AttachRequest(uuid, {"url": bot.url}))
            assert caught.value.failure is Failure.NO_SUCH_CALL
        peer.begin(ann_and_bob(answer_state="ringing"))
        with pytest.raises(AttachFailed) as caught:
            await attacher.attach(wanted(bot.url))
        assert caught.value.http_status == 409
        with pytest.raises(AttachFailed, match="no FreeSWITCH 'other'") as caught:
            await attacher.attach(AttachRequest(UUID, {"url": bot.url}, freeswitch="other"))
        assert caught.value.http_status == 503


async def test_options_that_cannot_be_taken_are_refused_before_anybody_is_asked() -> None:
    async with scripted_freeswitch() as peer, beside(peer) as car:
        peer.begin(ann_and_bob())
        with pytest.raises(OptionError, match="rate"):
            await car.sidecar.attacher.attach(wanted("ws://127.0.0.1:1/", rate="11025"))
        with pytest.raises(OptionError, match="profile"):
            await car.sidecar.attacher.attach(AttachRequest(UUID, {"url": "ws://127.0.0.1:1/"}, profile="sales"))
        assert not peer.legs


@pytest.mark.parametrize("mix", ["mixed", "stereo"])
async def test_a_bot_that_cannot_be_reached_leaves_nothing_behind(mix: str) -> None:
    async with scripted_freeswitch() as peer, beside(peer) as car:
        peer.begin(ann_and_bob())
        with pytest.raises(AttachFailed) as caught:
            await car.sidecar.attacher.attach(wanted(f"ws://127.0.0.1:{free_port()}/", mix=mix))
        assert caught.value.http_status == 502
        assert caught.value.cause == "NORMAL_TEMPORARY_FAILURE"
        await peer.until_no_legs()
        await car.until_no_calls()


async def test_why_a_leg_was_refused_is_told() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot:
        server = {"port": peer.port, "password": peer.password}
        async with sidecar_under_test(freeswitch={"main": server}, rtp={"codecs": ["opus"]}) as car:
            await until(lambda: client(car).is_ready)
            peer.begin(ann_and_bob())
            with pytest.raises(AttachFailed, match=r"488: No Common Codec .INCOMPATIBLE_DESTINATION") as caught:
                await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed"))
            assert caught.value.http_status == 502
            await peer.until_no_legs()


async def test_a_parked_call_is_attached_to_and_the_log_says_what_it_will_not_hear() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob(application="park"))
        with capture_logs() as logs:
            await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed"))
        assert [log["call"] for log in logs if "parked" in log["event"]] == [UUID]
        peer.end(call)
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()


async def test_an_id_is_given_once() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        request = wanted(bot.url, mix="mixed", id="one")
        outcomes = await asyncio.gather(
            car.sidecar.attacher.attach(request), car.sidecar.attacher.attach(request), return_exceptions=True
        )
        assert outcomes[0] == "one"
        assert isinstance(outcomes[1], OptionError)
        peer.end(call)
        await bot.closed()
        await peer.until_no_legs()
        await car.until_no_calls()


async def test_the_event_socket_is_lost_and_comes_back_and_calls_do_not_notice() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        call = peer.begin(ann_and_bob())
        attacher = car.sidecar.attacher
        await attacher.attach(wanted(bot.url, mix="mixed"))
        peer.go_away()
        await until(lambda: not client(car).is_ready)
        with pytest.raises(AttachFailed, match="not connected: main") as caught:
            await attacher.attach(wanted(bot.url, mix="mixed"))
        assert caught.value.http_status == 503
        heard = len(bot.call.messages)
        peer.come_back()
        await until(lambda: client(car).is_ready)
        await attacher.attach(wanted(bot.url, mix="mixed"))
        await bot.connected(2)
        assert len(bot.calls[0].messages) > heard
        counters = client(car).counters
        assert (counters.connected, counters.lost) == (2, 1)
        peer.end(call)
        await bot.closed(2)
        await peer.until_no_legs()
        await car.until_no_calls()


async def test_a_leg_that_comes_after_its_attach_has_failed_is_not_let_in() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        peer.begin(ann_and_bob())
        peer.calls_us.clear()
        asking = asyncio.create_task(car.sidecar.attacher.attach(wanted(bot.url, mix="stereo")))
        await until(lambda: len(peer.legs) == 2)
        peer.go_away()
        with pytest.raises(AttachFailed) as caught:
            await asking
        assert caught.value.http_status == 503
        peer.calls_us.set()
        await asyncio.wait_for(peer.until_no_legs(), 5)
        assert [leg.result and leg.result.status for leg in peer.legs.values()] == [403, 403]
        assert not bot.calls


async def test_with_no_ticket_left_for_the_second_leg_there_is_no_first() -> None:
    async with scripted_freeswitch() as peer, Bot() as bot, beside(peer) as car:
        peer.begin(ann_and_bob())
        tickets, now = car.sidecar.attacher._tickets, asyncio.get_running_loop().time()
        for _ in range(MOST_TICKETS - 1):
            assert tickets.issue(Claim({}), now=now)
        with pytest.raises(AttachFailed, match="too many streams"):
            await car.sidecar.attacher.attach(wanted(bot.url, mix="stereo"))
        assert not peer.legs
        assert tickets.issue(Claim({}), now=now), "the ticket of the first leg is free again"


async def test_of_several_servers_one_that_does_not_answer_is_no_matter() -> None:
    async with scripted_freeswitch() as peer, scripted_freeswitch() as deaf, Bot() as bot:
        settings = {name: {"port": each.port, "password": each.password} for name, each in (("1", deaf), ("2", peer))}
        async with sidecar_under_test(freeswitch=settings) as car:
            await until(lambda: all(each.client.is_ready for each in car.sidecar.attacher._servers.values()))
            deaf.is_deaf = True
            call = peer.begin(ann_and_bob())
            await car.sidecar.attacher.attach(wanted(bot.url, mix="mixed"))
            peer.end(call)
            asking = asyncio.create_task(car.sidecar.attacher.attach(wanted(bot.url)))
            await asyncio.sleep(0)
            deaf.go_away()
            with pytest.raises(AttachFailed, match="not connected: 1") as caught:
                await asking
            assert caught.value.http_status == 503
            await peer.until_no_legs()
            await car.until_no_calls()


async def test_a_wrong_password_is_told_and_tried_again() -> None:
    async with scripted_freeswitch(password="right") as peer:
        settings = {"port": peer.port, "password": "wrong"}
        async with sidecar_under_test(freeswitch={"main": settings}) as car:
            await until(lambda: client(car).counters.failed >= 2)
            assert not client(car).is_ready


async def test_who_knows_no_freeswitch_attaches_to_nothing() -> None:
    async with sidecar_under_test() as car:
        with pytest.raises(AttachFailed, match="no FreeSWITCH is configured"):
            await car.sidecar.attacher.attach(wanted("ws://127.0.0.1:1/"))
