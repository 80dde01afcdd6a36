"""Keeps all datagrams that come in on a UDP port, with their times."""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType

from tests.support.capture import TimedPacket, pcm_of
from tests.support.ports import LOOPBACK
from tests.support.tones import Pcm


class RtpReceiver(asyncio.DatagramProtocol):
    """A UDP port, one of its own choice unless told; `packets` have the time of the event loop."""

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self.packets: list[TimedPacket] = []
        self.sources: set[tuple[str, int]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> RtpReceiver:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (LOOPBACK, self.port))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.append(TimedPacket(asyncio.get_running_loop().time(), data))
        self.sources.add(addr)

    def send(self, data: bytes, addr: tuple[str, int]) -> None:
        """Send a datagram from this port, as telephones do: they hear where they speak."""
        assert self._transport is not None
        self._transport.sendto(data, addr)

    @property
    def pcm(self) -> Pcm:
        """The G.711 audio that came in, at 8 kHz; see `pcm_of`."""
        return pcm_of(self.packets)

    @property
    def intervals_ms(self) -> list[float]:
        """The time between each two packets that follow each other."""
        times = [packet.at for packet in self.packets]
        return [(after - before) * 1000 for before, after in itertools.pairwise(times)]
