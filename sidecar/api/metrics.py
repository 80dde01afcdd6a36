"""What Prometheus sees: read when it asks, so that counting costs nothing beside what is counted anyway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sidecar.api.event_stream import Listeners
from sidecar.api.frame import Answer, Frame
from sidecar.api.metric_families import counter, each, gauge, one
from sidecar.api.server import HttpServer
from sidecar.core.idempotency import IdempotencyKeys
from sidecar.core.workers import Readiness
from sidecar.io.webhook_sender import WebhookSender


class CallMetrics(Collector):
    """Of calls and workers."""

    def __init__(self, readiness: Callable[[], Readiness]) -> None:
        self._readiness = readiness

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        now = self._readiness()
        yield gauge("ready", "Whether a new call would be taken", one(now.ready))
        yield gauge("draining", "Whether the sidecar waits for its last call", one(now.draining))
        yield gauge("calls", "Calls that are up or on their way", one(now.calls))
        yield gauge("calls_max", "Calls that there may be at once", one(now.max_calls))
        streams = each({of.worker: of.streams for of in now.workers})
        yield gauge("worker_streams", "Streams of a media worker", streams, "worker")
        busy = each({of.worker: of.load.busy for of in now.workers})
        yield gauge("worker_busy_ratio", "How much of its time a media worker works", busy, "worker")
        late = each({of.worker: of.load.late_p99_ms / 1000 for of in now.workers})
        yield gauge("worker_late_p99_seconds", "By how much its ticks come late", late, "worker")
        tasks = each({of.worker: of.load.tasks for of in now.workers})
        yield gauge("worker_tasks", "Tasks of a media worker", tasks, "worker")
        yield gauge("control_tasks", "Tasks of the control process", one(len(asyncio.all_tasks())))


class OutletMetrics(Collector):
    """Of events, and of those who hear of them."""

    def __init__(self, listeners: Listeners, webhooks: Sequence[WebhookSender]) -> None:
        self._listeners = listeners
        self._webhooks = webhooks

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        counters = self._listeners.counters
        yield gauge("event_listeners", "Clients that listen to events", one(len(self._listeners)))
        yield counter("event_listeners_accepted", "Clients that came to listen", one(counters.accepted))
        yield counter("event_listeners_refused", "Clients that were too many", one(counters.refused))
        yield counter("events_sent", "Events sent to listeners", one(counters.sent))
        yield counter("events_missed", "Events that were gone before a listener had them", one(counters.missed))
        waiting = each({hook.name: hook.waiting for hook in self._webhooks})
        yield gauge("webhook_waiting", "Events that a webhook has yet to be told", waiting, "webhook")
        delivered = each({hook.name: hook.counters.delivered for hook in self._webhooks})
        yield counter("webhook_delivered", "Events that a webhook has taken", delivered, "webhook")
        failed = each({hook.name: hook.counters.failed for hook in self._webhooks})
        yield counter("webhook_failures", "Attempts that failed", failed, "webhook")
        dropped = [
            ((hook.name, reason), count)
            for hook in self._webhooks
            for reason, count in (("full", hook.counters.dropped_full), ("old", hook.counters.dropped_old))
        ]
        yield counter("webhook_dropped", "Events that a webhook will not be told", dropped, "webhook", "reason")


class HttpMetrics(Collector):
    """Of this interface itself."""

    def __init__(self, frame: Frame, server: HttpServer, keys: IdempotencyKeys[Answer]) -> None:
        self._frame = frame
        self._server = server
        self._keys = keys

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        answered = each(dict(sorted(self._frame.answered.items())))
        yield counter("http_requests", "Requests of this interface", answered, "status")
        yield gauge("http_connections", "Connections that are open", one(self._server.connections))
        counters = self._server.counters
        cut = {
            "refused": counters.refused,
            "slow": counters.slow,
            "stalled": counters.stalled,
            "malformed": counters.malformed,
            "unshaken": counters.unshaken,
        }
        yield counter("http_connections_cut", "Connections that were not to be", each(cut), "reason")
        errors = one(self._server.accept_errors)
        yield counter("http_accept_errors", "Connections that could not be accepted", errors)
        yield counter("http_keys_forgotten", "Answers forgotten before their time", one(self._keys.forgotten))
        yield counter("http_replayed", "Answers given again, by Idempotency-Key", one(self._keys.replayed))
