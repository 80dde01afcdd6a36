"""Where events leave the sidecar, beside its log: listeners of the REST interface, and webhooks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

from sidecar.core.event_ring import MOST_EVENTS, EventRing, RingEvent
from sidecar.core.events import StreamEvent
from sidecar.core.webhook_url import parse_webhook_url
from sidecar.io.event_feed import EventFeed
from sidecar.io.steering import Steering
from sidecar.io.supervisor import Supervisor
from sidecar.io.webhook_sender import WebhookSender, running_webhooks
from sidecar.settings import DirectorySettings, Settings

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
    is_shared = api_socket is not None and settings.directory.url is not None
    own = EventRing(epoch=token_hex(4), most=MOST_EVENTS if api_socket and not is_shared else 0)
    senders = [
        WebhookSender(name, parse_webhook_url(hook.url), hook.key(), kinds=hook.events, hosts=settings.bot.hosts())
        for name, hook in settings.webhooks.items()
    ]
    hearers: list[Callable[[RingEvent], None]] = [sender.add for sender in senders]

    def publish(event: StreamEvent) -> None:
        told = own.publish(event.kind, event.stream, event.json())
        for hear in hearers:
            hear(told)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_webhooks(senders, supervisor))
        service = None
        if api_socket is not None:
            from sidecar.api.event_stream import Listeners
            from sidecar.api.gate import Gate
            from sidecar.api.service import running_service

            api, directory = settings.api, None
            listeners = Listeners(EventRing(epoch=token_hex(4)) if is_shared else own)
            if is_shared:
                own_url = api.url(api.host, api_socket.getsockname()[1])
                running = _running_directory(settings.directory, own_url, steering, listeners, supervisor)
                directory = await stack.enter_async_context(running)
            hearers.append(directory.tell if directory else lambda _: listeners.wake())
            interface = running_service(
                api_socket,
                Gate(api.access(), requests_per_second=api.requests_per_second, open_metrics=api.open_metrics),
                steering,
                listeners=listeners,
                webhooks=senders,
                attacher=attacher,
                directory=directory,
                peer_tls=settings.directory.tls() if directory else None,
                peer_name=settings.directory.tls_name,
                metrics=metrics(),
                tls=api.tls(),
            )
            service = await stack.enter_async_context(interface)
        stack.callback(events.subscribe(publish))
        yield service


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
