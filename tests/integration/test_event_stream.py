"""Events by Server-Sent Events, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from sidecar.api.event_stream import MOST_LISTENERS, Listeners
from sidecar.api.gate import Gate
from sidecar.api.server import HttpLimits
from sidecar.api.service import Service, running_service
from sidecar.core.access import AccessList
from sidecar.core.event_ring import EventRing
from sidecar.core.events import EVENT_KINDS
from sidecar.io.network import bound_socket
from tests.support.bots import Bot
from tests.support.live_call import live_call
from tests.support.ports import LOOPBACK
from tests.support.rest import ask, listening
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test


async def test_what_happens_to_a_call_is_told_in_order() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car:
        port = car.sidecar.api_port
        async with listening(port) as listener:
            assert "content-type: text/event-stream" in listener.head
            assert "cache-control: no-store" in listener.head
            async with live_call(car) as call:
                await bot.connected()
                await bot.send('{"hello": 1}')
                said = await listener.until("json")
                assert said.data["body"] == '{"hello": 1}'
                assert said.data["stream"] == call.stream
            stop = await listener.until("stop")
        async with listening(port, headers={"Last-Event-ID": stop.id.rpartition("-")[0] + "-0"}) as again:
            told = [await again.next() for _ in range(5)]
    assert [each.kind for each in told] == ["start", "connect", "json", "disconnect", "stop"]
    assert [each.data["sequence"] for each in told] == [1, 2, 3, 4, 5]
    assert set(told[0].data) == {"event", "stream", "call", "time", "sequence", "body"}
    assert told[-1] == stop


async def test_a_listener_that_comes_back_misses_nothing() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car, live_call(car):
        port = car.sidecar.api_port
        await bot.connected()
        async with listening(port) as listener:
            await bot.send("one")
            last = await listener.until("json")
        await bot.send("two")
        await bot.send("three")
        async with listening(port, headers={"Last-Event-ID": last.id}) as listener:
            assert [(await listener.until("json")).data["body"] for _ in range(2)] == ["two", "three"]


async def test_a_listener_hears_what_it_has_asked_for() -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car:
        async with live_call(car) as first, live_call(car):
            await bot.connected(2)
            port = car.sidecar.api_port
            query = f"?kind=json&kind=stop&stream={first.stream}"
            async with listening(port, query) as listener, listening(port) as everything:
                await bot.send("to both")
                await everything.until("json")
                await everything.until("json")
                assert (await ask(port, "POST", f"/v1/streams/{first.stream}/hangup")).status == 202
                told = [await listener.next(), await listener.next()]
    assert [(each.kind, each.data["stream"]) for each in told] == [("json", first.stream), ("stop", first.stream)]


async def test_an_unknown_kind_is_refused() -> None:
    async with sidecar_under_test(api={}) as car:
        reply = await ask(car.sidecar.api_port, "GET", "/v1/events?kind=strat")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "kind")
    assert all(kind in reply.json["errors"][0]["message"] for kind in EVENT_KINDS)


@pytest.mark.parametrize("id", ["0-1", "nonsense", "{}-999999"])
async def test_who_comes_back_from_another_life_is_told_that_it_has_missed_something(id: str) -> None:
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car, live_call(car):
        port = car.sidecar.api_port
        async with listening(port) as listener:
            await bot.send("x")
            epoch = (await listener.until("json")).id.rpartition("-")[0]
        async with listening(port, headers={"Last-Event-ID": id.format(epoch)}) as listener:
            assert (await listener.next()).kind == "missed"
            assert (await listener.next()).kind == "start"


@asynccontextmanager
async def bare_service(
    car: SidecarUnderTest, ring: EventRing, *, heart_beat: float = 15.0, limits: HttpLimits | None = None
) -> AsyncIterator[tuple[Service, int]]:
    """Run the interface around an event ring of the test's; return it and its port."""
    sock = bound_socket(LOOPBACK, 0, socket.SOCK_STREAM)
    gate = Gate(AccessList([]), requests_per_second=1000, open_metrics=False)
    listeners = Listeners(ring, heart_beat=heart_beat)
    async with running_service(sock, gate, car.sidecar.steering, listeners=listeners, limits=limits) as service:
        yield service, sock.getsockname()[1]


