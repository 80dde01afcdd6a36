#!/usr/bin/env python3
"""The same bridge in the idiom that most Python code uses: what `bench/baseline.py` measures the sidecar against.

    python -m bench.baseline_bridge

A `DatagramProtocol` a call, an object a packet, a task for what is sent and one for what is received, the asyncio API
of `websockets`, uvloop. G.711 and the change of rate are the C of `audioop`, which is linear interpolation: nothing
cheaper is to be had. It leaves out what costs and is not seen here: order, concealment, pairs, events, limits. SIP is
the project's own, and is over before anything is measured.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import warnings
from collections import deque
from dataclasses import dataclass
from random import SystemRandom
from typing import cast

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sidecar.io.agent_driver import AgentDriver
from sip import (
    Address,
    CallEnded,
    CallReceived,
    CallRef,
    Codec,
    Event,
    MediaCapabilities,
    Origin,
    SessionDescription,
    UserAgent,
    answer_offer,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

HOST = "127.0.0.1"
PTIME = 0.020
SAMPLES = 160  # of a packet
_HEADER = struct.Struct("!BBHII")
_SILENCE = b"\xff" * SAMPLES
_MOST_WAITING = 100  # messages for a bot

_RateState = tuple[int, tuple[tuple[int, int], ...]] | None


@dataclass(slots=True)
class RtpPacket:
    """One packet."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
        return cls(second & 0x7F, sequence_number, timestamp, ssrc, data[_HEADER.size + 4 * (first & 15) :])

    def __bytes__(self) -> bytes:
        header = _HEADER.pack(0x80, self.payload_type, self.sequence_number, self.timestamp, self.ssrc)
        return header + self.payload


class Call(asyncio.DatagramProtocol):
    """One call: its RTP socket, its WebSocket, its clock."""

    def __init__(self, remote: Address, rate: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._remote = remote
        self._rate = rate
        self._random = SystemRandom()
        self._to_bot: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._to_caller: deque[bytes] = deque()
        self._up_state: _RateState = None
        self._down_state: _RateState = None
        self._rest = b""
        self._message_bytes = 2 * rate // 50
        self._sequence_number = self._random.getrandbits(16)
        self._timestamp = self._random.getrandbits(32)
        self._ssrc = self._random.getrandbits(32)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        packet = RtpPacket.parse(data)
        pcm = audioop.ulaw2lin(packet.payload, 2)
        if self._rate != 8000:
            pcm, self._up_state = audioop.ratecv(pcm, 2, 1, 8000, self._rate, self._up_state)
            pcm = pcm.rjust(self._message_bytes, b"\0")  # the first time, it gives a sample less
        if self._to_bot.full():
            self._to_bot.get_nowait()
        self._to_bot.put_nowait(pcm)

    async def run(self, websocket: ClientConnection) -> None:
        """Talk until it is cancelled, or the bot has gone."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_audio(websocket))
                tasks.create_task(self._receive_audio(websocket))
                tasks.create_task(self._play())
        except* ConnectionClosed:
            pass

    async def _send_audio(self, websocket: ClientConnection) -> None:
        while True:
            await websocket.send(await self._to_bot.get())

    async def _receive_audio(self, websocket: ClientConnection) -> None:
        async for message in websocket:
            if not isinstance(message, bytes):
                continue
            pcm = message
            if self._rate != 8000:
                pcm, self._down_state = audioop.ratecv(pcm, 2, 1, self._rate, 8000, self._down_state)
            payload = self._rest + audioop.lin2ulaw(pcm, 2)
            whole = len(payload) // SAMPLES * SAMPLES
            self._to_caller.extend(payload[at : at + SAMPLES] for at in range(0, whole, SAMPLES))
            self._rest = payload[whole:]

    async def _play(self) -> None:
        due = self._loop.time()
        while True:
            payload = self._to_caller.popleft() if self._to_caller else _SILENCE
            packet = RtpPacket(0, self._sequence_number, self._timestamp, self._ssrc, payload)
            self.transport.sendto(bytes(packet), self._remote)
            self._sequence_number = (self._sequence_number + 1) & 0xFFFF
            self._timestamp = (self._timestamp + SAMPLES) & 0xFFFFFFFF
            due += PTIME
            await asyncio.sleep(max(0.0, due - self._loop.time()))


class Bridge:
    """Takes calls."""

    def __init__(self, contact: Address) -> None:
        self._agent = UserAgent(contact=contact, random=SystemRandom())
        self.driver: AgentDriver[Event] = AgentDriver(self._agent, self._on_event)
        self._calls: dict[CallRef, asyncio.Task[None]] = {}

    def _on_event(self, event: Event) -> None:
        if isinstance(event, CallReceived):
            self._calls[event.call] = asyncio.create_task(self._take(event))
        elif isinstance(event, CallEnded):
            self._calls.pop(event.call).cancel()

    async def _take(self, event: CallReceived) -> None:
        loop, request = asyncio.get_running_loop(), event.request
        offer = SessionDescription.parse(request.body)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HOST, 0))
        sock.setblocking(False)
        capabilities = MediaCapabilities(HOST, sock.getsockname()[1], (Codec("PCMU", 8000),), telephone_event=False)
        agreed = answer_offer(offer, capabilities=capabilities, origin=Origin(1, 1, HOST))
        remote = (agreed.remote_address, agreed.remote_port)
        call = Call(remote, int(request.headers.get("X-STREAM_RATE") or 8000))
        async with connect(request.headers.get("X-STREAM_URL") or "", compression=None, max_size=None) as websocket:
            transport, _ = await loop.create_datagram_endpoint(lambda: call, sock=sock)
            try:
                self._agent.answer(event.call, bytes(agreed.description), now=loop.time())
                self.driver.drain()
                await call.run(websocket)
            finally:
                transport.close()


async def main() -> None:
    """Take calls until the process is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.setblocking(False)
        host, port = sock.getsockname()
        bridge = Bridge((host, port))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: bridge.driver, sock=sock)
        print(json.dumps({"event": "ready", "sip": f"sip:{host}:{port}"}), file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
