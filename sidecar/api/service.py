"""The REST interface as a whole, for as long as it runs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from sidecar.api.application import make_application
from sidecar.api.directory_metrics import DirectoryMetrics
from sidecar.api.event_stream import Listeners
from sidecar.api.frame import Answer, Application, Frame
from sidecar.api.gate import Gate
from sidecar.api.metrics import CallMetrics, HttpMetrics, OutletMetrics
from sidecar.api.server import HttpLimits, HttpServer
from sidecar.core.attaching import Attacher
from sidecar.core.idempotency import IdempotencyKeys
from sidecar.io.steering import Steering
from sidecar.io.webhook_sender import WebhookSender

if TYPE_CHECKING:
    from sidecar.api.forwarding import Forwarding
    from sidecar.io.redis_directory import RedisDirectory


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
    directory: RedisDirectory | None = None,
    peer_tls: ssl.SSLContext | None = None,
    peer_name: str | None = None,
    metrics: Iterable[Collector] = (),
    tls: ssl.SSLContext | None = None,
    limits: HttpLimits | None = None,
) -> AsyncIterator[Service]:
    """Answer requests that come to `sock`, until the block ends; `metrics` are those of the rest of the process.

    Other sidecars of the directory are asked by `peer_tls`, whose certificate must name `peer_name`, if it is given.
    """
    registry, keys = CollectorRegistry(), IdempotencyKeys[Answer]()
    app = make_application(steering, attacher=attacher, directory=directory, listeners=listeners, registry=registry)
    forwarding = None if directory is None else _forwarding(app, steering, directory, peer_tls, peer_name)
    frame = Frame(forwarding or app, gate=gate, keys=keys)
    server = HttpServer(frame, limits=limits or HttpLimits())
    for each in (
        CallMetrics(steering.readiness),
        OutletMetrics(listeners, webhooks),
        HttpMetrics(frame, server, keys),
        DirectoryMetrics(directory, forwarding),
        *metrics,
    ):
        registry.register(each)
    server.listen(sock, tls=tls)
    try:
        yield Service(server, listeners, registry)
    finally:
        listeners.close()
        await server.close()
        if forwarding is not None:
            await forwarding.close()


def _forwarding(
    app: Application, steering: Steering, directory: RedisDirectory, tls: ssl.SSLContext | None, name: str | None
) -> Forwarding:
    assert tls is not None, "who has a directory is told how to ask"
    from sidecar.api.forwarding import Forwarding  # its HTTP client is part of an extra

    return Forwarding(app, steering, directory, tls=tls, name=name)
