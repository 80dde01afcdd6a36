"""Between control, SIP and the media workers: what one says, another is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from sidecar.core.call_control import CallControl
from sidecar.core.events import StreamEvent
from sidecar.core.link import BotSpoke, FromWorker, StatsTold, ToWorker, WorkerReady
from sidecar.io.event_feed import EventFeed
from sidecar.io.sip_driver import SipDriver
from sidecar.io.steering import Steering
from sidecar.io.worker_inside import WorkerInside
from sidecar.io.worker_process import OnLost, OnMessage, WorkerProcess
from sip import AuthenticationFailed

if TYPE_CHECKING:
    from sidecar.io.call_traces import CallTraces

log = structlog.get_logger("sidecar")

ControlEvent = StreamEvent | StatsTold | ToWorker | AuthenticationFailed
WorkerHost = WorkerInside | WorkerProcess


class Switchboard:
    """Has the driver of control, and its workers, and passes on what they say."""

    def __init__(
        self,
        control: CallControl,
        events: EventFeed,
        traces: CallTraces | None,
        *,
        make_driver: Callable[[Callable[[ControlEvent], None]], SipDriver[ControlEvent]],
        make_workers: Callable[[OnMessage, OnLost], Sequence[WorkerHost]],
    ) -> None:
        self._control = control
        self._events = events
        self._traces = traces
        self._clock = asyncio.get_running_loop().time
        self.driver = make_driver(self._on_event)
        self.steering = Steering(control, self.driver.drain)
        self.workers = make_workers(self._on_message, self._on_lost)
        self._starting = set(range(len(self.workers)))
        self.ready = asyncio.Event()  # all workers have been, once

    def _on_event(self, event: ControlEvent) -> None:
        if isinstance(event, StreamEvent):
            self._events.publish(event)
        elif isinstance(event, StatsTold):
            self.steering.stats_told(event)
        elif isinstance(event, AuthenticationFailed):
            log.warning("authentication failed", host=event.source[0], user=event.username)
        elif (worker := self._control.workers.worker_of(event.stream)) is not None:  # else it died meanwhile
            self.workers[worker].send(event if self._traces is None else self._traces.mark(event))

    def _on_message(self, worker: int, message: FromWorker) -> None:
        if self._traces is not None and isinstance(message, BotSpoke):
            self._traces.bot_spoke(message.stream)
        self._control.receive_message(message, worker=worker, now=self._clock())
        self.driver.drain()
        if isinstance(message, WorkerReady):
            self._starting.discard(worker)
            if not self._starting:
                self.ready.set()

    def _on_lost(self, worker: int, why: str) -> None:
        self._control.worker_lost(worker, why, now=self._clock())
        self.driver.drain()
