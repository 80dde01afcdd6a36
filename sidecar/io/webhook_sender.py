"""Posts events to a webhook: the driver of `WebhookQueue`."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from random import SystemRandom

import structlog

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.event_ring import RingEvent
from sidecar.core.webhook_queue import AT_ONCE, Delivery, WebhookCounters, WebhookQueue
from sidecar.core.webhook_signature import webhook_headers
from sidecar.core.webhook_url import WebhookUrl
from sidecar.io.supervisor import Supervisor
from sidecar.io.webhook_connection import WebhookConnection, WebhookError

log = structlog.get_logger("sidecar.webhook")

_IDLE_SECONDS = 15.0  # after which a connection is not worth keeping
_GOODBYE_SECONDS = 2.0


class WebhookSender:
    """One webhook."""

    def __init__(self, name: str, url: WebhookUrl, key: bytes, *, kinds: Collection[str], hosts: BotHosts) -> None:
        """`kinds` are those of the events that it wants; none: all."""
        self.name = name
        self._url = url
        self._key = key
        self._kinds = frozenset(kinds)
        self._hosts = hosts
        self._queue = WebhookQueue(SystemRandom())
        self._clock = asyncio.get_running_loop().time
        self._changed = asyncio.Event()
        self._context = ssl.create_default_context() if url.secure else None

    @property
    def waiting(self) -> int:
        """How many events it has yet to be told."""
        return len(self._queue)

    @property
    def counters(self) -> WebhookCounters:
        """What became of its events."""
        return self._queue.counters

    def add(self, event: RingEvent) -> None:
        """Take an event."""
        if not self._kinds or event.kind in self._kinds:
            dropped = self.counters.dropped_full
            self._queue.add(Delivery(event.id, event.stream, event.data), now=self._clock())
            if self.counters.dropped_full > dropped == 0:
                log.warning("webhook drops events", webhook=self.name, waiting=self.waiting)
            self._changed.set()

    async def run(self) -> None:
        """Post what comes, until cancelled."""
        async with asyncio.TaskGroup() as couriers:
            for _ in range(AT_ONCE):
                couriers.create_task(self._post_on())

    async def until_told(self) -> None:
        """Wait until nothing is left to be told."""
        while self.waiting:
            self._changed.clear()
            await self._changed.wait()

    async def _post_on(self) -> None:
        connection = WebhookConnection(self._url, self._hosts, self._context)
        try:
            while True:
                delivery = self._queue.next(now=self._clock())
                if delivery is None:
                    await self._wait(connection)
                else:
                    await self._post(connection, delivery)
                    self._changed.set()
        finally:
            connection.close()

    async def _wait(self, connection: WebhookConnection) -> None:
        """Wait until something may have become due; a connection that nobody needs is closed."""
        self._changed.clear()
        due, idle = self._queue.next_timeout(), self._clock() + _IDLE_SECONDS
        until = idle if due is None else min(due, idle)
        try:
            async with asyncio.timeout_at(until if due is not None or connection.is_open else None):
                await self._changed.wait()
        except TimeoutError:
            if self._clock() >= idle:
                connection.close()

    async def _post(self, connection: WebhookConnection, delivery: Delivery) -> None:
        try:
            headers = webhook_headers(self._key, id=delivery.id, timestamp=int(time.time()), body=delivery.body)
            await connection.post(headers, delivery.body)
        except WebhookError as error:
            if not self._queue.is_failing:
                log.warning("webhook fails", webhook=self.name, why=str(error), waiting=self.waiting)
            self._queue.failed(delivery, retry_after=error.retry_after, now=self._clock())
        except BaseException:  # we stop, or have made a mistake: the others of its stream must not wait for ever
            self._queue.failed(delivery, now=self._clock())
            raise
        else:
            if self._queue.is_failing:
                log.info("webhook is back", webhook=self.name, waiting=self.waiting)
            self._queue.succeeded(delivery)


@asynccontextmanager
async def running_webhooks(senders: Sequence[WebhookSender], supervisor: Supervisor) -> AsyncIterator[None]:
    """Let webhooks be posted to within the block; at its end, there are two seconds for what is left."""
    tasks = [asyncio.create_task(supervisor.keep(f"webhook {sender.name}", sender.run)) for sender in senders]
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                for sender in senders:
                    await sender.until_told()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
