"""Keeps one connection to the event socket of a FreeSWITCH, and makes a new one whenever it is lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import cast

import structlog

from sidecar.core.backoff import Backoff
from sidecar.core.freeswitch.errors import EventSocketError
from sidecar.core.freeswitch.event_socket import EventSocket, JobDone, Lost, Ready, Reply, State
from sidecar.io.network import plain_host, system_words

log = structlog.get_logger(__name__)

_CONNECT_SECONDS = 5.0
_MOST_UNSENT = 1 << 20
"""Bytes that FreeSWITCH leaves unread, after which commands are refused."""

NOT_CONNECTED = "the event socket is not connected"

MOST_JOBS = 1000
"""`bgapi` commands whose outcome is awaited."""


@dataclass(slots=True)
class EventSocketCounters:
    """What has become of a FreeSWITCH's event socket; every number only grows."""

    connected: int = 0
    failed: int = 0  # attempts
    lost: int = 0
    commands: int = 0
    refused: int = 0  # commands, because too much waited or there was no connection


class EventSocketClient:
    """The event socket of one FreeSWITCH. `run` is to be a task for as long as it is used."""

    def __init__(
        self,
        host: str,
        port: int,
        password: str,
        *,
        name: str,
        random: Random,
    ) -> None:
        self.name = name
        self.counters = EventSocketCounters()
        self._host = host
        self._port = port
        self._password = password
        self._random = random
        self._connection: _Connection | None = None
        self._is_ready = asyncio.Event()
        self._told: str | None = None  # why it was lost last, in the log

    @property
    def is_ready(self) -> bool:
        """Whether commands can be sent."""
        return self._connection is not None and self._connection.core.state is State.READY

    async def until_ready(self) -> None:
        """Wait until commands can be sent."""
        while not self.is_ready:
            await self._is_ready.wait()
            if not self.is_ready:
                self._is_ready.clear()

    @property
    def peer_host(self) -> str:
        """The IP address of FreeSWITCH; raise `EventSocketError` when there is no connection."""
        if self._connection is None or not self._connection.peer_host:
            raise EventSocketError(NOT_CONNECTED)
        return self._connection.peer_host

    async def run(self) -> None:
        """Be connected, and connect again, until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._random, give_up_after=math.inf)
        while True:
            why, was_ready_at = await self.run_once()
            if was_ready_at is not None:
                backoff.connected(now=was_ready_at)
            if why != self._told:  # a FreeSWITCH that is down for a day is one line
                log.warning("event socket lost", server=self.name, why=why)
            self._told = why
            at = backoff.lost(now=loop.time())
            assert at is not None
            await asyncio.sleep(at - loop.time())

    async def run_once(self) -> tuple[str, float | None]:
        """Be connected once; return why that is over, and since when commands could be sent, if they could."""
        loop = asyncio.get_running_loop()
        connection = _Connection(self._password, self._ready)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await loop.create_connection(lambda: connection, self._host, self._port)
        except OSError as error:  # and TimeoutError
            self.counters.failed += 1
            return "no answer" if isinstance(error, TimeoutError) else system_words(error), None
        self._connection = connection
        try:
            why = await connection.over
        finally:
            connection.close()
        if connection.was_ready_at is None:
            self.counters.failed += 1
        else:
            self.counters.lost += 1
        return why, connection.was_ready_at

    async def api(self, command: str) -> str:
        """Return the answer of FreeSWITCH; raise `EventSocketError` if there is none."""
        return await self._ask(lambda core, now: core.api(command, now=now))

    async def send_event(self, headers: tuple[tuple[str, str], ...], body: str) -> str:
        """Fire an event CUSTOM; return what FreeSWITCH said to that."""
        return await self._ask(lambda core, now: core.command("sendevent CUSTOM", headers=headers, body=body, now=now))

    async def bgapi(self, command: str, *, job: str) -> str:
        """Return the outcome of what takes its time; raise `EventSocketError` if it will not be known."""
        connection = self._connection
        if connection is None or len(connection.jobs) >= MOST_JOBS:
            self.counters.refused += 1
            raise EventSocketError(NOT_CONNECTED if connection is None else "too many jobs")
        done = connection.jobs[job] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._ask(lambda core, now: core.bgapi(command, job=job, now=now))
            return _known(await done) if reply.startswith("+OK") else reply
        finally:
            connection.jobs.pop(job, None)

    async def _ask(self, send: Callable[[EventSocket, float], int]) -> str:
        connection = self._connection
        if connection is None:
            self.counters.refused += 1
            raise EventSocketError(NOT_CONNECTED)
        try:
            answer = connection.ask(send)
        except EventSocketError:
            self.counters.refused += 1
            raise
        self.counters.commands += 1
        return _known(await answer)

    def _ready(self) -> None:
        self.counters.connected += 1
        self._told = None
        self._is_ready.set()
        log.info("event socket ready", server=self.name)


class _Connection(asyncio.Protocol):
    """One connection: bytes in, drain, re-arm; and who waits for what."""

    def __init__(self, password: str, on_ready: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.core = EventSocket(password, now=self._loop.time())
        self.over: asyncio.Future[str] = self._loop.create_future()
        self.jobs: dict[str, asyncio.Future[str | None]] = {}
        self.was_ready_at: float | None = None
        self.peer_host = ""
        self._replies: dict[int, asyncio.Future[str | None]] = {}
        self._on_ready = on_ready
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        peer = transport.get_extra_info("peername")  # None: it has closed already, and that will be told
        self.peer_host = plain_host(str(peer[0])) if peer else ""
        self._drain()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self.core.receive_data(data, now=self._loop.time())
        self._drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.core.connection_lost()
        self._drain()

    def ask(self, send: Callable[[EventSocket, float], int]) -> asyncio.Future[str | None]:
        """Send a command; return what will be its answer."""
        if self._transport is not None and self._transport.get_write_buffer_size() > _MOST_UNSENT:
            raise EventSocketError("FreeSWITCH does not read what it is asked")
        number = send(self.core, self._loop.time())
        answer = self._replies[number] = self._loop.create_future()
        self._drain()
        return answer

    def close(self) -> None:
        """Close it: we stop."""
        self._lost("we stop")

    def _drain(self) -> None:
        while True:
            if self._transport is not None and (data := self.core.data_to_send()):
                self._transport.write(data)
            match self.core.next_event():
                case None:
                    break
                case Ready():
                    self.was_ready_at = self._loop.time()
                    self._on_ready()
                case Lost(why):
                    self._lost(why)
                case Reply(number, text):
                    _settle(self._replies.pop(number), text)
                case JobDone(job, text):
                    _settle(self.jobs.pop(job, None), text)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self.core.next_timeout()
        self._timer = None if at is None or self.over.done() else self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.core.handle_timeout(now=self._loop.time())
        self._drain()

    def _lost(self, why: str) -> None:
        if not self.over.done():  # as it is when whoever waits for it was cancelled
            self.over.set_result(why)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        for waiting in (*self._replies.values(), *self.jobs.values()):
            _settle(waiting, None)


def _known(answer: str | None) -> str:
    if answer is None:
        raise EventSocketError("the event socket was lost before the answer came")
    return answer


def _settle(waiting: asyncio.Future[str | None] | None, text: str | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(text)
