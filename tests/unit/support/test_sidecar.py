"""What is left behind is found."""

from __future__ import annotations

import asyncio
import select
import socket
from pathlib import Path

import pytest

from tests.support.sidecar import open_descriptors, sidecar_under_test, until_nothing_is_left

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")


@pytest.mark.parametrize("portable", [False, True], ids=["batched", "portable"])
async def test_a_sidecar_that_did_nothing_leaves_nothing(portable: bool) -> None:
    async with sidecar_under_test(portable=portable):
        pass


async def test_a_task_that_is_left_is_found() -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
    with pytest.raises(AssertionError, match="forgotten"):
        await until_nothing_is_left(before, open_descriptors(), within=0.05)
    task.cancel()
    await until_nothing_is_left(before, open_descriptors())


@needs_proc
async def test_a_socket_that_is_left_is_found() -> None:
    descriptors = open_descriptors()
    with socket.socket() as forgotten:
        with pytest.raises(AssertionError, match=f"{forgotten.fileno()} socket:"):
            await until_nothing_is_left(asyncio.all_tasks(), descriptors, within=0.05)
    await until_nothing_is_left(asyncio.all_tasks(), descriptors)


@needs_proc
async def test_an_epoll_set_that_is_left_is_found() -> None:
    descriptors = open_descriptors()
    with select.epoll():
        with pytest.raises(AssertionError, match="eventpoll"):
            await until_nothing_is_left(asyncio.all_tasks(), descriptors, within=0.05)


@needs_proc
async def test_a_socket_that_a_sidecar_leaves_fails_its_test() -> None:
    forgotten: list[socket.socket] = []
    with pytest.raises(AssertionError, match="left behind"):
        async with sidecar_under_test():
            forgotten.append(socket.socket())
    forgotten[0].close()