async def test_a_listener_that_hears_nothing_is_shown_that_we_live_and_how_far_we_are() -> None:
    ring = EventRing(epoch="test")
    async with sidecar_under_test() as car, bare_service(car, ring, heart_beat=0.05) as (service, port):
        async with listening(port, "?kind=stop") as listener:
            for _ in range(3):
                ring.publish("start", "s", b"{}")
                service.listeners.wake()
                await asyncio.sleep(0.03)
            await asyncio.sleep(0.2)
            ring.publish("stop", "s", b"{}")
            service.listeners.wake()
            await listener.next()
    assert "heart-beat" in listener.comments
    assert listener.last_id == "test-4"


async def test_a_listener_that_stops_reading_is_cut_and_counted_and_harms_nobody() -> None:
    ring, data = EventRing(epoch="test"), json.dumps("x" * 50_000).encode()
    limits = HttpLimits(stall_seconds=0.3)
    async with sidecar_under_test() as car, bare_service(car, ring, limits=limits) as (service, port):
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((LOOPBACK, port))
            deaf.sendall(f"GET /v1/events HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n".encode())
            async with listening(port) as listener:
                while len(service.listeners) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                sent = 0
                while service.server.counters.stalled == 0:
                    ring.publish("json", "s", data)
                    service.listeners.wake()
                    sent += 1
                    assert (await listener.next()).kind == "json"
                    await asyncio.sleep(0.01)
                while len(service.listeners) > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                ring.publish("stop", "s", b"{}")
                service.listeners.wake()
                assert (await listener.next()).kind == "stop"
    assert service.server.counters.stalled == 1
    assert sent < 1000


async def test_a_listener_that_is_slower_than_events_come_is_told_what_it_has_missed() -> None:
    ring = EventRing(epoch="test", most=10)
    async with sidecar_under_test() as car, bare_service(car, ring) as (service, port):
        async with listening(port) as listener:
            for number in range(1, 101):
                ring.publish("json", "s", str(number).encode())
            service.listeners.wake()
            missed = await listener.next()
            told = [(await listener.next()).data for _ in range(10)]
    assert (missed.kind, missed.id) == ("missed", "test-90")
    assert told == list(range(91, 101))
    assert service.listeners.counters.missed == 90


async def test_connections_that_ask_for_nothing_are_closed_and_only_so_many_are_taken() -> None:
    limits = HttpLimits(connections=2, request_seconds=0.2)
    async with (
        sidecar_under_test() as car,
        bare_service(car, EventRing(epoch="test"), limits=limits) as (service, port),
    ):
        silent = [await asyncio.open_connection(LOOPBACK, port) for _ in range(3)]
        silent[1][1].write(b"GET / HTTP/1.1\r\nHost: ")
        for reader, writer in silent:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        counters = service.server.counters
        assert (counters.refused, counters.slow) == (1, 2)
        idle = [await asyncio.open_connection(LOOPBACK, port) for _ in range(2)]
        assert (await ask(port, "GET", "/healthz")).status == 200  # who is idle gives way
        assert counters.refused == 2
        assert await asyncio.wait_for(idle[0][0].read(), 5) == b""
        for _, writer in idle:
            writer.close()
        async with listening(port), listening(port):
            with pytest.raises(ConnectionError):
                await ask(port, "GET", "/healthz")  # who is being answered does not
        while service.server.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with listening(port) as listener:  # one that was answered is not timed
            await asyncio.sleep(0.3)
            service.listeners.ring.publish("stop", "s", b"{}")
            service.listeners.wake()
            assert (await listener.next()).kind == "stop"


async def test_only_so_many_listen_and_the_end_of_the_interface_ends_them() -> None:
    async with sidecar_under_test() as car:
        async with bare_service(car, EventRing(epoch="test")) as (service, port):
            clients = [await asyncio.open_connection(LOOPBACK, port) for _ in range(MOST_LISTENERS)]
            for reader, writer in clients:
                writer.write(f"GET /v1/events HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n".encode())
                await reader.readuntil(b"id: test-0\n\n")
            refused = await ask(port, "GET", "/v1/events")
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            clients.pop()[1].transport.abort()
            while len(service.listeners) == MOST_LISTENERS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            metrics = (await ask(port, "GET", "/metrics")).body.decode()
            assert f"sidecar_event_listeners {MOST_LISTENERS - 1:.1f}" in metrics
            assert "sidecar_event_listeners_refused_total 1.0" in metrics
        for reader, writer in clients:
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
