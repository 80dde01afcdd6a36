"""Runs the whole sidecar in the loop of a test, on free ports of loopback; nothing may be left of its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sidecar.app import Sidecar, running_sidecar
from sidecar.settings import load_settings

QUICK_TIMERS = {"t1": 0.02, "t4": 0.1}
"""Seconds. A transaction lives for 64 T1: so a test can wait for its end."""


@dataclass(frozen=True, slots=True)
class SidecarUnderTest:
    """A running sidecar."""

    sidecar: Sidecar

    @property
    def address(self) -> str:
        """Where it takes calls, as host:port."""
        host, port = self.sidecar.sip_address
        return f"{host}:{port}"

    def uri(self, user: str = "bot") -> str:
        """The URI of a profile."""
        return f"sip:{user}@{self.address}"

    async def until_no_calls(self, *, within: float = 5.0) -> None:
        """Wait until nothing is left of any call but the transactions that answer retransmissions."""
        await _until(lambda: not self.sidecar.control.calls and self.sidecar.worker.idle, within)

    async def until_idle(self, *, within: float = 10.0) -> None:
        """Wait until nothing at all is left: no row, task, socket, dialog or transaction."""
        await _until(lambda: self.sidecar.idle, within)


async def _until(condition: Callable[[], bool], within: float) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  the product has no reason to tell of it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def sidecar_under_test(*, portable: bool = False, **settings: Any) -> AsyncIterator[SidecarUnderTest]:
    """Start a sidecar; at the end, without failure, require that all calls are over and all tasks ended."""
    before = asyncio.all_tasks()
    values = {
        **settings,
        "sip": {"port": 0, **QUICK_TIMERS, **settings.get("sip", {})},
        "rtp": {"port": 0, "portable": portable, **settings.get("rtp", {})},
    }
    async with running_sidecar(load_settings(values=values)) as sidecar:
        own = asyncio.all_tasks() - before
        under_test = SidecarUnderTest(sidecar)
        yield under_test
        await under_test.until_idle()
        left = [task for task in asyncio.all_tasks() - before - own if "_connect" in repr(task)]
        assert not left, left
