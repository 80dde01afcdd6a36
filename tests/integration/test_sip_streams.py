"""SIP connections that are slow, mad, deaf or many: each is bounded and counted, and the others are unharmed."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from sidecar.io.network import bound_pair, bound_socket
from sidecar.io.sip_connection import ConnectionLimits, Ending
from sidecar.io.sip_driver import SipDriver
from sidecar.io.sip_streams import Refusal, SipStreams
from sip import CallEnded, CallRef, EndCause, Event, Request, Response, SipUri, StreamAddress, UserAgent
from tests.support.sip_messages import OFFER, request
from tests.support.sip_stream import SipStream, connected, listening

LOOPBACK = "127.0.0.1"


class Served:
    """A user agent on UDP and TCP."""

    def __init__(self, limits: ConnectionLimits, allows: Callable[[str], bool], address: tuple[str, int]) -> None:
        self.address = address
        self.events: list[Event] = []
        self.agent = UserAgent(contact=address, random=Random(1))
        self.driver: SipDriver[Event] = SipDriver(self.agent, self.events.append, limits=limits, allows=allows)

    @property
    def streams(self) -> SipStreams:
        return self.driver.streams

    async def until(self, condition: Callable[[], object], *, within: float = 5.0) -> None:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110  the driver has no reason to tell of it
                await asyncio.sleep(0.005)

    def invite(self, address: StreamAddress) -> CallRef:
        call = self.agent.invite(
            SipUri("h"),
            destination=address,
            from_uri=SipUri("h"),
            body=OFFER,
            now=asyncio.get_running_loop().time(),
        )
        self.driver.drain()
        return call


@contextlib.asynccontextmanager
async def served(
    *, host: str = LOOPBACK, allows: Callable[[str], bool] = lambda _host: True, **limits: float
) -> AsyncIterator[Served]:
    udp, tcp = bound_pair(host, 0)
    here = Served(ConnectionLimits(**limits), allows, (host, tcp.getsockname()[1]))  # type: ignore[arg-type]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: here.driver, sock=udp)
    here.streams.listen(tcp)
    try:
        yield here
    finally:
        transport.close()
        await asyncio.sleep(0)
        await here.until(lambda: not len(here.streams))


def options(number: int = 1) -> bytes:
    via = f"Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK-{number}"
    return request("OPTIONS", via=via, contact=None, call_id=f"call-{number}")


async def assert_alive(stream: SipStream, number: int = 99) -> None:
    stream.write(options(number))
    response = await stream.read()
    assert isinstance(response, Response)
    assert response.status == 200


@pytest.mark.parametrize("loop", ["uvloop", "portable"])
async def test_messages_are_answered_on_their_connection_and_pings_by_pongs(loop: str) -> None:
    async with served() as here:
        async with connected(here.address) as one, connected(here.address) as other:
            one.write(b"\r\n\r\n" + options(1) + options(2)[:50])
            assert await one.read_bytes(2) == b"\r\n"
            assert isinstance(await one.read(), Response)
            await assert_alive(other)
            one.write(options(2)[50:])
            response = await one.read()
            assert response.via.branch == "z9hG4bK-2"
            assert response.via.parameters.get("received") == LOOPBACK
            assert len(here.streams) == 2
        await here.until(lambda: not len(here.streams))
    assert here.streams.counters.ended == {Ending.CLOSED: 2}


@pytest.mark.parametrize("loop", ["uvloop", "portable"])
@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (b"x" * 70_000, Ending.TOO_LARGE),
        (b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 99999999\r\n\r\n", Ending.TOO_LARGE),
        (b"OPTIONS sip:h SIP/2.0\r\n\r\n", Ending.MALFORMED),
        (b"OPTIONS sip:h SIP/2.0\r\nContent-Length: x\r\n\r\n", Ending.MALFORMED),
    ],
    ids=["giant", "giant body", "no length", "bad length"],
)
async def test_a_stream_that_cannot_be_cut_into_messages_is_closed(loop: str, data: bytes, ending: Ending) -> None:
    async with served() as here, connected(here.address) as bad, connected(here.address) as good:
        await assert_alive(good, 1)
        bad.write(data)
        await bad.closed()
        assert here.streams.counters.ended == {ending: 1}
        await assert_alive(good, 2)


async def test_half_a_message_and_drops_of_one_and_silence_end_in_time() -> None:
    async with (
        served(message_seconds=0.5) as here,
        connected(here.address) as good,
        connected(here.address) as half,
        connected(here.address) as drops,
        connected(here.address) as silent,
    ):
        await assert_alive(good, 1)
        await assert_alive(half, 2)
        half.write(options(3)[:-10])
        loop = asyncio.get_running_loop()
        began = loop.time()
        while here.streams.counters.ended[Ending.TOO_SLOW] < 3 and loop.time() < began + 5:
            drops.write(b"x")
            await asyncio.sleep(0.05)
        for stream in (half, drops, silent):
            await stream.closed()
        await assert_alive(good, 4)
        assert here.streams.counters.ended == {Ending.TOO_SLOW: 3}


async def test_an_idle_connection_ends_and_pings_keep_one_up() -> None:
    async with served(idle_seconds=1.5) as here, connected(here.address) as idle, connected(here.address) as pinging:
        await assert_alive(idle, 1)
        for _ in range(12):
            pinging.write(b"\r\n\r\n")
            assert await pinging.read_bytes(2) == b"\r\n"
            await asyncio.sleep(0.25)
        await idle.closed()
        await assert_alive(pinging, 2)
        assert here.streams.counters.ended == {Ending.IDLE: 1}


@pytest.mark.parametrize("loop", ["uvloop", "portable"])
async def test_a_peer_that_does_not_read_loses_its_connection(loop: str) -> None:
    async with served(unsent_bytes=32 << 10) as here, connected(here.address) as good:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            event_loop = asyncio.get_running_loop()
            await event_loop.sock_connect(deaf, here.address)
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(10):
                    for number in range(100_000):
                        await event_loop.sock_sendall(deaf, options(1000 + number))
                        if here.streams.counters.ended:
                            break
            await here.until(lambda: here.streams.counters.ended)
            assert here.streams.counters.ended == {Ending.UNREAD: 1}
        await assert_alive(good)


async def test_a_thousand_connections_are_bounded_in_all_and_for_each_host() -> None:
    async with served(connections=300, of_one_host=200) as here, contextlib.AsyncExitStack() as stack:
        good = await stack.enter_async_context(connected(here.address, local_host="127.0.0.9"))
        await assert_alive(good, 1)
        many = [
            await stack.enter_async_context(connected(here.address, local_host=f"127.0.0.{2 + number % 2}"))
            for number in range(1000)
        ]
        counters = here.streams.counters
        await here.until(lambda: counters.accepted + counters.refused.total() == 1001)
        assert len(here.streams) == 300
        assert counters.accepted == 300
        assert counters.refused[Refusal.FULL] == 701
        await asyncio.gather(*(stream.closed() for stream in many[600:]))
        await assert_alive(good, 2)
        for stream in many:
            await stream.close()
        await here.until(lambda: len(here.streams) == 1)
        alone = [await stack.enter_async_context(connected(here.address)) for _ in range(250)]
        await here.until(lambda: counters.refused[Refusal.HOST_FULL] == 50)
        await assert_alive(alone[0], 3)
        await assert_alive(good, 4)


async def test_without_file_descriptors_it_waits_and_does_not_spin() -> None:
    async with served() as here, connected(here.address) as good:
        await assert_alive(good, 1)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        loop = asyncio.get_running_loop()
        with socket.socket() as late:
            late.connect(here.address)  # the system takes it, nobody has accepted it yet
            late.setblocking(False)
            with socket.socket() as lowest_free:
                limit = lowest_free.fileno()
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            try:
                here.invite(StreamAddress(LOOPBACK, 5060))
                await here.until(lambda: here.streams.accept_errors)
                await assert_alive(good, 2)
                await asyncio.sleep(0.2)
                assert here.streams.accept_errors == 1
                assert here.streams.counters.refused == {Refusal.NO_SOCKET: 1}
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await loop.sock_sendall(late, options(3))
            assert (await asyncio.wait_for(loop.sock_recv(late, 4096), 5)).startswith(b"SIP/2.0 200")


async def test_who_is_not_allowed_is_closed_without_a_word() -> None:
    async with served(allows=lambda host: host != "127.0.0.2") as here:
        async with connected(here.address, local_host="127.0.0.2") as stranger:
            stranger.write(options())
            assert await stranger.closed() == b""
        async with connected(here.address) as good:
            await assert_alive(good)
        assert here.streams.counters.refused == {Refusal.NOT_ALLOWED: 1}
        assert here.streams.counters.accepted == 1


@pytest.mark.parametrize("loop", ["uvloop", "portable"])
async def test_one_connection_is_opened_for_many_messages_and_used_again(loop: str) -> None:
    async with served() as here, listening() as peer:
        there = StreamAddress(LOOPBACK, peer.port)
        calls = [here.invite(there) for _ in range(3)]
        stream = await peer.next()
        invites = [await stream.read() for _ in calls]
        assert here.streams.counters.opened == 1
        assert {invite.via.port for invite in invites} == {here.address[1]}
        for invite in invites:
            assert isinstance(invite, Request)
            stream.write(bytes(Response.answering(invite, 486, to_tag="x")))
        acks = [await stream.read() for _ in calls]
        assert [ack.cseq.method for ack in acks] == ["ACK"] * 3
        assert [event.call for event in here.events if isinstance(event, CallEnded)] == calls
        here.events.clear()
        here.invite(there)
        await stream.read()
        await stream.close()
        await here.until(lambda: here.events)
        (ended,) = here.events
        assert isinstance(ended, CallEnded)
        assert ended.cause is EndCause.TIMEOUT
        here.invite(there)
        await (await peer.next()).read()
        assert here.streams.counters.opened == 2


@pytest.mark.parametrize("loop", ["uvloop", "portable"])
async def test_nobody_there_and_nothing_that_could_be_are_told_at_once(loop: str) -> None:
    with bound_socket(LOOPBACK, 0) as unused:
        port = unused.getsockname()[1]
    async with served(opening_seconds=0.5) as here:
        for number, address in enumerate(
            [
                StreamAddress(LOOPBACK, port),
                StreamAddress("no-address.example", 5060),
                StreamAddress(LOOPBACK, 0, connection=77),
            ],
            1,
        ):
            call = here.invite(address)
            await here.until(lambda number=number: len(here.events) == number)  # type: ignore[misc]
            ended = here.events[-1]
            assert isinstance(ended, CallEnded)
            assert (ended.call, ended.cause) == (call, EndCause.TIMEOUT)
        assert here.streams.counters.ended == {Ending.NOT_OPENED: 2}
        assert here.streams.counters.refused == {Refusal.NO_ADDRESS: 1}
        assert len(here.streams) == 0


async def test_a_response_whose_connection_is_gone_goes_to_the_port_of_the_via() -> None:
    async with served() as here, listening() as peer:
        async with connected(here.address) as caller:
            via = f"Via: SIP/2.0/TCP {LOOPBACK}:{peer.port};branch=z9hG4bK-1"
            caller.write(request(via=via, contact=peer.uri(), body=OFFER))
            assert isinstance(await caller.read(), Response)
        await here.until(lambda: not len(here.streams))
        (event,) = here.events
        here.agent.respond(event.call, 603, now=asyncio.get_running_loop().time())
        here.driver.drain()
        response = await (await peer.next()).read()
        assert isinstance(response, Response)
        assert response.status == 603


async def test_what_waits_for_a_connection_is_bounded() -> None:
    """The other side takes no more connections: its backlog is full, and the system does not answer."""
    with socket.socket() as full:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        await asyncio.sleep(0.05)
        async with served(unsent_bytes=20_000) as here:
            there = StreamAddress(*full.getsockname())
            for _ in range(30):
                here.driver.send(bytes(1000), there)
            assert here.streams.counters.ended == {Ending.UNREAD: 1}
            assert here.streams.counters.opened == 2
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("loop", ["uvloop", "portable"])
async def test_both_families_on_one_socket(loop: str) -> None:
    seen: list[str] = []

    def allows(host: str) -> bool:
        seen.append(host)
        return True

    async with served(host="::", allows=allows) as here:
        port = here.address[1]
        for host in ("127.0.0.1", "::1"):
            async with connected((host, port)) as stream:
                await assert_alive(stream, len(host))
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.setblocking(False)
                event_loop = asyncio.get_running_loop()
                await event_loop.sock_connect(udp, (host, port))
                via = f"Via: SIP/2.0/UDP [{host}]:5;rport;branch=z9hG4bK-5{len(host)}"
                await event_loop.sock_sendall(
                    udp, request("OPTIONS", via=via.replace("[127.0.0.1]", "h"), call_id=host)
                )
                answer = await asyncio.wait_for(event_loop.sock_recv(udp, 4096), 5)
                assert f";received={host}".encode() in answer.replace(b"[", b"").replace(b"]", b"")
        assert seen == ["127.0.0.1", "::1"]
