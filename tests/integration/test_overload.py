"""Who could not keep up for a while is in time again at once: what waited too long is dropped, not worked off."""

from __future__ import annotations

import threading
import time

import numpy as np

from rtp import Codec
from rtp.g711 import decode_one
from sidecar.core.backlog import STALE_AFTER
from tests.integration.conftest import StartSidecar
from tests.support.bots import EchoBot
from tests.support.media_caller import MediaCaller, media_caller
from tests.support.stalls import measured_stalls

STALL = 1.0
CODES = 100  # each packet is one code over and over, which says its number
OLD_SECONDS = 0.01  # the loop tells a message the time at which its turn began, which may be before the packet was sent
NUMBERS = {int(decode_one(bytes([code]), Codec.PCMU)[0]): code for code in range(CODES)}


class Talker(threading.Thread):
    """Sends RTP in real time, whatever the event loop does meanwhile."""

    def __init__(self, caller: MediaCaller, *, seconds: float) -> None:
        super().__init__()
        self._caller = caller
        self._packets = round(50 * seconds)
        self.sent_at: list[float] = []

    def run(self) -> None:
        begun = time.monotonic()
        for number in range(self._packets):
            time.sleep(max(0.0, begun + 0.02 * number - time.monotonic()))
            self.sent_at.append(time.monotonic())
            self._caller.rtp.sendto(self._caller.packet(bytes([number % CODES]) * 160), self._caller.there)


async def test_after_a_stall_a_call_is_in_time_again_and_hears_nothing_stale(start_sidecar: StartSidecar) -> None:
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}) as car, measured_stalls() as stalls:
        async with media_caller(car.sidecar.sip_address) as caller:
            await bot.connected()
            talker = Talker(caller, seconds=4.0)
            talker.start()
            await bot.received(50)
            time.sleep(STALL)  # noqa: ASYNC251  the whole sidecar stands still
            resumed = time.monotonic()
            await bot.received(150)
            talker.join()
            counters = car.sidecar.worker.counters
        await bot.closed()
    delays = []
    for message in bot.call.messages:
        if isinstance(message.data, bytes) and message.at > resumed + 0.1:
            number = NUMBERS.get(int(np.frombuffer(message.data, "<i2")[-1]))
            delays += (
                [min(message.at - at for at in talker.sent_at[number::CODES] if at <= message.at + OLD_SECONDS)]
                if number
                else []
            )
    assert counters.stale >= 50 * (STALL - STALE_AFTER)
    assert len(delays) > 50
    assert np.median(delays) < 0.05 + max(0.0, stalls.total - STALL)
