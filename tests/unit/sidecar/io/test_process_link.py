"""The two ends of a link between processes, here in one."""

from __future__ import annotations

import asyncio
import socket

import pytest

from rtp import Codec
from sidecar.core.link import (
    BotConnected,
    BotText,
    CloseStream,
    FromWorker,
    SendText,
    StreamEnded,
    StreamStats,
    ToWorker,
    WorkerReady,
)
from sidecar.io.process_link import ProcessLink, read_first
from sidecar.io.worker_settings import WorkerSettings
from sidecar.io.worker_start import StartWorker


class Ends:
    """Control and worker, and what each has heard."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.at_control: list[FromWorker] = []
        self.at_worker: list[ToWorker] = []
        self.ended: list[str] = []
        self.control: ProcessLink[FromWorker] = ProcessLink(
            ours, FromWorker, on_message=self.at_control.append, on_closed=lambda why: self.ended.append("worker")
        )
        self.worker: ProcessLink[ToWorker] = ProcessLink(
            theirs, ToWorker, on_message=self.at_worker.append, on_closed=lambda why: self.ended.append("control")
        )

    def close(self) -> None:
        self.control.close()
        self.worker.close()


async def until_quiet(ends: Ends) -> None:
    """Let both ends read and write all there is."""
    before, turns = -1, 0
    while turns < 20:  # of the loop, in which nothing has happened
        now = sum(sum(end.counters.values()) for end in (ends.control, ends.worker))
        before, turns = now, turns + 1 if now == before else 0
        await asyncio.sleep(0)


async def test_a_burst_is_one_write() -> None:
    ends = Ends()
    burst = [CloseStream(f"s{number}") for number in range(300)]
    for message in burst:
        ends.control.send(message)
    await until_quiet(ends)
    assert ends.at_worker == burst
    assert ends.control.counters == {"sent": 300, "received": 0, "writes": 1, "dropped": 0}
    assert ends.worker.counters["received"] == 300
    ends.close()


async def test_both_ways_and_large_messages() -> None:
    ends = Ends()
    text = "x" * 3_000_000  # more than any socket buffer
    ends.worker.send(WorkerReady(40000))
    ends.worker.send(BotText("s", text))
    ends.worker.send(BotConnected("s"))
    ends.control.send(SendText("s", text))
    await until_quiet(ends)
    assert ends.at_control == [WorkerReady(40000), BotText("s", text), BotConnected("s")]
    assert ends.at_worker == [SendText("s", text)]
    assert ends.worker.counters["writes"] > 1
    ends.close()


async def test_who_finishes_is_still_told_what_the_other_has_to_say() -> None:
    ends = Ends()
    ends.control.send(CloseStream("s"))
    ends.control.finish()
    ends.control.send(CloseStream("nobody hears this"))
    await until_quiet(ends)
    assert (ends.at_worker, ends.ended) == ([CloseStream("s")], ["control"])
    ended = StreamEnded("s", StreamStats())
    ends.worker.send(ended)
    ends.worker.finish()
    await until_quiet(ends)
    assert (ends.at_control, ends.ended) == ([ended], ["control", "worker"])
    ends.control.finish()  # again, and too late
    ends.close()


async def test_the_end_of_the_other_side_is_told_once() -> None:
    ends = Ends()
    ends.worker.close()
    ends.control.send(CloseStream("s"))
    await until_quiet(ends)
    ends.control.send(CloseStream("s"))
    await until_quiet(ends)
    assert ends.ended == ["worker"]
    ends.close()


async def test_who_speaks_nonsense_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    ended = list[str]()
    link: ProcessLink[FromWorker] = ProcessLink(ours, FromWorker, on_message=print, on_closed=ended.append)
    theirs.send(b"\x00\x00\x00\x02\xc1\xc1")
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(ended) == 1
    assert theirs.recv(10) == b""
    link.close()
    theirs.close()


@pytest.mark.parametrize("descriptors", [None, (3, 4)])
def test_what_a_worker_is_told_first_survives_the_wire(descriptors: tuple[int, int] | None) -> None:
    start = StartWorker(3, WorkerSettings(codecs=(Codec.G722, Codec.OPUS)), "127.0.0.1", descriptors)

    async def send() -> None:
        link: ProcessLink[FromWorker] = ProcessLink(ours, FromWorker, on_message=print, on_closed=print)
        link.send(start)
        link.send(CloseStream("the next is not touched"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        link.close()

    ours, theirs = socket.socketpair()
    asyncio.run(send())
    with theirs:
        read = read_first(theirs, StartWorker)
        assert read.settings.codecs == [Codec.G722, Codec.OPUS]
        assert (read.worker, read.host, read.descriptors) == (3, "127.0.0.1", descriptors)
        assert theirs.recv(1000)
        with pytest.raises(EOFError):
            read_first(theirs, StartWorker)
