"""A media worker in a process of its own, as control sees it: started, listened to, and started again when it dies."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random

import structlog

from sidecar.core.backoff import Backoff
from sidecar.core.link import FromWorker, ToWorker, WorkerReady
from sidecar.io.process_link import ProcessLink
from sidecar.io.worker_start import StartWorker

log = structlog.get_logger(__name__)

_START_SECONDS = 30
_HUNG_SECONDS = 5
"""Without a word: a worker says twice a second how it does."""

_GOODBYE_SECONDS = 4.0

OnMessage = Callable[[int, FromWorker], None]
"""A worker has said something."""

OnLost = Callable[[int, str], None]
"""A worker is no more, and why; there may be another one soon."""


class WorkerProcess:
    """Keeps one worker running. Its media sockets are bound here, and outlive it: a new one goes on with them."""

    def __init__(
        self,
        start: StartWorker,
        sockets: Sequence[socket.socket],
        *,
        random: Random,
        on_message: OnMessage,
        on_lost: OnLost,
    ) -> None:
        self.number = start.worker
        self.process: Process | None = None
        self._start = start
        self._sockets = sockets
        self._random = random
        self._on_message = on_message
        self._on_lost = on_lost
        self._link: ProcessLink[FromWorker] | None = None
        self._links_before: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()  # the link has
        self._ready = False
        self._heard = False  # since the last look

    @property
    def link_counters(self) -> Mapping[str, int]:
        """See `ProcessLink.counters`: of all the workers that this has been."""
        return self._links_before + Counter({} if self._link is None else self._link.counters)

    @property
    def link_waiting(self) -> int:
        """How many bytes it has yet to be told."""
        return 0 if self._link is None else self._link.waiting

    def send(self, message: ToWorker) -> None:
        """Tell the worker; if there is none, nobody hears it."""
        if self._link is not None:
            self._link.send(message)

    def stop(self) -> None:
        """End the worker, then `run`."""
        self._stopping.set()
        if self._link is not None:
            self._link.finish()

    async def run(self) -> None:
        """Keep a worker running until `stop` is called."""
        loop, backoff = asyncio.get_running_loop(), Backoff(self._random, give_up_after=float("inf"))
        try:
            while not self._stopping.is_set():
                started = loop.time()
                why = await self._live()
                if self._ready:
                    backoff.connected(now=started)
                if self._stopping.is_set():
                    return
                again = backoff.lost(now=loop.time())
                assert again is not None, "it is never given up"
                log.error("worker_lost", worker=self.number, why=why, again_in=round(again - loop.time(), 2))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), again - loop.time())
        finally:
            for sock in self._sockets:
                sock.close()

    async def _live(self) -> str:
        """Let one worker live; return why it is no more."""
        self._ready = self._heard = False
        self._ended.clear()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = process = await _spawn(theirs, self._sockets)
            except OSError as error:
                ours.close()
                return f"cannot start: {error.strerror}"
        self._link = link = ProcessLink(ours, FromWorker, on_message=self._on_said, on_closed=self._on_closed)
        link.send(self._start)
        try:
            if self._stopping.is_set():
                link.finish()
            hung = await self._watch()
            if not hung:  # it has closed the link, so it is about to end
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _GOODBYE_SECONDS)
        finally:
            link.close()
            self._link = None
            if process.returncode is None:
                process.kill()
            await process.wait()
        return "it hung" if hung else _how_it_ended(process)

    async def _watch(self) -> bool:
        """Wait until the worker ends the link; return whether it hangs in place of that.

        Looks are counted, not seconds: where this process itself was stopped for a while, nothing is wrong.
        """
        silent = 0
        while silent < (_HUNG_SECONDS if self._ready else _START_SECONDS):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 1.0)
                return False
            silent = 0 if self._heard else silent + 1
            self._heard = False
        self._lose("the media worker hung")
        return True

    def _on_said(self, message: FromWorker) -> None:
        if self._link is None:  # it was given up
            return
        self._heard = True
        if isinstance(message, WorkerReady):
            self._ready = True
        self._on_message(self.number, message)

    def _on_closed(self, _why: str) -> None:
        self._ended.set()
        self._lose("the media worker died")

    def _lose(self, why: str) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
            self._links_before += Counter(link.counters)
            log.info("worker_ended", worker=self.number, **link.counters)
            self._on_lost(self.number, why)


async def _spawn(link: socket.socket, sockets: Sequence[socket.socket]) -> Process:
    descriptors = [sock.fileno() for sock in (link, *sockets)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sidecar.worker",
        str(link.fileno()),
        stdin=DEVNULL,
        stdout=DEVNULL,
        pass_fds=descriptors,
    )


def _how_it_ended(process: Process) -> str:
    code = process.returncode
    assert code is not None
    return f"signal {-code}" if code < 0 else f"exit code {code}"
