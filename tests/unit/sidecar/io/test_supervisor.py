from __future__ import annotations

import asyncio
from random import Random

import pytest
from structlog.testing import capture_logs

from sidecar.io.supervisor import Supervisor


async def test_what_ends_by_a_mistake_is_begun_again_told_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.core.backoff.FIRST", 0.001)
    supervisor, ends = Supervisor(Random(1)), [KeyError("first"), ExceptionGroup("second", [ValueError()]), None]

    async def run() -> None:
        if (error := ends.pop(0)) is not None:
            raise error

    with capture_logs() as logs:
        await supervisor.keep("a task", run)
    assert ends == []
    assert supervisor.failures == {"a task": 2}
    assert [(log["event"], log["task"], log["exc_info"]) for log in logs] == [("task failed", "a task", True)] * 2


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
