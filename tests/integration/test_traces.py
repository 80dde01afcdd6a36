"""Traces of real calls, exported over HTTP to a real receiver."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from sidecar.io.caller import CallPlan, place_call
from sip import SipUri
from tests.support.bots import Bot
from tests.support.live_call import SILENCE, live_call
from tests.support.ports import LOOPBACK
from tests.support.sidecar import sidecar_under_test


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
    assert [event.name for event in span.events] == ["connect", "answered", "disconnect"]
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


async def test_who_takes_no_spans_delays_nothing() -> None:
    async with Bot() as bot:
        traces = {"endpoint": f"http://{LOOPBACK}:9/v1/traces"}
        async with sidecar_under_test(api={}, stream={"url": bot.url}, traces=traces) as car:
            async with live_call(car):
                await bot.received(5)
            await car.until_no_calls()


def test_without_traces_nothing_is_imported_for_them() -> None:
    script = "import sys, sidecar.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
