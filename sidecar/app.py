"""The composition root: the only place that builds things from settings."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
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
from sidecar.core.freeswitch.tickets import Tickets
from sidecar.core.link import FromWorker
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
from sidecar.io.switchboard import ControlEvent, Switchboard, WorkerHost
from sidecar.io.worker_inside import WorkerInside
from sidecar.io.worker_process import OnLost, OnMessage, WorkerProcess
from sidecar.io.worker_settings import WorkerSettings
from sidecar.io.worker_start import StartWorker
from sidecar.log import LogLines
from sidecar.outlets import running_outlets
from sidecar.settings import RtpSettings, Settings, SipSettings, unused_variables
from sidecar.sockets import MediaPorts, SipSockets, bind_all, port_of
from sip import Address, SipUri, UserAgent
from sip.grammar import format_host_port

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from sidecar.api.service import Service
    from sidecar.io.call_traces import CallTraces

log = structlog.get_logger("sidecar")

_GOODBYE_SECONDS = 2.0
_WORKERS_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar."""

    sip_address: Address  # of UDP and TCP
    tls_port: int  # 0: none
    rtp_port: int  # of the first worker; 0: every call has its own
    agent: UserAgent
    control: CallControl
    workers: Sequence[WorkerHost]
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
    sockets = bind_all(settings)
    agent = _user_agent(settings.sip, sockets.sip)
    tickets = Tickets(SystemRandom())
    control = _call_control(settings, agent, tickets)
    traces = _traces(settings.traces.endpoint)
    events = EventFeed()
    events.subscribe(log_event)
    if traces is not None:
        events.subscribe(traces.hear)
    switchboard = Switchboard(
        control,
        events,
        traces,
        make_driver=partial(_sip_driver, settings.sip, control),
        make_workers=partial(_worker_hosts, settings, sockets.media),
    )
    driver, steering, workers = switchboard.driver, switchboard.steering, switchboard.workers
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
    async with (
        outlets as api,
        asyncio.TaskGroup() as tasks,
        _listening(driver, sockets.sip, settings.sip),
        _running_beside(agent, control, servers, supervisor, traces),
    ):
        for worker in workers:
            tasks.create_task(worker.run())
        try:
            with suppress(TimeoutError):  # who comes later is waited for by `/readyz`
                await asyncio.wait_for(switchboard.ready.wait(), _WORKERS_READY_SECONDS)
            yield Sidecar(
                sip_address=(own_address(settings.sip.host), port_of(sockets.sip.udp)),
                tls_port=port_of(sockets.sip.tls),
                rtp_port=port_of(sockets.media[0][0]) if sockets.media else 0,
                agent=agent,
                control=control,
                workers=workers,
                streams=driver.streams,
                servers=servers,
                attacher=attacher,
                steering=steering,
                events=events,
                supervisor=supervisor,
                api_port=port_of(sockets.api),
                api=api,
            )
        finally:
            await _hang_up(agent, control, driver)
            for worker in workers:
                worker.stop()


@asynccontextmanager
async def _listening(
    driver: SipDriver[ControlEvent], sockets: SipSockets, settings: SipSettings
) -> AsyncIterator[None]:
    """Take SIP by all transports until the block ends."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: driver, sock=sockets.udp)
    try:
        driver.streams.listen(sockets.tcp)
        if sockets.tls is not None:
            driver.streams.listen(sockets.tls, tls=settings.tls_server())
        yield
    finally:
        transport.close()


@asynccontextmanager
async def _running_beside(
    agent: UserAgent,
    control: CallControl,
    servers: FreeSwitchServers,
    supervisor: Supervisor,
    traces: CallTraces | None,
) -> AsyncIterator[None]:
    """Run what goes on beside the calls until the block ends; then let it tell the rest."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(servers.run())]
        tasks.append(group.create_task(supervisor.keep("refusals", RefusalLog(agent, control).run)))
        if traces is not None:
            tasks.append(group.create_task(supervisor.keep("traces", traces.queue.run)))
        try:
            yield
        finally:
            await servers.tell_the_rest()
            for task in tasks:
                task.cancel()
            if traces is not None:
                await traces.close()


async def _hang_up(agent: UserAgent, control: CallControl, driver: SipDriver[ControlEvent]) -> None:
    """End all calls, and wait until they are over, though not for long."""
    control.hang_up_all(now=asyncio.get_running_loop().time())
    driver.drain()
    with suppress(TimeoutError):  # a BYE may be lost, and its answer too
        await asyncio.wait_for(_until_over(agent, control), _GOODBYE_SECONDS)


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
    settings: SipSettings, control: CallControl, on_event: Callable[[ControlEvent], None]
) -> SipDriver[ControlEvent]:
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
) -> list[WorkerHost]:
    """Return what runs the workers, each in a process of its own, or one in this."""
    if not settings.workers:
        sockets = _media_sockets(settings.rtp, ports)
        make = partial(_media_worker, _worker_settings(settings), sockets)
        return [WorkerInside(make, on_message=on_message)]
    hosts: list[WorkerHost] = []
    for number in range(settings.workers):
        own = ports[number] if ports else ()
        descriptors = (own[0].fileno(), own[1].fileno()) if own else None
        start = StartWorker(number, _worker_settings(settings), settings.rtp.host, descriptors)
        hosts.append(WorkerProcess(start, own, random=SystemRandom(), on_message=on_message, on_lost=on_lost))
    return hosts


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
    workers: Sequence[WorkerHost],
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
