"""The signalling of the bench's callers: one user agent places all calls, the sound is another program's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import SystemRandom

from sidecar.bench.board import Board
from sidecar.bench.errors import BenchError
from sidecar.bench.plan import BenchPlan
from sidecar.io.agent_driver import AgentDriver
from sip import (
    Address,
    CallAnswered,
    CallEnded,
    CallRef,
    Codec,
    Event,
    MediaCapabilities,
    Origin,
    SessionDescription,
    SipUri,
    UserAgent,
    accept_answer,
    make_offer,
)

HOST = "127.0.0.1"

_CALLS_A_SECOND = 200
_ANSWER_SECONDS = 30.0
_GOODBYE_SECONDS = 10.0


class Callers:
    """The calls of a plan, all from one address, each with the RTP port that the board says."""

    def __init__(self, plan: BenchPlan, board: Board, *, contact: Address) -> None:
        self._plan = plan
        self._board = board
        self._contact = contact
        self._loop = asyncio.get_running_loop()
        self._calls: dict[CallRef, int] = {}  # that are not over
        self._offers: dict[int, SessionDescription] = {}
        self._waiting = 0  # calls that are not answered, or not over
        self._done = asyncio.Event()
        self._refused: str | None = None
        self._agent = UserAgent(contact=contact, random=SystemRandom())
        self.driver: AgentDriver[Event] = AgentDriver(self._agent, self._on_event)

    @property
    def answered(self) -> int:
        """How many calls have been answered."""
        return self._agent.counters.calls_answered

    @property
    def ended(self) -> int:
        """How many calls are over, whoever ended them."""
        return self._agent.counters.calls_ended

    async def place(self, *, sidecar: Address, bots_port: int) -> None:
        """Place all calls, and wait for their answers: now the board knows where each is to send.

        Raise BenchError if one is not answered.
        """
        self._waiting = self._plan.calls
        for number in range(self._plan.calls):
            self.call(number, sidecar=sidecar, bots_port=bots_port)
            await asyncio.sleep(1 / _CALLS_A_SECOND)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), _ANSWER_SECONDS)
        if self._refused is not None or not self._done.is_set():
            raise BenchError(
                f"{self._waiting} of {self._plan.calls} calls not answered: {self._refused or 'no answer'}"
            )

    def call(self, number: int, *, sidecar: Address, bots_port: int) -> None:
        """Place the call with this number, be it once more; its answer is not waited for."""
        port = int(self._board.ports("caller_port")[number])
        url = f"{self._plan.scheme}://{HOST}:{bots_port}/{number}"
        offer = make_offer(
            MediaCapabilities(HOST, port, (Codec("PCMU", 8000),), telephone_event=False, ptime_ms=self._plan.ptime_ms),
            origin=Origin(number + 1, 1, HOST),
        )
        call = self._agent.invite(
            SipUri(*sidecar, user="bench"),
            destination=sidecar,
            from_uri=SipUri(*self._contact, user="bench"),
            body=bytes(offer),
            headers=[*self._plan.headers.items(), ("X-STREAM_URL", url)],
            now=self._loop.time(),
        )
        self._calls[call], self._offers[number] = number, offer
        self.driver.drain()

    async def hang_up(self) -> None:
        """End all calls that are not over."""
        if not self._calls:
            return
        self._waiting = len(self._calls)
        self._done.clear()
        for call in list(self._calls):
            self._agent.hang_up(call, now=self._loop.time())
            self.driver.drain()
            await asyncio.sleep(1 / _CALLS_A_SECOND)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), _GOODBYE_SECONDS)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, CallAnswered):
            number = self._calls[event.call]
            answer = SessionDescription.parse(event.response.body)
            self._board.ports("target_port")[number] = accept_answer(self._offers[number], answer).remote_port
            self._one_less()
        elif isinstance(event, CallEnded):
            del self._calls[event.call]
            if not self._done.is_set() and event.message is not None and event.status is not None:
                self._refused = f"{event.status}"
            self._one_less()

    def _one_less(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._done.set()


@asynccontextmanager
async def open_callers(plan: BenchPlan, board: Board) -> AsyncIterator[Callers]:
    """Give callers a socket until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((HOST, 0))
        callers = Callers(plan, board, contact=sock.getsockname())
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: callers.driver, sock=sock)
        try:
            yield callers
        finally:
            transport.close()
