"""Every call with ports of its own: the address of the other side is learned, and then nobody else is heard."""

from __future__ import annotations

import asyncio
import socket

import pytest

from rtp import Codec
from rtp.g711 import decode_one
from tests.integration.conftest import StartSidecar
from tests.support.bots import EchoBot
from tests.support.media_caller import CallRefused, media_caller, new_socket

PAYLOAD, OTHER = b"\x10" * 160, b"\x90" * 160


def ports(low: int, high: int) -> dict[str, object]:
    return {"mode": "ports", "port_min": low, "port_max": high}


async def test_the_address_is_learned_and_locked(start_sidecar: StartSidecar) -> None:
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}, rtp=ports(31000, 31099)) as car:
        async with media_caller(car.sidecar.sip_address, said_port=9) as caller:  # nobody is there
            assert 31000 <= caller.media.remote_port < 31100
            assert caller.media.remote_port % 2 == 0
            with new_socket() as stranger:
                stranger.sendto(b"no RTP", caller.there)
                await caller.talk(0.5, payload=PAYLOAD)
                assert len(caller.received()) > 10
                for _ in range(20):
                    stranger.sendto(caller.packet(OTHER), caller.there)
                await caller.talk(0.5, payload=PAYLOAD)
                assert stranger_hears_nothing(stranger)
        await bot.closed()
        heard = set(bot.call.heard.tolist())
    said, never_said = (int(decode_one(payload[:1], Codec.PCMU)[0]) for payload in (PAYLOAD, OTHER))
    assert said in heard
    assert never_said not in heard


def stranger_hears_nothing(stranger: socket.socket) -> bool:
    try:
        stranger.recvfrom(2048)
    except BlockingIOError:
        return True
    return False


async def test_calls_have_ports_of_their_own_until_there_is_none(start_sidecar: StartSidecar) -> None:
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}, rtp=ports(31100, 31103)) as car:
        async with media_caller(car.sidecar.sip_address) as one, media_caller(car.sidecar.sip_address) as two:
            assert {one.media.remote_port, two.media.remote_port} == {31100, 31102}
            await asyncio.gather(one.talk(0.4), two.talk(0.4))
            assert one.received()
            assert two.received()
            with pytest.raises(CallRefused, match="503"):
                async with media_caller(car.sidecar.sip_address):
                    pass
        await car.until_no_calls()
        with pytest.raises(CallRefused, match="503"):  # ports rest
            async with media_caller(car.sidecar.sip_address):
                pass
