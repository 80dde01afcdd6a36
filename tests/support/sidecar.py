"""Runs the whole sidecar in the loop of a test, on free ports of loopback; nothing may be left of its calls."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sidecar import app
from sidecar.app import Sidecar, running_sidecar
from sidecar.io.readiness import EpollReadiness, LoopReadiness
from sidecar.settings import load_settings
from sip import SipUri

PRODUCT = str(Path(app.__file__).parent)

QUICK_TIMERS = {"t1": 0.02, "t4": 0.1}
"""Seconds. A transaction lives for 64 T1: so a test can wait for its end."""


@dataclass(frozen=True, slots=True)
class SidecarUnderTest:
    """A running sidecar."""

    sidecar: Sidecar

    @property
    def address(self) -> str:
        """Where it takes calls, as host:port."""
        return str(SipUri(*self.sidecar.sip_address)).removeprefix("sip:")

    def uri(self, user: str = "bot", transport: Literal["udp", "tcp", "tls"] = "udp") -> str:
        """The URI of a profile."""
        host, port = self.sidecar.sip_address
        address = SipUri(host, self.sidecar.tls_port if transport == "tls" else port, user)
        return str(address) if transport == "udp" else f"{address};transport={transport}"

    async def until_no_calls(self, *, within: float = 5.0) -> None:
        """Wait until nothing is left of any call but the transactions that answer retransmissions."""
        await _until(lambda: not self.sidecar.control.calls and self.sidecar.worker.idle, within)

    async def until_no_bye_is_open(self, *, within: float = 5.0) -> None:
        """Wait until each BYE is answered, or has come to nothing."""
        await _until(lambda: not self.sidecar.agent.open_calls, within)

    async def until_idle(self, *, within: float = 10.0) -> None:
        """Wait until nothing at all is left: no row, task, socket, dialog or transaction."""
        await _until(lambda: self.sidecar.idle, within)


async def _until(condition: Callable[[], bool], within: float) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  the product has no reason to tell of it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def sidecar_under_test(*, portable: bool = False, **settings: Any) -> AsyncIterator[SidecarUnderTest]:
    """Start a sidecar, and stop it. Without failure, require that nothing is left of its calls, then nothing of it.

    What a test opens in the block must be closed in it, and what its bots have of a call must end with the call.
    """
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    values = {
        "workers": 0,
        "max_late_ms": 0,  # a machine that tests in parallel is late
        **settings,
        "sip": {"port": 0, "tls_port": 0, **QUICK_TIMERS, **settings.get("sip", {})},
        "rtp": {"port": 0, "portable": portable, **settings.get("rtp", {})},
        "api": {"enabled": "api" in settings, "port": 0, **settings.get("api", {})},
    }
    async with no_mistakes(), running_sidecar(load_settings(values=values)) as sidecar:
        own = asyncio.all_tasks() - tasks
        under_test = SidecarUnderTest(sidecar)
        yield under_test
        await under_test.until_idle()
        own_sockets = 2 if sidecar.rtp_port else 0
        assert watched_sources(sidecar) == own_sockets, "more is watched than the sockets of RTP and RTCP"
        left = [task for task in asyncio.all_tasks() - tasks - own if "MediaWorker" in repr(task)]
        assert not left, left
    await until_nothing_is_left(tasks, descriptors)


@asynccontextmanager
async def no_mistakes() -> AsyncIterator[None]:
    """Fail if a callback of the product has raised anything, which the event loop would only log."""
    loop, found = asyncio.get_running_loop(), list[str]()

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        where = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
        if PRODUCT in where:
            found.append(where)
        loop.default_exception_handler(context)

    loop.set_exception_handler(note)
    yield
    assert not found, "\n".join(found)


async def until_nothing_is_left(
    tasks: set[asyncio.Task[Any]], descriptors: frozenset[str], *, within: float = 3.0
) -> None:
    """Wait until there are no tasks, sockets and epoll sets but those given; fail if there are."""

    def left() -> list[object]:
        return [*(asyncio.all_tasks() - tasks), *(open_descriptors() - descriptors)]

    try:
        await _until(lambda: not left(), within)
    except TimeoutError:
        raise AssertionError(f"left behind: {left()}") from None


def open_descriptors() -> frozenset[str]:
    """Return the sockets and epoll sets of this process, each by number and inode; nothing where there is no /proc.

    Pipes do not count: event loops open some with the first subprocess, and keep them.
    """
    directory = Path("/proc/self/fd")
    if not directory.exists():
        return frozenset()
    found = set()
    for entry in list(directory.iterdir()):
        try:
            target = os.readlink(entry)
        except FileNotFoundError:  # the one that the directory was read with
            continue
        if target.startswith("socket:") or target == "anon_inode:[eventpoll]":
            found.add(f"{entry.name} {target}")
    return frozenset(found)


def watched_sources(sidecar: Sidecar) -> int:
    """Return how many sockets the media worker watches."""
    readiness = sidecar.worker._readiness
    if isinstance(readiness, EpollReadiness):
        return len(readiness._sources)
    assert isinstance(readiness, LoopReadiness)
    return len(readiness._fds)
