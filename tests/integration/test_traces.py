"""Traces of real calls, exported over HTTP to a real receiver."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from sidecar.core.events import Started, StreamEvent
from sidecar.core.link import ChangeBot
from sidecar.io.call_traces import CallTraces
from sidecar.io.caller import CallPlan, place_call
from sidecar.io.span_queue import SpanQueue
from sip import SipUri
from tests.support.bots import Bot
from tests.support.live_call import SILENCE, live_call
from tests.support.ports import LOOPBACK
from tests.support.rest import ask
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test


class Receiver:
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        request = ExportTraceServiceRequest.FromString(await reader.readexactly(length))
        self.spans += [span for each in request.resource_spans for some in each.scope_spans for span in some.spans]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    def named(self, key: str, value: str) -> Span:
        """Return the span with an attribute."""
        pairs = [(span, each) for span in self.spans for each in span.attributes]
        (found,) = [span for span, each in pairs if each.key == key and each.value.string_value == value]
        return found


async def test_a_call_is_a_span_and_its_bot_is_of_the_same_trace() -> None:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, LOOPBACK, 0)
    endpoint = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/v1/traces"
    async with server, Bot() as bot:
        async with sidecar_under_test(stream={"url": bot.url}, traces={"endpoint": endpoint}) as car:
            async with live_call(car) as call:
                await bot.received(5)
                await bot.send(bytes(320))
                await bot.send(bytes(320))
                await bot.received(len(bot.call.messages) + 5)
            own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            async with live_call(car, headers=(("X-STREAM_EXTRA_HEADERS", f'{{"Traceparent": "{own}"}}'),)):
                await bot.connected(2)
            uri = SipUri(LOOPBACK, car.sidecar.sip_address[1], "any")
            refused = await place_call(CallPlan(uri, SILENCE, 1.0, (("X-STREAM_RATE", "11k"),)))
            assert not refused.answered
            await car.until_no_calls()
    assert len(receiver.spans) == 3
    span = receiver.named("sidecar.stream", call.stream)
    assert (span.name, span.kind, span.status.code) == ("call", Span.SPAN_KIND_SERVER, Status.STATUS_CODE_UNSET)
    assert [event.name for event in span.events] == ["connect", "answered", "first_audio", "disconnect"]
    times = [span.start_time_unix_nano, *(event.time_unix_nano for event in span.events), span.end_time_unix_nano]
    assert times == sorted(times)
    figures = {each.key: each.value.int_value for each in span.attributes}
    assert figures["sidecar.messages_sent"] >= 5
    first, second = (each.headers for each in bot.calls)
    version, trace, parent, flags = first["traceparent"].split("-")
    assert (version, trace, parent) == ("00", span.trace_id.hex(), span.span_id.hex())
    assert int(flags, 16) & 1, "it is recorded"
    assert second["traceparent"] == own  # and there is no other: that would be an error
    failed = [each for each in receiver.spans if each.status.code == Status.STATUS_CODE_ERROR]
    assert [each.status.message for each in failed] == [
        "400: rate: not a multiple of 8000 Hz up to 48000, such as 16k or 16000"
    ]


class SlowReceiver:
    """Takes requests, and refuses them when it is told to answer at last."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.readers: list[asyncio.StreamReader] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        self.readers.append(reader)
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await self.answers.wait()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()


async def outcomes(car: SidecarUnderTest) -> dict[str, float]:
    """Return what became of spans, as `/metrics` tells it."""
    text = (await ask(car.sidecar.api_port, "GET", "/metrics")).body.decode()
    return {kind: float(number) for kind, number in re.findall(r'trace_spans_total\{outcome="(\w+)"\} (\S+)', text)}


async def test_who_takes_no_spans_delays_nothing() -> None:
    receiver = SlowReceiver()
    server = await asyncio.start_server(receiver.take, LOOPBACK, 0)
    traces = {"endpoint": f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/v1/traces"}
    async with server, Bot() as bot:
        async with sidecar_under_test(api={}, stream={"url": bot.url}, traces=traces) as car:
            try:
                async with live_call(car):
                    await bot.received(5)
                await asyncio.wait_for(receiver.asked.wait(), 5)
                async with live_call(car):
                    await bot.connected(2)
                    await bot.received(len(bot.calls[0].messages) + 5)
                await bot.closed(2)
                assert [reader.at_eof() for reader in receiver.readers] == [False], "its span is still being exported"
                assert await outcomes(car) == {"exported": 0, "failed": 0, "dropped": 0}
            finally:
                receiver.answers.set()
            async with asyncio.timeout(5):
                while (told := await outcomes(car))["failed"] < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert told == {"exported": 0, "failed": 2, "dropped": 0}


async def test_a_mistake_of_a_trace_is_no_matter_of_the_call() -> None:
    traces = CallTraces(f"http://{LOOPBACK}:9/v1/traces")
    message = ChangeBot("one", None)  # type: ignore[arg-type]
    assert traces.mark(message) is message
    started = Started("call", "sip:a@b", "sip:c@d", "ws://e/", "mono", 8000, [])
    traces.hear(StreamEvent(started, "one", "call", 1, 0.0))
    with capture_logs() as logs:
        assert traces.mark(message) is message
    assert [log["event"] for log in logs] == ["call not traced"]


class SlowExporter(SpanExporter):
    """Takes spans, and says nothing until it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.let.wait(5)
        return SpanExportResult.SUCCESS


async def test_spans_that_are_given_up_on_the_way_are_counted() -> None:
    exporter = SlowExporter()
    queue = SpanQueue(exporter)
    for _ in range(3):
        queue.on_end(ReadableSpan("call"))
    flushing = asyncio.create_task(queue.flush())
    await asyncio.to_thread(exporter.asked.wait, 5)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    exporter.let.set()
    assert queue.counts == {"exported": 0, "failed": 3, "dropped": 0}


def test_without_traces_nothing_is_imported_for_them() -> None:
    script = "import sys, sidecar.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
