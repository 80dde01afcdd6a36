"""Both kinds of readiness tell the same."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable

import pytest

from sidecar.io import readiness as module
from sidecar.io.datagrams import BATCH
from sidecar.io.readiness import EpollReadiness, LoopReadiness, Readiness, open_readiness

pytestmark = [
    pytest.mark.parametrize("kind", [EpollReadiness, LoopReadiness]),
    pytest.mark.parametrize("loop", ["uvloop", "portable"]),
]

Kind = Callable[[asyncio.AbstractEventLoop], Readiness]


class Watched:
    """One end of a pair of sockets, and what was told of it."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.read: list[bytes] = []
        self.writable = 0
        self.pieces = 1  # that each read brings
        self.then: Callable[[], None] = lambda: None

    def fileno(self) -> int:
        return self.near.fileno()

    def on_readable(self) -> int:
        self.read.append(self.near.recv(100))
        self.then()
        return self.pieces

    def on_writable(self) -> None:
        self.writable += 1
        self.then()

    def close(self) -> None:
        self.near.close()
        self.far.close()


async def turns() -> None:
    """Let the loop see all that is ready."""
    for _ in range(5):
        await asyncio.sleep(0.002)


async def test_each_is_told_of_its_own_socket(kind: Kind, loop: str) -> None:
    readiness, sources = kind(asyncio.get_running_loop()), [Watched() for _ in range(3)]
    for source in sources:
        readiness.add(source)
    for number in (0, 2):
        sources[number].far.send(b"%d" % number)
    await turns()
    assert [source.read for source in sources] == [[b"0"], [], [b"2"]]
    assert [source.writable for source in sources] == [0, 0, 0]
    sources[1].far.close()
    await turns()
    assert sources[1].read[:1] == [b""]
    for source in sources:
        readiness.remove(source)
        source.close()
    readiness.close()


async def test_room_to_write_is_told_only_while_it_is_wanted(kind: Kind, loop: str) -> None:
    readiness, source = kind(asyncio.get_running_loop()), Watched()
    readiness.add(source)
    readiness.watch_write(source, True)
    await turns()
    assert source.writable
    readiness.watch_write(source, False)
    told = source.writable
    source.far.send(b"x")
    await turns()
    assert (source.writable, source.read) == (told, [b"x"])
    readiness.remove(source)
    source.close()
    readiness.close()


async def test_a_source_that_is_removed_in_the_same_batch_is_told_nothing(kind: Kind, loop: str) -> None:
    readiness, first, second = kind(asyncio.get_running_loop()), Watched(), Watched()
    for source, other in ((first, second), (second, first)):
        readiness.add(source)
        source.then = lambda other=other: readiness.remove(other)  # type: ignore[misc]
        source.far.send(b"x")
    await turns()
    assert len(first.read) + len(second.read) == 1
    for source in (first, second):
        if source.read:
            readiness.remove(source)
        source.close()
    readiness.close()


async def test_after_the_end_nobody_is_told_anything(kind: Kind, loop: str) -> None:
    readiness, source = kind(asyncio.get_running_loop()), Watched()
    readiness.add(source)
    readiness.watch_write(source, True)
    readiness.close()
    source.far.send(b"x")
    await turns()
    assert (source.read, source.writable) == ([], 0)
    source.close()


async def test_the_portable_kind_is_what_it_says(kind: Kind, loop: str) -> None:
    readiness = open_readiness(asyncio.get_running_loop(), portable=kind is LoopReadiness)
    assert type(readiness) is (kind if hasattr(select, "epoll") else LoopReadiness)
    readiness.close()


async def test_of_a_batch_all_that_can_be_read_are_told_in_time(kind: Kind, loop: str) -> None:
    readiness, sources = kind(asyncio.get_running_loop()), [Watched() for _ in range(20)]
    for source in sources:
        readiness.add_to_batch(source)
    for text in (b"1", b"2", b"3"):
        for source in sources:
            source.far.send(text)
        await turns()
    sources[3].far.send(b"alone")
    await turns()
    assert [source.read for source in sources] == [
        [b"1", b"2", b"3", *([b"alone"] if number == 3 else [])] for number in range(20)
    ]
    for source in sources:
        readiness.remove(source)
        source.close()
    readiness.close()


async def test_a_batch_that_rests_may_be_looked_at_before_its_time(kind: Kind, loop: str) -> None:
    readiness, sources = kind(asyncio.get_running_loop()), [Watched() for _ in range(20)]
    told = asyncio.Event()
    for source in sources:
        readiness.add_to_batch(source)
        source.far.send(b"1")
    sources[0].then = told.set
    await told.wait()
    sources[0].then = lambda: None
    for source in sources:
        source.far.send(b"2")
    readiness.look_at_batch()
    if kind is LoopReadiness:  # which never rests
        await turns()
    assert [source.read for source in sources] == [[b"1", b"2"]] * 20
    readiness.close()
    for source in sources:
        source.close()


@pytest.mark.parametrize("pieces", [1, BATCH - 1, BATCH])
async def test_after_much_is_a_pause_unless_there_was_more_than_a_read_brings(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, loop: str, pieces: int
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 60.0)
    readiness, source = kind(asyncio.get_running_loop()), Watched()
    source.pieces = pieces
    readiness.add(source)
    for text in (b"1", b"2"):
        source.far.send(text)
        await turns()
    rests = kind is EpollReadiness and pieces == BATCH - 1
    assert source.read == ([b"1"] if rests else [b"1", b"2"])
    readiness.close()
    source.close()


async def test_a_mistake_in_a_busy_moment_leaves_nobody_unwatched(kind: Kind, loop: str) -> None:
    def fail() -> None:
        sources[0].then = lambda: None
        raise ZeroDivisionError

    running, mistakes = asyncio.get_running_loop(), list[str]()
    running.set_exception_handler(lambda _, context: mistakes.append(repr(context.get("exception"))))
    readiness, sources = kind(running), [Watched() for _ in range(20)]
    for source in sources:
        readiness.add(source)
    for text in (b"1", b"2", b"3"):
        for source in sources:
            source.far.send(text)
        await turns()
        sources[0].then = fail if text == b"1" else sources[0].then
    await turns()
    assert [b"".join(source.read) for source in sources] == [b"123"] * 20
    assert mistakes == ["ZeroDivisionError()"]
    readiness.close()
    for source in sources:
        source.close()
