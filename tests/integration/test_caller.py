"""The test caller against a telephone that echoes, over real sockets."""

from __future__ import annotations

import asyncio
import dataclasses
import socket

import numpy as np
import pytest

from rtp import Codec
from rtp.g711 import decode_one, encode_one
from sidecar.core.listening import judge
from sidecar.io.caller import CallPlan, CallState, HungUpBy, place_call
from sidecar.sample import load_melody
from sip import EndCause, NameAddr, Response, SipUri, parse_message
from tests.support.echo_telephone import Behaviour, echo_telephone
from tests.support.ports import LOOPBACK
from tests.support.sip_messages import OFFER, request
from tests.support.stalls import measured_stalls

MELODY = load_melody()[: 8 * 800]


def plan(target: SipUri, *, seconds: float = 1.0) -> CallPlan:
    return CallPlan(target, MELODY, seconds)


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
async def test_it_hears_all_that_it_says(codec: Codec) -> None:
    async with measured_stalls() as stalls, echo_telephone() as telephone:
        result = await place_call(
            dataclasses.replace(plan(telephone.uri), codec=codec, headers=[("X-STREAM_URL", "ws://bot/1")])
        )
        await asyncio.sleep(0)
    assert (result.status, result.hung_up_by) == (200, HungUpBy.CALLER)
    assert result.setup_seconds is not None
    assert result.setup_seconds < 1.0 + stalls.total
    recording = result.recording
    assert len(recording.sent_at) + recording.frames_skipped == 50
    if recording.frames_skipped:
        assert stalls.longest > 0.060, "frames were skipped, and the machine was in time"
        return
    heard = recording.heard[: len(MELODY)]
    np.testing.assert_array_equal(heard, decode_one(encode_one(recording.sent[: len(heard)], codec), codec))
    judged = judge(recording)
    assert judged.round_trip_ms is not None
    assert judged.round_trip_ms.p50 < 20.0 + 1000 * stalls.longest
    assert telephone.invites[0].headers.get("X-STREAM_URL") == "ws://bot/1"
    assert [ended.cause for ended in telephone.ended] == [EndCause.REMOTE_BYE]


async def test_it_sends_on_a_grid() -> None:
    async with measured_stalls() as stalls, echo_telephone() as telephone:
        result = await place_call(plan(telephone.uri))
    sent_at = result.recording.sent_at
    assert not result.recording.frames_skipped or stalls.longest > 0.060
    frames = np.arange(len(sent_at)) + result.recording.frames_skipped
    lateness = (sent_at - sent_at[0] - 0.020 * frames)[-25:]
    assert float(np.min(lateness)) < 0.010, "lateness adds up"
    assert float(np.median(lateness)) < 0.010 + stalls.longest


async def test_it_tells_how_it_goes() -> None:
    states: list[CallState] = []
    async with echo_telephone() as telephone:
        await place_call(plan(telephone.uri, seconds=0.2), on_state=states.append)
    assert [state.phase for state in states][:3] == ["calling", "Ringing", "talking"]
    assert states[-1].frames_sent + states[-1].frames_heard > 10


@pytest.mark.parametrize(("status", "reason"), [(486, "Busy Here"), (503, "Service Unavailable"), (603, "Decline")])
async def test_a_refusal_is_told_with_its_warning(status: int, reason: str) -> None:
    behaviour = Behaviour(status=status, headers=(("Warning", '399 sidecar "not today"'),))
    async with echo_telephone(behaviour) as telephone:
        result = await place_call(plan(telephone.uri))
    assert not result.answered
    assert result.status == status
    assert result.reason == f'{reason}; 399 sidecar "not today"'
    assert not telephone.packets


async def test_a_telephone_that_rings_for_ever_is_cancelled() -> None:
    async with echo_telephone(Behaviour(status=180)) as telephone:
        result = await place_call(dataclasses.replace(plan(telephone.uri), setup_timeout=0.3))
    assert (result.status, result.reason) == (408, "no answer within 0.3 s")
    assert [ended.cause for ended in telephone.ended] == [EndCause.CANCELLED]


async def test_where_nobody_listens_it_gives_up_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((LOOPBACK, 0))
        port = deaf.getsockname()[1]
        result = await place_call(dataclasses.replace(plan(SipUri(LOOPBACK, port)), setup_timeout=0.3))
    assert (result.status, result.reason) == (408, f"nothing came back from {LOOPBACK}:{port} within 0.3 s")


async def test_a_host_without_address_is_unreachable() -> None:
    result = await place_call(plan(SipUri("nobody.invalid")))
    assert result.status == 503
    assert result.reason.startswith("nobody.invalid: ")


