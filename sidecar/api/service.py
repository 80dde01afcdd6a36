"""The REST interface as a whole, for as long as it runs."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from sidecar.api.application import make_application
from sidecar.api.event_stream import Listeners
from sidecar.api.frame import Answer, Frame
from sidecar.api.gate import Gate
from sidecar.api.metrics import CallMetrics, HttpMetrics, OutletMetrics
from sidecar.api.server import HttpLimits, HttpServer
from sidecar.core.attaching import Attacher
from sidecar.core.idempotency import IdempotencyKeys
from sidecar.io.steering import Steering
from sidecar.io.webhook_sender import WebhookSender


@dataclass(frozen=True, slots=True)
class Service:
    """The interface, running."""

    server: HttpServer
    listeners: Listeners
    registry: CollectorRegistry


@asynccontextmanager
async def running_service(
    sock: socket.socket,
    gate: Gate,
    steering: Steering,
    *,
    listeners: Listeners,
    webhooks: Sequence[WebhookSender] = (),
    attacher: Attacher | None = None,
    metrics: Iterable[Collector] = (),
    limits: HttpLimits | None = None,
) -> AsyncIterator[Service]:
    """Answer requests that come to `sock`, until the block ends; `metrics` are those of the rest of the process."""
    registry, keys = CollectorRegistry(), IdempotencyKeys[Answer]()
    app = make_application(steering, attacher=attacher, listeners=listeners, registry=registry)
    frame = Frame(app, gate=gate, keys=keys)
    server = HttpServer(frame, limits=limits or HttpLimits())
    for each in (
        CallMetrics(steering.readiness),
        OutletMetrics(listeners, webhooks),
        HttpMetrics(frame, server, keys),
        *metrics,
    ):
        registry.register(each)
    await server.listen(sock)
    try:
        yield Service(server, listeners, registry)
    finally:
        listeners.close()
        await server.close()
