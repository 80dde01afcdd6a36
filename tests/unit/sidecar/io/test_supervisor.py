from __future__ import annotations

import asyncio
from random import Random

import pytest
from structlog.testing import capture_logs

from sidecar.io.supervisor import Supervisor


async def test_what_ends_by_a_mistake_is_begun_again_told_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.core.backoff.FIRST", 0.001)
    mistakes = [KeyError("first"), ExceptionGroup("second", [ValueError()])]
    supervisor, ends = Supervisor(Random(1)), [*mistakes, None]

    async def run() -> None:
        if (error := ends.pop(0)) is not None:
            raise error

    with capture_logs() as logs:
        await supervisor.keep("a task", run)
    assert ends == []
    assert supervisor.failures == {"a task": 2}
    assert [(log["event"], log["task"]) for log in logs] == [("task failed", "a task")] * 2
    assert [log["exc_info"] for log in logs] == mistakes


async def test_what_is_cancelled_has_ended() -> None:
    supervisor, begun = Supervisor(Random(1)), asyncio.Event()

    async def run() -> None:
        begun.set()
        await asyncio.Future()

    task = asyncio.create_task(supervisor.keep("a task", run))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert supervisor.failures == {}


async def test_what_makes_a_mistake_as_it_is_cancelled_has_ended() -> None:
    supervisor, begun = Supervisor(Random(1)), asyncio.Event()

    async def fail() -> None:
        begun.set()
        try:
            await asyncio.Future()
        finally:
            raise KeyError

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:  # which raises that error, and no CancelledError
            tasks.create_task(fail())

    with capture_logs() as logs:
        task = asyncio.create_task(supervisor.keep("a task", run))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
    assert supervisor.failures == {"a task": 1}
    assert [log["event"] for log in logs] == ["task failed"]
