"""The composition root: the only place that builds things from settings."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from random import SystemRandom
from typing import TYPE_CHECKING

import structlog

from rtp import FRAME_MS
from sidecar.core.call_control import CallControl
from sidecar.core.codecs import ALL_CODECS
from sidecar.core.events import StreamEvent
from sidecar.core.freeswitch.tickets import Tickets
from sidecar.core.link import BotSpoke, FromWorker, StatsTold, ToWorker, WorkerReady
from sidecar.io.eavesdropper import Eavesdropper, FreeSwitch
from sidecar.io.event_feed import EventFeed, log_event
from sidecar.io.event_socket_client import EventSocketClient
from sidecar.io.freeswitch_servers import FreeSwitchServers
from sidecar.io.media_sockets import MediaSockets, open_one_port
from sidecar.io.media_worker import MediaWorker
from sidecar.io.network import OwnAddresses, own_address
from sidecar.io.port_pairs import PortPairs
from sidecar.io.refusal_log import RefusalLog
from sidecar.io.signals import stop_signals
from sidecar.io.sip_connection import ConnectionLimits
from sidecar.io.sip_driver import SipDriver
from sidecar.io.sip_streams import SipStreams
from sidecar.io.steering import Steering
from sidecar.io.supervisor import Supervisor
from sidecar.io.worker_inside import WorkerInside
from sidecar.io.worker_process import OnLost, OnMessage, WorkerProcess
from sidecar.io.worker_settings import WorkerSettings
from sidecar.io.worker_start import StartWorker
from sidecar.log import LogLines
from sidecar.outlets import running_outlets
from sidecar.settings import RtpSettings, Settings, SipSettings, unused_variables
from sidecar.sockets import MediaPorts, SipSockets, bind_all, port_of
from sip import Address, AuthenticationFailed, SipUri, UserAgent
from sip.grammar import format_host_port

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from sidecar.api.service import Service
    from sidecar.io.call_traces import CallTraces

log = structlog.get_logger("sidecar")

_GOODBYE_SECONDS = 2.0
_WORKERS_READY_SECONDS = 30.0

_WorkerHost = WorkerInside | WorkerProcess


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar."""

    sip_address: Address  # of UDP and TCP
    tls_port: int  # 0: none
    rtp_port: int  # of the first worker; 0: every call has its own
    agent: UserAgent
    control: CallControl
    workers: Sequence[WorkerInside | WorkerProcess]
    streams: SipStreams
    servers: FreeSwitchServers
    attacher: Eavesdropper
    steering: Steering
    events: EventFeed
    supervisor: Supervisor
    api_port: int  # 0: none
    api: Service | None

    @property
    def worker(self) -> MediaWorker:
        """The media worker of this process, if it is not in one of its own."""
        (inside,) = self.workers
        assert isinstance(inside, WorkerInside)
        return inside.worker

    @property
    def idle(self) -> bool:
        """Whether nothing is left of any call: no dialog, no transaction, no row, no socket."""
        inside = all(each.worker.idle for each in self.workers if isinstance(each, WorkerInside))
        return self.agent.idle and not self.control.calls and inside


