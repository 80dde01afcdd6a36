"""Where events leave the sidecar, beside its log: listeners of the REST interface, and webhooks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

from sidecar.core.event_ring import MOST_EVENTS, EventRing
from sidecar.core.events import StreamEvent
from sidecar.core.webhook_url import parse_webhook_url
from sidecar.io.event_feed import EventFeed
from sidecar.io.steering import Steering
from sidecar.io.supervisor import Supervisor
from sidecar.io.webhook_sender import WebhookSender, running_webhooks
from sidecar.settings import DirectorySettings, Settings
from sip.grammar import format_host_port

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from sidecar.api.event_stream import Listeners
    from sidecar.api.service import Service
    from sidecar.core.attaching import Attacher
    from sidecar.io.redis_directory import RedisDirectory


@asynccontextmanager
async def running_outlets(
    settings: Settings,
    api_socket: socket.socket | None,
    steering: Steering,
    events: EventFeed,
    supervisor: Supervisor,
    *,
    attacher: Attacher | None = None,
    metrics: Callable[[], Iterable[Collector]] = tuple,
) -> AsyncIterator[Service | None]:
    """Let events be told within the block, and answer REST requests on `api_socket`, if there is one.

    `metrics` says what `/metrics` tells beside what it tells of these outlets.
    """
    if api_socket is None and not settings.webhooks:
        yield None
        return
    posts = EventRing(epoch=token_hex(4), most=0)  # numbers what webhooks are told, and keeps nothing
    senders = [
        WebhookSender(name, parse_webhook_url(hook.url), hook.key(), kinds=hook.events, hosts=settings.bot.hosts())
        for name, hook in settings.webhooks.items()
    ]

    def post(event: StreamEvent) -> None:
        told = posts.publish(event.kind, event.stream, event.json())
        for sender in senders:
            sender.add(told.id, told)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_webhooks(senders, supervisor))
        service = None
        if api_socket is not None:
            running = _running_interface(
                settings,
                api_socket,
                steering,
                events,
                supervisor,
                senders=senders,
                attacher=attacher,
                metrics=metrics(),
            )
            service = await stack.enter_async_context(running)
        if senders:
            stack.callback(events.subscribe(post))
        yield service


@asynccontextmanager
async def _running_interface(
    settings: Settings,
    sock: socket.socket,
    steering: Steering,
    events: EventFeed,
    supervisor: Supervisor,
    *,
    senders: list[WebhookSender],
    attacher: Attacher | None,
    metrics: Iterable[Collector],
) -> AsyncIterator[Service]:
    """Answer REST requests, and tell listeners of events: of this sidecar's, or, with a directory, of all."""
    from sidecar.api.event_stream import Listeners
    from sidecar.api.gate import Gate
    from sidecar.api.service import running_service

    api, ring = settings.api, EventRing(epoch=token_hex(4), most=MOST_EVENTS)
    listeners = Listeners(ring)
    gate = Gate(api.access(), requests_per_second=api.requests_per_second, open_metrics=api.open_metrics)
    directory: RedisDirectory | None = None

    def publish(event: StreamEvent) -> None:
        if directory is not None:
            directory.tell(event)
            return
        ring.publish(event.kind, event.stream, event.json())
        listeners.wake()

    async with AsyncExitStack() as stack:
        if settings.directory.url is not None:
            own = f"http://{format_host_port(api.host, sock.getsockname()[1])}"
            running = _running_directory(settings.directory, own, steering, listeners, supervisor)
            directory = await stack.enter_async_context(running)
        stack.callback(events.subscribe(publish))
        service = running_service(
            sock,
            gate,
            steering,
            listeners=listeners,
            webhooks=senders,
            attacher=attacher,
            directory=directory,
            metrics=metrics,
        )
        yield await stack.enter_async_context(service)


@asynccontextmanager
async def _running_directory(
    settings: DirectorySettings, own_address: str, steering: Steering, listeners: Listeners, supervisor: Supervisor
) -> AsyncIterator[RedisDirectory]:
    """Let other sidecars know of our streams, and us of theirs, until the block ends."""
    from sidecar.io.redis_client import open_redis
    from sidecar.io.redis_directory import RedisDirectory

    assert settings.url is not None
    directory = RedisDirectory(
        open_redis(settings.url.get_secret_value()),
        pod=settings.name,
        address=settings.address or own_address,
        streams=steering.streams,
        stream=lambda stream: steering.stream(stream) if steering.has(stream) else None,
        ring=listeners.ring,
        wake=listeners.wake,
        prefix=settings.prefix,
        lease=settings.lease,
    )
    steering.on_change = directory.touch
    running = asyncio.create_task(supervisor.keep("directory", directory.run))
    try:
        yield directory
    finally:
        running.cancel()
        await asyncio.wait([running])
