"""Where events leave the sidecar, beside its log: listeners of the REST interface, and webhooks."""

from __future__ import annotations

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
from sidecar.settings import Settings

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from sidecar.api.service import Service
    from sidecar.core.attaching import Attacher


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
    ring = EventRing(epoch=token_hex(4), most=MOST_EVENTS if api_socket else 0)
    senders = [
        WebhookSender(name, parse_webhook_url(hook.url), hook.key(), kinds=hook.events, hosts=settings.bot.hosts())
        for name, hook in settings.webhooks.items()
    ]
    service: Service | None = None

    def publish(event: StreamEvent) -> None:
        told = ring.publish(event.kind, event.stream, event.json())
        for sender in senders:
            sender.add(ring.id_of(told.number), told)
        if service is not None:
            service.listeners.wake()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_webhooks(senders, supervisor))
        if api_socket is not None:
            from sidecar.api.event_stream import Listeners
            from sidecar.api.gate import Gate
            from sidecar.api.service import running_service

            api = settings.api
            gate = Gate(api.access(), requests_per_second=api.requests_per_second, open_metrics=api.open_metrics)
            running = running_service(
                api_socket,
                gate,
                steering,
                listeners=Listeners(ring),
                webhooks=senders,
                attacher=attacher,
                metrics=metrics(),
            )
            service = await stack.enter_async_context(running)
        stack.callback(events.subscribe(publish))
        yield service
