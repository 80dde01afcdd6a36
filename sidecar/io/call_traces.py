"""Traces: one span a call, with its phases, and the trace handed on to the bot. Imported only where they are wanted."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace

import msgspec
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sidecar import __version__
from sidecar.core.events import Disconnected, Failure, Reconnected, Reconnecting, Started, Stopped, StreamEvent
from sidecar.core.link import ChangeBot, OpenStream, StartMedia, ToWorker
from sidecar.io.span_queue import SpanQueue

log = structlog.get_logger("sidecar.traces")

_EXPORT_SECONDS = 5.0
_GOODBYE_SECONDS = 2.0
_PHASES = frozenset(("connect", "disconnect", "reconnecting", "reconnected", "transfer", "leg"))
_FIGURES = (
    "packets_received",
    "packets_sent",
    "packets_lost",
    "messages_sent",
    "messages_dropped",
    "reconnects",
    "mos",
)


class CallTraces:
    """Knows the span of each call that is up. It is told of events, and sees what workers are told."""

    def __init__(self, endpoint: str) -> None:
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # what it says, `SpanQueue` does
        logging.getLogger("opentelemetry").propagate = False
        self.queue = SpanQueue(OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS))
        resource = Resource.create({"service.name": "audio-stream-sidecar", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(self.queue)
        self._tracer = self._provider.get_tracer("sidecar", __version__)
        self._spans: dict[str, Span] = {}  # by stream
        self._answered: set[str] = set()
        self._propagator = TraceContextTextMapPropagator()

    async def close(self) -> None:
        """Export what is left, if that is soon done."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.queue.flush(), _GOODBYE_SECONDS)

    def hear(self, event: StreamEvent) -> None:
        """Take an event of a call."""
        at = round(event.at * 1e9)
        if isinstance(event.body, Started):
            attributes = {
                "sidecar.stream": event.stream,
                "sidecar.call": event.call,
                "sip.call_id": event.body.call_id,
                "sidecar.bot": event.body.url,
            }
            self._spans[event.stream] = self._tracer.start_span(
                "call", kind=SpanKind.SERVER, attributes=attributes, start_time=at
            )
            return
        span = self._spans.get(event.stream)
        if span is None:
            if isinstance(event.body, Failure):
                self._refused(event, event.body, at)
            return
        match event.body:
            case Stopped(stats):
                for name in _FIGURES if stats is not None else ():
                    if (value := getattr(stats, name)) is not None:
                        span.set_attribute(f"sidecar.{name}", value)
                del self._spans[event.stream]
                self._answered.discard(event.stream)
                span.end(at)
            case Failure(message):
                span.set_status(StatusCode.ERROR, message.error)
                span.add_event("error", {"code": message.code, "error": message.error}, at)
            case Disconnected(message) | Reconnecting(message):
                span.add_event(event.kind, {"code": message.code, "reason": message.reason}, at)
            case Reconnected(gap_ms, replayed_ms):
                span.add_event(event.kind, {"gap_ms": gap_ms, "replayed_ms": replayed_ms}, at)
            case _ if event.kind in _PHASES:
                span.add_event(event.kind, {}, at)

    def bot_spoke(self, stream: str) -> None:
        """The first audio of the bot has come."""
        if (span := self._spans.get(stream)) is not None:
            span.add_event("first_audio", {}, time.time_ns())

    def mark(self, message: ToWorker) -> ToWorker:
        """Return what a worker is to be told: a bot hears in its handshake to which trace its call belongs.

        A mistake here leaves a trace incomplete, and the call as it is.
        """
        try:
            return self._marked(message)
        except Exception:
            log.exception("call not traced", stream=message.stream)
            return message

    def _marked(self, message: ToWorker) -> ToWorker:
        span = self._spans.get(message.stream)
        if span is None:
            return message
        if isinstance(message, OpenStream | ChangeBot):
            return self._with_trace(message, span)
        if isinstance(message, StartMedia) and message.receives and message.stream not in self._answered:
            self._answered.add(message.stream)
            span.add_event("answered", {}, time.time_ns())
        return message

    def _with_trace(self, message: OpenStream | ChangeBot, span: Span) -> ToWorker:
        """Have the headers of W3C Trace Context in the handshake, unless the call has brought its own."""
        headers = dict(message.options.extra_headers)
        if "traceparent" not in (name.lower() for name in headers):
            self._propagator.inject(headers, set_span_in_context(span))
        return msgspec.structs.replace(message, options=replace(message.options, extra_headers=headers))

    def _refused(self, event: StreamEvent, failure: Failure, at: int) -> None:
        span = self._tracer.start_span(
            "call", kind=SpanKind.SERVER, attributes={"sidecar.call": event.call}, start_time=at
        )
        span.set_status(StatusCode.ERROR, failure.message.error)
        span.end(at)
