"""One read of each socket: what came, what has not, and what has ended."""

from __future__ import annotations

import asyncio
import socket

from sidecar.core.bot_connection import BotConnection
from sidecar.core.outbox import Outbox
from sidecar.io.bot_inputs import BotInputs
from sidecar.io.bot_lane import SocketLane
from sidecar.io.readiness import LoopReadiness
from tests.unit.sidecar.io.test_bot_lane import connected


def lane_of(sock: socket.socket, connection: BotConnection) -> SocketLane:
    sock.setblocking(False)
    lane = SocketLane(connection, Outbox(1000), LoopReadiness(asyncio.get_running_loop()), read_bytes=100)
    lane._socket = sock
    lane.read_into = sock.recv_into
    return lane


async def test_each_is_read_once_and_what_came_is_given_to_it() -> None:
    pairs, inputs = [socket.socketpair() for _ in range(5)], BotInputs()
    opened = [connected() for _ in pairs]
    lanes = [lane_of(near, connection) for (near, _), (connection, _) in zip(pairs, opened, strict=True)]
    said = [bytes(range(20)), b"", b"", bytes(500), bytes(96)]
    for (_, far), (_, bot), audio in zip(pairs, opened, said, strict=True):
        if audio:
            bot.send_binary(audio)
            far.sendall(b"".join(bot.data_to_send()))
    pairs[2][1].close()
    pairs[3][0].shutdown(socket.SHUT_WR)
    inputs.read(lanes)
    assert inputs.lengths.tolist() == [22, -1, 0, 100, 98]
    for at, lane in enumerate(lanes):
        inputs.give(at, lane)
    assert [b"".join(connection.take_audio()) for connection, _ in opened] == said
    assert [connection.is_over for connection, _ in opened] == [False, False, True, False, False]
    pairs[0][0].close()
    inputs.read(lanes[:1])
    assert inputs.lengths.tolist() == [0], "a socket that is broken has ended"
    for near, far in pairs:
        near.close()
        far.close()
