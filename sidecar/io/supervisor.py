"""What goes on beside calls, and must neither end for good nor end them when we have made a mistake in it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import structlog

from sidecar.core.backoff import Backoff

log = structlog.get_logger("sidecar")


class Supervisor:
    """Keeps tasks going."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.failures: dict[str, int] = {}  # by the name of the task

    async def keep(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task until it is done or cancelled; when a mistake of ours ends it, begin it again, ever later."""
        loop, backoff = asyncio.get_running_loop(), Backoff(self._random, give_up_after=math.inf)
        while True:
            backoff.connected(now=loop.time())
            work = asyncio.create_task(run())  # of its own: a mistake in it must not hide that we are cancelled
            try:
                await asyncio.wait([work])
            finally:
                work.cancel()
                await asyncio.wait([work])
                again = backoff.lost(now=loop.time())
                assert again is not None, "it is never given up"
                error = None if work.cancelled() else work.exception()
                if error is not None:
                    self.failures[name] = self.failures.get(name, 0) + 1
                    log.error("task failed", task=name, again_in=round(again - loop.time(), 2), exc_info=error)
            if error is None:
                return
            await asyncio.sleep(again - loop.time())
