"""Places many full-duplex calls through a sidecar and an echo bot, all on loopback, and says what a frame costs.

    python bench/calls.py --calls 100 --seconds 10

A frame is 20 ms of one call: RTP in, message out, message in, RTP out. The CPU is that of the sidecar's process alone,
user and system, while all calls are up. Caller and bots are processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from random import Random

import numpy as np
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from sidecar.io.agent_driver import AgentDriver
from sip import CallAnswered, CallEnded, Codec, Event, MediaCapabilities, Origin, SipUri, UserAgent, make_offer

HOST = "127.0.0.1"
SIP_PORT, RTP_PORT, BOT_PORT, CALLER_PORT = 15070, 15072, 15080, 20000
GROUPS = 10  # callers send in turns, 2 ms apart
SETTLE_SECONDS = 2.0


def run_bots(port: int) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        async with serve(echo, HOST, port, compression=None, ping_interval=None):
            await asyncio.get_running_loop().create_future()

    uvloop.run(main())


def cpu_seconds(process_id: int) -> float:
    with open(f"/proc/{process_id}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(process_id: int) -> int:
    with open(f"/proc/{process_id}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Callers:
    """One user agent and one RTP socket a call."""

    def __init__(self, calls: int) -> None:
        self.sockets = [self._bound(CALLER_PORT + 2 * call) for call in range(calls)]
        self.arrivals: list[list[float]] = [[] for _ in range(calls)]
        self.answered = self.ended = 0
        self.all_answered = asyncio.Event()

    @staticmethod
    def _bound(port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HOST, port))
        sock.setblocking(False)
        return sock

    def on_event(self, event: Event) -> None:
        self.answered += isinstance(event, CallAnswered)
        if self.answered == len(self.sockets):
            self.all_answered.set()
        self.ended += isinstance(event, CallEnded)

    async def place(self, headers: dict[str, str]) -> tuple[UserAgent, AgentDriver[Event], list[int]]:
        loop = asyncio.get_running_loop()
        agent = UserAgent(contact=(HOST, CALLER_PORT - 1), random=Random(1))
        driver = AgentDriver(agent, self.on_event)
        await loop.create_datagram_endpoint(lambda: driver, local_addr=(HOST, CALLER_PORT - 1))
        placed = []
        for call, _ in enumerate(self.sockets):
            capabilities = MediaCapabilities(
                HOST, CALLER_PORT + 2 * call, (Codec("PCMU", 8000),), telephone_event=False
            )
            body = bytes(make_offer(capabilities, origin=Origin(1, 1, HOST)))
            uri, from_uri = SipUri(HOST, SIP_PORT, "bench"), SipUri(HOST, user="bench")
            sidecar = (HOST, SIP_PORT)
            placed.append(
                agent.invite(
                    uri,
                    destination=sidecar,
                    from_uri=from_uri,
                    body=body,
                    headers=list(headers.items()),
                    now=loop.time(),
                )
            )
            driver.drain()
            await asyncio.sleep(0.005)
        await asyncio.wait_for(self.all_answered.wait(), 30)
        return agent, driver, placed

    async def talk(self, seconds: float) -> None:
        """Send 50 packets a second in each call, and take what comes back."""
        loop = asyncio.get_running_loop()
        for call, sock in enumerate(self.sockets):
            loop.add_reader(sock.fileno(), self._receive, sock, self.arrivals[call])
        payload = bytes(range(0x80, 0x80 + 80)) * 2
        started = time.monotonic()
        for tick in range(round(seconds * 50) * GROUPS):
            number, group = divmod(tick, GROUPS)
            for call in range(group, len(self.sockets), GROUPS):
                header = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160, call)
                self.sockets[call].sendto(header + payload, (HOST, RTP_PORT))
            await asyncio.sleep(max(0.0, started + (tick + 1) * 0.02 / GROUPS - time.monotonic()))
        for sock in self.sockets:
            loop.remove_reader(sock.fileno())

    @staticmethod
    def _receive(sock: socket.socket, arrivals: list[float]) -> None:
        sock.recv(2048)
        arrivals.append(time.monotonic())


async def measure(calls: int, seconds: float, mix: str, rate: str, sidecar: int) -> None:
    callers = Callers(calls)
    idle_kib = resident_kib(sidecar)
    headers = {"X-STREAM_URL": f"ws://{HOST}:{BOT_PORT}/", "X-STREAM_MIX": mix, "X-STREAM_RATE": rate}
    if mix == "stereo":
        headers["X-STREAM_SAMPLE_RATE"] = str(2 * int(rate.removesuffix("k")) * 1000)  # the echo is stereo as well
    agent, driver, placed = await callers.place(headers)
    talking = asyncio.create_task(callers.talk(SETTLE_SECONDS + seconds))
    await asyncio.sleep(SETTLE_SECONDS)
    before, at = cpu_seconds(sidecar), time.monotonic()
    for arrivals in callers.arrivals:
        arrivals.clear()
    await asyncio.sleep(seconds - 0.5)
    spent, took = cpu_seconds(sidecar) - before, time.monotonic() - at
    frames = sum(map(len, callers.arrivals))
    gaps = np.concatenate([np.diff(arrivals) for arrivals in callers.arrivals]) * 1000
    busy_kib = resident_kib(sidecar)
    await talking
    for call in placed:
        agent.hang_up(call, now=asyncio.get_running_loop().time())
    driver.drain()
    await asyncio.sleep(1.0)
    p50, p99 = np.percentile(gaps, [50, 99])
    print(
        f"{calls} calls, {mix} {rate}: {spent / (calls * took * 50) * 1e6:.1f} us a frame, "
        f"{100 * spent / took:.0f} % of a core, gap p50 {p50:.1f} p99 {p99:.1f} ms, "
        f"{frames / (calls * took * 50):.3f} of the frames came back, "
        f"{(busy_kib - idle_kib) / calls:.0f} KiB a call, {callers.ended} calls ended"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--mix", default="mono")
    parser.add_argument("--rate", default="16k")
    options = parser.parse_args()
    bots = multiprocessing.Process(target=run_bots, args=(BOT_PORT,), daemon=True)
    bots.start()
    environment = os.environ | {"SIDECAR_SIP__PORT": str(SIP_PORT), "SIDECAR_RTP__PORT": str(RTP_PORT)}
    command = [sys.executable, "-m", "sidecar", "serve"]
    sidecar = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2.0)
        uvloop.run(measure(options.calls, options.seconds, options.mix, options.rate, sidecar.pid))
    finally:
        sidecar.send_signal(signal.SIGTERM)
        sidecar.wait(10)
        bots.terminate()


if __name__ == "__main__":
    main()
