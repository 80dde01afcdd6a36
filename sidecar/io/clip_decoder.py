"""Decodes clips beside the media loop, in a process of its own (docs/adr/0020)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Self

import msgspec

from sidecar.core.clip import Clip, ClipError
from sidecar.io.clip_jobs import LENGTH_BYTES, ClipAnswer, ClipDone, ClipJob, framed

_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


class ClipDecoder:
    """One process, started with the first clip; clips wait for each other, those of one stream stay in order.

    A clip that crashes or hangs the process ends alone: the next one gets a new process.
    """

    def __init__(
        self,
        *,
        most_waiting: int = 256,
        most_seconds: float = 600.0,
        most_cpu_seconds: float = 10.0,
        silence: float = 10.0,
    ) -> None:
        """Bound how many clips wait, seconds of audio and of work for each, and seconds without a sign of life."""
        self.restarts = 0
        self.refused = 0
        self._most_waiting = most_waiting
        self._most_seconds = most_seconds
        self._most_cpu_seconds = most_cpu_seconds
        self._silence = silence
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._started: asyncio.Task[Process] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process."""
        await self._end()

    async def decode(
        self, stream: str, clip: Clip, rate: int, *, wanted: Callable[[], bool] = lambda: True
    ) -> AsyncGenerator[bytes, None]:
        """Yield L16 little-endian, mono, at `rate`, while more of it is being decoded.

        Nothing comes of what is not `wanted` any more when its turn has come. Raise `ClipError` where it cannot go on.
        To stop early, close the generator; that ends the process.
        """
        if self._waiting >= self._most_waiting:
            self.refused += 1
            raise ClipError("too many clips wait to be decoded")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        if not wanted():
            self._turn.release()
            return
        done = False
        try:
            job = ClipJob(stream, clip, rate, self._most_seconds, self._most_cpu_seconds)
            process = await self._running()
            sending = asyncio.create_task(_send(process, framed(job)))
            try:
                while True:
                    answer = await self._receive(process)
                    if isinstance(answer, ClipDone):
                        break
                    yield answer.pcm
            finally:
                sending.cancel()
            done = True
        finally:
            if not done:  # it crashed, hangs, or is at work on what nobody waits for any more
                await self._end()
            self._turn.release()
        if answer.error is not None:
            self.refused += 1
            raise ClipError(answer.error)

    async def _receive(self, process: Process) -> ClipAnswer:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._silence):
                head = await process.stdout.readexactly(LENGTH_BYTES)
                data = await process.stdout.readexactly(int.from_bytes(head))
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            self.refused += 1
            why = "takes too long to decode" if isinstance(error, TimeoutError) else "broke the decoder"
            raise ClipError(f"audioData: {why}") from None
        answer: ClipAnswer = msgspec.msgpack.decode(data, type=ClipAnswer)
        return answer

    async def _running(self) -> Process:
        """Return the process; who is cancelled while it starts leaves it to `_end`, not to nobody."""
        if self._started is None or (self._started.done() and self._started.result().returncode is not None):
            self.restarts += 1
            self._started = asyncio.ensure_future(_start())
        try:
            return await asyncio.shield(self._started)
        except OSError:
            self._started = None
            raise

    async def _end(self) -> None:
        started, self._started = self._started, None
        if started is None:
            return
        with contextlib.suppress(OSError):  # it never came to be, or is over
            process = await started
            process.kill()
            await process.wait()


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sidecar.io.clip_process",
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},  # no secrets
    )


async def _send(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):  # reading will tell
        process.stdin.write(data)
        await process.stdin.drain()