@asynccontextmanager
async def running_sidecar(settings: Settings) -> AsyncIterator[Sidecar]:
    """Run everything in the current event loop until the block ends; then end all calls.

    Raise OSError if a port is taken.
    """
    loop = asyncio.get_running_loop()
    sockets = bind_all(settings)
    agent = _user_agent(settings.sip, sockets.sip)
    tickets = Tickets(SystemRandom())
    control = _call_control(settings, agent, tickets)
    workers: list[_WorkerHost] = []
    events = EventFeed()
    events.subscribe(log_event)
    traces = _traces(settings.traces.endpoint)
    if traces is not None:
        events.subscribe(traces.hear)

    def on_event(event: StreamEvent | StatsTold | ToWorker | AuthenticationFailed) -> None:
        if isinstance(event, StreamEvent):
            events.publish(event)
        elif isinstance(event, StatsTold):
            steering.stats_told(event)
        elif isinstance(event, AuthenticationFailed):
            log.warning("authentication failed", host=event.source[0], user=event.username)
        elif (worker := control.workers.worker_of(event.stream)) is not None:  # else it died meanwhile
            workers[worker].send(event if traces is None else traces.mark(event))

    driver = _sip_driver(settings.sip, control, on_event)
    steering = Steering(control, driver.drain)
    not_ready, ready = set(range(max(1, settings.workers))), asyncio.Event()

    def on_message(worker: int, message: FromWorker) -> None:
        if traces is not None and isinstance(message, BotSpoke):
            traces.bot_spoke(message.stream)
        control.receive_message(message, worker=worker, now=loop.time())
        driver.drain()
        if isinstance(message, WorkerReady):
            not_ready.discard(worker)
            if not not_ready:
                ready.set()

    def on_lost(worker: int, why: str) -> None:
        control.worker_lost(worker, why, now=loop.time())
        driver.drain()

    workers += _worker_hosts(settings, sockets.media, on_message, on_lost)
    supervisor = Supervisor(SystemRandom())
    servers = FreeSwitchServers(_event_sockets(settings), supervisor)
    events.subscribe(servers.events.tell)
    attacher = _attacher(settings, servers, control, tickets, sip_port=port_of(sockets.sip.udp))
    events.subscribe(attacher.hear)
    outlets = running_outlets(
        settings,
        sockets.api,
        steering,
        events,
        supervisor,
        attacher=attacher if settings.freeswitch else None,
        metrics=lambda: _metrics(agent, control, driver, workers, servers, tickets, supervisor, events, traces),
    )
    async with outlets as api, asyncio.TaskGroup() as tasks:
        for worker in workers:
            tasks.create_task(worker.run())
        over_event_sockets = tasks.create_task(servers.run())
        refusals = tasks.create_task(supervisor.keep("refusals", RefusalLog(agent, control).run))
        exporting = None if traces is None else tasks.create_task(supervisor.keep("traces", traces.queue.run))
        transport, _ = await loop.create_datagram_endpoint(lambda: driver, sock=sockets.sip.udp)
        driver.streams.listen(sockets.sip.tcp)
        if sockets.sip.tls is not None:
            driver.streams.listen(sockets.sip.tls, tls=settings.sip.tls_server())
        try:
            with suppress(TimeoutError):  # who comes later is waited for by `/readyz`
                await asyncio.wait_for(ready.wait(), _WORKERS_READY_SECONDS)
            yield Sidecar(
                (own_address(settings.sip.host), port_of(sockets.sip.udp)),
                port_of(sockets.sip.tls),
                port_of(sockets.media[0][0]) if sockets.media else 0,
                agent,
                control,
                workers,
                driver.streams,
                servers,
                attacher,
                steering,
                events,
                supervisor,
                port_of(sockets.api),
                api,
            )
        finally:
            control.hang_up_all(now=loop.time())
            driver.drain()
            with suppress(TimeoutError):  # a BYE may be lost, and its answer too
                await asyncio.wait_for(_until_over(agent, control), _GOODBYE_SECONDS)
            for worker in workers:
                worker.stop()
            await servers.tell_the_rest()
            over_event_sockets.cancel()
            refusals.cancel()
            if traces is not None and exporting is not None:
                exporting.cancel()
                await traces.close()
            transport.close()


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, and until the calls are over; a second signal ends them.

    Raise OSError if a port is taken.
    """
    asked, insisted = stop_signals()
    if unused := unused_variables(os.environ):
        log.warning("variables that set nothing", names=unused)
    async with running_sidecar(settings) as sidecar:
        host, port = sidecar.sip_address
        others = {"tls_port": sidecar.tls_port, "api_port": sidecar.api_port}
        used = {name: port for name, port in others.items() if port}
        log.info("ready", sip=str(SipUri(host, port)), **used, rtp_port=sidecar.rtp_port)
        await asked.wait()
        sidecar.control.drain()
        log.info("draining", calls=sidecar.control.calls, for_at_most=settings.drain_timeout)
        with suppress(TimeoutError):
            await asyncio.wait_for(_until_drained(sidecar.control, insisted), settings.drain_timeout)
        log.info("stopping", calls=sidecar.control.calls)


async def _until_drained(control: CallControl, insisted: asyncio.Event) -> None:
    while control.calls and not insisted.is_set():  # noqa: ASYNC110  once, at the end of everything
        await asyncio.sleep(0.05)


async def _until_over(agent: UserAgent, control: CallControl) -> None:
    while agent.open_calls or control.calls:  # noqa: ASYNC110  once, at the end of everything
        await asyncio.sleep(0.01)


def _user_agent(settings: SipSettings, sockets: SipSockets) -> UserAgent:
    return UserAgent(
        contact=(settings.host, port_of(sockets.udp)),
        stream_contacts={"TLS": (settings.host, port_of(sockets.tls))} if sockets.tls else None,
        advertised=OwnAddresses(settings.host, settings.advertised),
        random=SystemRandom(),
        timers=settings.timers(),
        credentials=settings.credentials(),
        admission=settings.admission(),
        max_calls=settings.max_calls,
    )


def _sip_driver(
    settings: SipSettings,
    control: CallControl,
    on_event: Callable[[StreamEvent | StatsTold | ToWorker | AuthenticationFailed], None],
) -> SipDriver[StreamEvent | StatsTold | ToWorker | AuthenticationFailed]:
    return SipDriver(
        control,
        on_event,
        allows=control.allows,
        limits=ConnectionLimits(connections=settings.max_connections, of_one_host=settings.max_connections_per_host),
        tls=settings.tls_client,
        local_host=None if ip_address(settings.host).is_unspecified else settings.host,
    )


def _worker_hosts(
    settings: Settings, ports: Sequence[MediaPorts], on_message: OnMessage, on_lost: OnLost
) -> Iterator[_WorkerHost]:
    """Return what runs the workers, each in a process of its own, or one in this."""
    for number in range(settings.workers):
        own = ports[number] if ports else ()
        descriptors = (own[0].fileno(), own[1].fileno()) if own else None
        start = StartWorker(number, _worker_settings(settings), settings.rtp.host, descriptors)
        yield WorkerProcess(start, own, random=SystemRandom(), on_message=on_message, on_lost=on_lost)
    if not settings.workers:
        sockets = _media_sockets(settings.rtp, ports)
        make = partial(_media_worker, _worker_settings(settings), sockets)
        yield WorkerInside(make, on_message=on_message)


def _media_worker(
    settings: WorkerSettings, sockets: MediaSockets, to_control: Callable[[FromWorker], None]
) -> MediaWorker:
    return MediaWorker(settings, sockets=sockets, random=SystemRandom(), to_control=to_control)


def _media_sockets(settings: RtpSettings, ports: Sequence[MediaPorts]) -> MediaSockets:
    return open_one_port(ports[0], portable=settings.portable) if ports else PortPairs(settings.host)


def _worker_settings(settings: Settings) -> WorkerSettings:
    return WorkerSettings(
        capacity=settings.sip.max_calls,
        connect_timeout=settings.bot.connect_timeout,
        bot_hosts=settings.bot.hosts(),
        portable=settings.rtp.portable,
        jitter_frames=settings.rtp.jitter_max_ms // FRAME_MS,
        codecs=settings.rtp.codecs or ALL_CODECS,
        timeouts=settings.rtp.timeouts(),
        inband_digits=settings.rtp.inband_dtmf,
    )


def _event_sockets(settings: Settings) -> dict[str, EventSocketClient]:
    return {
        name: EventSocketClient(
            each.host, each.port, each.password.get_secret_value(), name=name, random=SystemRandom()
        )
        for name, each in settings.freeswitch.items()
    }


def _attacher(
    settings: Settings, servers: FreeSwitchServers, control: CallControl, tickets: Tickets, *, sip_port: int
) -> Eavesdropper:
    reached_at = OwnAddresses(settings.sip.host, settings.sip.advertised)
    known = {
        name: FreeSwitch(
            client,
            dial=settings.freeswitch[name].dial,
            sidecar=lambda peer: format_host_port(reached_at(peer), sip_port),
        )
        for name, client in servers.clients.items()
    }
    return Eavesdropper(
        known,
        resolve=control.intake.resolve,
        exists=control.has,
        profiles=settings.profiles.keys(),
        tickets=tickets,
        random=SystemRandom(),
    )


def _traces(endpoint: str) -> CallTraces | None:
    if not endpoint:
        return None
    from sidecar.io.call_traces import CallTraces

    return CallTraces(endpoint)


def _metrics(
    agent: UserAgent,
    control: CallControl,
    driver: SipDriver[object],
    workers: Sequence[_WorkerHost],
    servers: FreeSwitchServers,
    tickets: Tickets,
    supervisor: Supervisor,
    events: EventFeed,
    traces: CallTraces | None,
) -> list[Collector]:
    """Return what `/metrics` tells of all but itself; what is imported here, is not needed without it."""
    from sidecar.api.freeswitch_metrics import FreeSwitchMetrics
    from sidecar.api.sip_metrics import ControlMetrics, SipMetrics
    from sidecar.api.worker_metrics import WorkerMetrics

    spans = None if traces is None else traces.queue.counts
    return [
        ControlMetrics(control, workers, supervisor, events, spans, log_lines_lost=lambda: LogLines.lost),
        SipMetrics(agent, control, driver),
        WorkerMetrics(control.workers.totals),
        FreeSwitchMetrics(servers, tickets),
    ]


def _call_control(settings: Settings, agent: UserAgent, tickets: Tickets) -> CallControl:
    return CallControl(
        agent,
        random=SystemRandom(),
        media_address=OwnAddresses(settings.rtp.host, settings.rtp.advertised),
        profiles={name: profile.profile() for name, profile in settings.profiles.items()},
        default_profile=settings.stream.profile(),
        bot_hosts=settings.bot.hosts(),
        allow=settings.sip.allow,
        media=settings.rtp.policy(),
        wall_clock=time.time,
        ports=settings.rtp.port_allocator() if settings.rtp.mode == "ports" else None,
        late_ms=settings.max_late_ms,
        tickets=tickets,
        tells_by_info=not settings.freeswitch,
    )
