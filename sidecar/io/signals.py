"""How a command is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def stop_signal() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM or SIGINT sets."""
    stopped = asyncio.Event()
    _on_signal(stopped.set)
    return stopped


def stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return events of the running loop: the first SIGTERM or SIGINT sets one, the second both."""
    asked, insisted = asyncio.Event(), asyncio.Event()
    _on_signal(lambda: insisted.set() if asked.is_set() else asked.set())
    return asked, insisted


def _on_signal(do: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, do)
