"""What a lane writes is whole frames in order, however little the wire takes at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from sidecar.core.bot_connection import BotConnection, Closed, Failed, Opened
from sidecar.core.outbox import Outbox
from sidecar.io.bot_lane import BotLane, SocketLane, send_frames
from sidecar.io.readiness import EpollReadiness, LoopReadiness, Readiness

CAPACITY = 4000  # bytes of audio that wait


class NarrowLane(BotLane):
    """A lane whose wire takes as many bytes as it has `room`."""

    def __init__(self, connection: BotConnection, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.room = 0
        self.written = b""
        self.waiting = False
        self.socket_closed = 0

    def _write(self, data: bytes) -> int:
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.written += taken
        return len(taken)

    def _wait_to_write(self, waiting: bool) -> None:
        self.waiting = waiting

    def _part(self, rest: bytes, on_end: Callable[[], None]) -> None:
        self.written += rest

    def _close_socket(self) -> None:
        self.socket_closed += 1


def connected() -> tuple[BotConnection, ServerProtocol]:
    """Return a connection whose handshake is done, and its bot."""
    connection, bot = BotConnection("ws://bot.example/", headers={}), ServerProtocol(max_size=None)
    connection.connect()
    for data in connection.data_to_send():
        bot.receive_data(data)
    (request,) = bot.events_received()
    assert isinstance(request, Request)
    bot.send_response(bot.accept(request))
    connection.receive_data(b"".join(bot.data_to_send()))
    assert connection.take_events() == [Opened()]
    return connection, bot


def audio(number: int, size: int) -> bytes:
    """Build a masked frame that can be told from the others."""
    return Frame(Opcode.BINARY, number.to_bytes(2) * size).serialize(mask=True)


def heard(bot: ServerProtocol, data: bytes) -> tuple[list[str], list[int]]:
    """Let the bot read; return the texts, and the numbers of the audio frames."""
    bot.receive_data(data)
    assert bot.parser_exc is None
    frames = [event for event in bot.events_received() if isinstance(event, Frame)]
    texts = [bytes(frame.data).decode() for frame in frames if frame.opcode is Opcode.TEXT]
    numbers = []
    for frame in frames:
        if frame.opcode is Opcode.BINARY:
            number = bytes(frame.data[:2])
            assert frame.data == number * (len(frame.data) // 2)
            numbers.append(int.from_bytes(number))
    return texts, numbers


STEPS = st.one_of(
    st.tuples(st.just("audio"), st.integers(1, 400)),
    st.tuples(st.just("room"), st.integers(0, 1500)),
    st.tuples(st.just("text"), st.just(0)),
    st.tuples(st.just("start"), st.just(0)),
)


@given(st.lists(STEPS, max_size=60))
def test_frames_stay_whole_and_in_order_and_what_is_lost_is_counted(steps: list[tuple[str, int]]) -> None:
    connection, bot = connected()
    lane = NarrowLane(connection, Outbox(CAPACITY))
    sent, texts, started = 0, 0, False
    for step, value in [*steps, ("start", 0)]:
        if step == "audio":
            lane.send_audio(audio(sent, value))
            sent += 1
        elif step == "room":
            lane.room = value
            lane.pump()
        elif step == "text" and started:
            connection.send_text(f"text {texts}")
            texts += 1
            lane.flush()
        elif step == "start" and not started:
            started = True
            lane.start("metadata")
        assert lane.outbox.audio_bytes <= CAPACITY
        assert not started or lane.waiting or not lane.outbox, "something waits, and nobody will write it"
    lane.room = 1 << 20
    lane.pump()
    assert not lane.waiting
    read, numbers = heard(bot, lane.written)
    assert read == ["metadata", *(f"text {number}" for number in range(texts))]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + lane.outbox.dropped == sent


def test_of_audio_that_waits_the_newest_is_kept() -> None:
    connection, bot = connected()
    lane = NarrowLane(connection, Outbox(CAPACITY))
    lane.start(None)
    for number in range(10):
        lane.send_audio(audio(number, 500))  # 1008 bytes each
    lane.room = 1 << 20
    lane.pump()
    assert heard(bot, lane.written) == ([], [7, 8, 9])
    assert lane.outbox.dropped == 7


def test_a_frame_of_which_a_part_is_written_is_finished_first() -> None:
    connection, bot = connected()
    lane = NarrowLane(connection, Outbox(CAPACITY))
    lane.start(None)
    lane.room = 100
    for number in range(10):
        lane.send_audio(audio(number, 500))
    lane.room = 1 << 20
    lane.pump()
    assert heard(bot, lane.written) == ([], [0, 7, 8, 9])


def test_nothing_is_written_after_the_end_and_the_socket_is_closed_once() -> None:
    connection, _ = connected()
    lane = NarrowLane(connection, Outbox(CAPACITY))
    lane.start(None)
    lane.room = 1 << 20
    lane.close()
    lane.close()
    lane.send_audio(audio(0, 10))
    lane.pump()
    assert (lane.written, lane.socket_closed) == (b"", 1)


@pytest.mark.parametrize("kind", [EpollReadiness, LoopReadiness])
@pytest.mark.parametrize("loop", ["uvloop", "portable"])
async def test_a_socket_that_is_full_is_written_on_when_there_is_room(kind: type[Readiness], loop: str) -> None:
    async with SocketRig(kind) as rig:
        rig.lane.start("metadata")
        for number in range(0, 400, 2):
            send_frames([rig.lane, rig.lane], [audio(number, 2000), audio(number + 1, 2000)])
        assert rig.lane.outbox, "the socket took it all: nothing is tested"
        data = b""
        async with asyncio.timeout(10):
            while rig.lane.outbox:
                data += await rig.loop.sock_recv(rig.far, 10_000)
        rig.far.setblocking(True)
        rig.far.settimeout(0.1)
        while True:
            try:
                data += rig.far.recv(1 << 20)
            except TimeoutError:
                break
        texts, numbers = heard(rig.bot, data)
    assert texts == ["metadata"]
    assert numbers == list(range(400))


@pytest.mark.parametrize("kind", [EpollReadiness, LoopReadiness])
@pytest.mark.parametrize("loop", ["uvloop", "portable"])
async def test_a_socket_gives_what_it_reads_to_its_connection_until_the_end(kind: type[Readiness], loop: str) -> None:
    async with SocketRig(kind) as rig:
        said = bytes(range(200)) * 1000
        rig.bot.send_binary(said)
        rig.bot.send_text(b"hello")
        rig.bot.send_close(1000)
        await rig.loop.sock_sendall(rig.far, b"".join(rig.bot.data_to_send()))
        read = []
        async with asyncio.timeout(10):
            while not rig.connection.is_over:
                await rig.input.wait()
                rig.input.clear()
                read += rig.connection.take_audio()
                rig.lane.flush()
        read += rig.connection.take_audio()
        assert b"".join(read) == said
        assert any(isinstance(event, Closed) for event in rig.connection.take_events())


@pytest.mark.parametrize("kind", [EpollReadiness, LoopReadiness])
async def test_a_socket_that_is_cut_off_is_the_end(kind: type[Readiness]) -> None:
    async with SocketRig(kind) as rig:
        rig.far.close()
        async with asyncio.timeout(10):
            await rig.input.wait()
        assert rig.connection.is_over
        assert any(isinstance(event, Failed) for event in rig.connection.take_events())
        rig.lane.start(None)
        rig.lane.send_audio(audio(0, 100))  # into a broken pipe


def test_who_parts_says_goodbye_and_nothing_else() -> None:
    connection, bot = connected()
    lane = NarrowLane(connection, Outbox(CAPACITY))
    lane.start(None)
    lane.send_audio(audio(0, 10))
    connection.refuse("too many texts")
    lane.flush()
    lane.part(lambda: None)
    lane.room = 1 << 20
    lane.send_audio(audio(1, 10))
    lane.pump()
    assert heard(bot, lane.written) == ([], [0])  # which had begun
    assert bot.close_rcvd is not None
    assert bot.close_rcvd.code == 1008
    lane.close()
    assert lane.socket_closed == 1


class SocketRig:
    """A `SocketLane` on one end of a pair of sockets that hold little; the bot has the other end, `far`."""

    def __init__(self, kind: type[Readiness]) -> None:
        self._kind = kind

    async def __aenter__(self) -> SocketRig:
        self.loop = asyncio.get_running_loop()
        self.connection, self.bot = connected()
        near, self.far = socket.socketpair()
        for sock in (near, self.far):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.readiness: Readiness = self._kind(self.loop)  # type: ignore[call-arg]  # a protocol has none
        self.lane = SocketLane(self.connection, Outbox(10_000_000), self.readiness)
        self.lane._socket = near
        self.readiness.add(self.lane)
        self.input = asyncio.Event()
        self.lane.on_input = self.input.set
        return self

    async def __aexit__(self, *_: object) -> None:
        self.lane.close()
        self.readiness.close()
        self.far.close()
