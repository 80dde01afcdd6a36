"""The composition root: the only place that builds things from settings."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from random import SystemRandom

import structlog

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.call_control import CallControl
from sidecar.core.events import StreamEvent
from sidecar.core.link import FromWorker, ToWorker
from sidecar.io.agent_driver import AgentDriver
from sidecar.io.datagrams import open_datagrams
from sidecar.io.link import InProcessLink
from sidecar.io.media_worker import MediaWorker, WorkerSettings
from sidecar.io.network import own_address
from sidecar.io.signals import stop_signal
from sidecar.settings import Settings
from sip import Address, UserAgent

log = structlog.get_logger("sidecar")

_SIP_RECEIVE_BUFFER = 1 << 20
_GOODBYE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar."""

    sip_address: Address
    rtp_port: int
    agent: UserAgent
    control: CallControl
    worker: MediaWorker

    @property
    def idle(self) -> bool:
        """Whether nothing is left of any call: no dialog, no transaction, no row, no socket."""
        return self.agent.idle and not self.control.calls and self.worker.idle


@asynccontextmanager
async def running_sidecar(settings: Settings) -> AsyncIterator[Sidecar]:
    """Run everything in the current event loop until the block ends; then end all calls.

    Raise OSError if a port is taken.
    """
    loop = asyncio.get_running_loop()
    sip_socket = _bound_socket(settings.sip.host, settings.sip.port)
    try:
        datagrams = open_datagrams(settings.rtp.host, settings.rtp.port, portable=settings.rtp.portable)
    except OSError:
        sip_socket.close()
        raise
    link = InProcessLink()
    worker = MediaWorker(
        _worker_settings(settings), datagrams=datagrams, random=SystemRandom(), to_control=link.to_control
    )
    sip_address = (settings.sip.advertised or own_address(settings.sip.host), sip_socket.getsockname()[1])
    agent = UserAgent(
        contact=sip_address,
        random=SystemRandom(),
        timers=settings.sip.timers(),
        credentials=settings.sip.credentials(),
        admission=settings.sip.admission(),
        max_calls=settings.sip.max_calls,
    )
    control = _call_control(settings, agent)
    driver = AgentDriver(control, partial(_on_event, link))
    ready = asyncio.Event()

    def on_message(message: FromWorker) -> None:
        control.receive_message(message, now=loop.time())
        driver.drain()
        ready.set()

    link.on_worker, link.on_control = worker.handle, on_message
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        transport, _ = await loop.create_datagram_endpoint(lambda: driver, sock=sip_socket)
        try:
            await ready.wait()
            yield Sidecar(sip_address, datagrams.port, agent, control, worker)
        finally:
            control.hang_up_all(now=loop.time())
            driver.drain()
            worker.stop()
            with suppress(TimeoutError):  # a BYE may be lost, and its answer too
                await asyncio.wait_for(_until_over(agent, control), _GOODBYE_SECONDS)
            transport.close()


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; raise OSError if a port is taken."""
    stopped = stop_signal()
    async with running_sidecar(settings) as sidecar:
        host, port = sidecar.sip_address
        log.info("ready", sip=f"sip:{host}:{port}", rtp_port=sidecar.rtp_port)
        await stopped.wait()
        log.info("stopping", calls=sidecar.control.calls)


async def _until_over(agent: UserAgent, control: CallControl) -> None:
    while agent.open_calls or control.calls:  # noqa: ASYNC110  once, at the end of everything
        await asyncio.sleep(0.01)


def _on_event(link: InProcessLink, event: StreamEvent | ToWorker) -> None:
    if isinstance(event, StreamEvent):
        log.info(event.kind, stream=event.stream, call=event.call, sequence=event.sequence, body=event.body)
    else:
        link.to_worker(event)


def _bound_socket(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SIP_RECEIVE_BUFFER)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _worker_settings(settings: Settings) -> WorkerSettings:
    return WorkerSettings(
        capacity=settings.sip.max_calls,
        connect_timeout=settings.bot.connect_timeout,
        bot_hosts=BotHosts(settings.bot.allow),
        portable=settings.rtp.portable,
    )


def _call_control(settings: Settings, agent: UserAgent) -> CallControl:
    media_address = settings.rtp.advertised or own_address(settings.rtp.host)
    return CallControl(
        agent,
        random=SystemRandom(),
        media_address=lambda _: media_address,
        profiles={name: profile.profile() for name, profile in settings.profiles.items()},
        default_profile=settings.stream.profile(),
        bot_hosts=BotHosts(settings.bot.allow),
        allow=settings.sip.allow,
    )
