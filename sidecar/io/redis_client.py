"""How Redis is asked: never for ever, and with one kind of error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sidecar.core.directory import DirectoryError

ANSWER_SECONDS = 2.0


def open_redis(url: str) -> Redis:
    """Return a client that does not wait for ever, nor tries again by itself: the directory does.

    What the network swallowed is not sent again once nobody waits for its answer: it would undo what came after.
    """
    more: dict[str, Any] = {}
    if not url.startswith("unix:") and hasattr(socket, "TCP_USER_TIMEOUT"):
        more["socket_keepalive_options"] = {socket.TCP_USER_TIMEOUT: round(ANSWER_SECONDS * 1000)}
    return Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, protocol=2, **more)


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are done: the client may swallow it once, when it looks for stray bytes just then."""
    while going := [task for task in tasks if not task.done()]:
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=0.1)


async def answer(waited_for: Any) -> Any:
    """Return what Redis answers; raise `DirectoryError` if it does not, or cannot."""
    try:
        return await waited_for
    except (RedisError, OSError) as error:
        raise DirectoryError(f"Redis: {str(error) or type(error).__name__}") from None