async def stranger_calls(caller: SipUri) -> list[int]:
    """Send an INVITE to the caller, and an ACK to its final response; return the statuses that came."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.bind((LOOPBACK, 0))
        await loop.sock_connect(stranger, (caller.host, caller.port))
        via = f"Via: SIP/2.0/UDP {LOOPBACK}:{stranger.getsockname()[1]};rport;branch=z9hG4bK-stranger"
        await loop.sock_sendall(stranger, request(via=via, body=OFFER))
        statuses: list[int] = []
        while not statuses or statuses[-1] < 200:
            answer = parse_message(await asyncio.wait_for(loop.sock_recv(stranger, 4096), 2.0))
            assert isinstance(answer, Response)
            statuses.append(answer.status)
        await loop.sock_sendall(stranger, request("ACK", via=via, to_tag=answer.to.tag))
        return statuses


async def test_a_stranger_who_calls_the_caller_is_refused_and_ends_nothing() -> None:
    async with echo_telephone() as telephone:
        calling = asyncio.create_task(place_call(plan(telephone.uri)))
        while len(telephone.packets) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        contact = NameAddr.parse(telephone.invites[0].headers.get("Contact") or "")
        assert await stranger_calls(SipUri.parse(contact.uri)) == [100, 486]
        result = await calling
    assert (result.status, result.hung_up_by) == (200, HungUpBy.CALLER)
    assert len(result.recording.sent_at) + result.recording.frames_skipped == 50
    assert [ended.cause for ended in telephone.ended] == [EndCause.REMOTE_BYE]


async def test_a_call_that_is_to_be_held_stays_as_it_is() -> None:
    async with echo_telephone() as telephone:
        calling = asyncio.create_task(place_call(plan(telephone.uri)))
        while len(telephone.packets) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        telephone.hold()
        result = await calling
    assert telephone.offers_refused == [488]
    assert (result.status, result.hung_up_by) == (200, HungUpBy.CALLER)


async def test_a_call_that_is_stopped_says_bye_and_keeps_what_it_heard() -> None:
    stopped = asyncio.Event()
    async with echo_telephone() as telephone:
        calling = asyncio.create_task(place_call(plan(telephone.uri, seconds=30.0), stopped=stopped))
        while len(telephone.packets) < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stopped.set()
        result = await asyncio.wait_for(calling, 5.0)
    assert (result.stopped, result.hung_up_by) == (True, HungUpBy.CALLER)
    assert 10 <= len(result.recording.heard_at) < 1000
    assert [ended.cause for ended in telephone.ended] == [EndCause.REMOTE_BYE]


async def test_a_call_that_is_cancelled_says_bye() -> None:
    async with echo_telephone() as telephone:
        calling = asyncio.create_task(place_call(plan(telephone.uri, seconds=30.0)))
        while len(telephone.packets) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
    assert [ended.cause for ended in telephone.ended] == [EndCause.REMOTE_BYE]


async def test_a_call_that_is_stopped_while_it_rings_is_cancelled() -> None:
    stopped = asyncio.Event()
    async with echo_telephone(Behaviour(status=180)) as telephone:
        calling = asyncio.create_task(place_call(plan(telephone.uri), stopped=stopped))
        while not telephone.invites:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stopped.set()
        result = await asyncio.wait_for(calling, 5.0)
    assert (result.status, result.answered, result.stopped) == (487, False, True)
    assert [ended.cause for ended in telephone.ended] == [EndCause.CANCELLED]


async def test_a_bye_that_nobody_answers_is_waited_for_a_second_at_most() -> None:
    stopped = asyncio.Event()
    async with echo_telephone() as telephone:
        calling = asyncio.create_task(place_call(plan(telephone.uri, seconds=30.0), stopped=stopped))
        while not telephone.packets:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        telephone.deaf = True
        stopped.set()
        started = asyncio.get_running_loop().time()
        await asyncio.wait_for(calling, 5.0)
    assert 0.9 < asyncio.get_running_loop().time() - started < 3.0


async def test_the_other_side_may_hang_up() -> None:
    async with echo_telephone(Behaviour(hang_up_after=10)) as telephone:
        result = await place_call(plan(telephone.uri, seconds=20.0))
    assert result.hung_up_by is HungUpBy.CALLEE
    assert 10 <= len(result.recording.sent_at) < 100


@pytest.mark.parametrize("body", [b"", b"no SDP", b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"])
async def test_an_answer_without_audio_ends_the_call(body: bytes) -> None:
    async with echo_telephone(Behaviour(answer_body=body)) as telephone:
        result = await place_call(plan(telephone.uri))
    assert not result.answered
    assert result.status == 488
    assert [ended.cause for ended in telephone.ended] == [EndCause.REMOTE_BYE]


async def test_a_telephone_that_says_nothing_is_recorded_as_such() -> None:
    async with echo_telephone(Behaviour(returns_audio=False)) as telephone:
        result = await place_call(plan(telephone.uri, seconds=0.2))
    assert result.answered
    assert not len(result.recording.heard)
    assert not judge(result.recording).ok
