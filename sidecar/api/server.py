"""The HTTP server: uvicorn's protocol class in the event loop of the sidecar, within bounds of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass
from functools import partial

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sidecar.api.frame import Application
from sidecar.api.problems import MEDIA_TYPE, Problem, ProblemKind
from sidecar.io.tcp_listener import TcpListener

_KEEP_ALIVE_SECONDS = 30
_MOST_HEAD_BYTES = 32 << 10
_SEND_BUFFER = 64 << 10  # in the kernel: who does not read is noticed soon
_GOODBYE_SECONDS = 1.0

_silent = logging.getLogger("sidecar.api.http")  # of uvicorn: whoever sends nonsense must not fill the log
_silent.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a client may take of us."""

    connections: int = 256  # of all, and as many that are being opened
    request_seconds: float = 10.0  # for the head of a request, on a new connection and on one that is kept
    stall_seconds: float = 10.0  # in which it must read what waits for it


@dataclass(slots=True)
class ConnectionCounters:
    """Connections that were not to be."""

    refused: int = 0  # there were too many: it was idle for longest
    slow: int = 0  # no request came
    unshaken: int = 0  # it could not be opened: TLS was not agreed on, say
    stalled: int = 0  # nobody read the answer, or the events
    malformed: int = 0


class HttpServer:
    """Listens until it is closed."""

    def __init__(self, app: Application, *, limits: HttpLimits) -> None:
        self._limits = limits
        self._config = Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        )
        self._config.load()
        self._state = ServerState()
        self._listener: TcpListener | None = None
        self._opening: dict[asyncio.Task[object], None] = {}  # the oldest first
        self.counters = ConnectionCounters()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._state.connections)

    @property
    def accept_errors(self) -> int:
        """How often a connection could not be accepted, for want of file descriptors, say."""
        return 0 if self._listener is None else self._listener.accept_errors

    def listen(self, sock: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on a socket that listens, and own it."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

        def accept(accepted: socket.socket, _host: str, _port: int) -> None:
            if len(self._opening) >= self._limits.connections:
                self._give_up_oldest()  # who says nothing must not keep out who would
            opening = loop.create_task(self._open(accepted, tls))
            self._opening[opening] = None
            opening.add_done_callback(partial(self._is_open, accepted))

        self._listener = TcpListener(sock, accept)

    async def close(self) -> None:
        """Stop: answer what is being worked on, for a second, and cut the rest."""
        if self._listener is not None:
            self._listener.close()
        for opening in self._opening:
            opening.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=_GOODBYE_SECONDS)
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()

    async def _open(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Shake hands, if it is TLS; raise OSError, or one of its kinds, if that fails or takes too long."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._limits.request_seconds):
            await loop.connect_accepted_socket(
                lambda: _Connection(self._config, self._state, self._limits, self.counters, loop), sock, ssl=tls
            )

    def _give_up_oldest(self) -> None:
        self.counters.refused += 1
        oldest = next(iter(self._opening))
        oldest.cancel()
        del self._opening[oldest]  # at once: it ends a turn later

    def _is_open(self, sock: socket.socket, opening: asyncio.Task[object]) -> None:
        self._opening.pop(opening, None)
        if opening.cancelled():
            sock.close()
        elif opening.exception() is not None:
            sock.close()
            self.counters.unshaken += 1


class _Connection(H11Protocol):
    """A connection of HTTP/1.1."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        limits: HttpLimits,
        counters: ConnectionCounters,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self.logger = _silent
        self._limits = limits
        self._counters = counters
        self._request_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self.heard_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_SEND_BUFFER)  # TLS has 512 KiB: too much for who does not read
        self.heard_at = self.loop.time()
        if len(self.connections) > self._limits.connections:
            self._make_room()
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._stop_request_timer()
        self._stop_stall_timer()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)
        if self._is_answering:
            self._stop_request_timer()
        else:
            self._expect_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self._limits.stall_seconds, self._cut_stalled)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; while an answer is on its way, there is no place for another."""
        self._counters.malformed += 1
        if self._is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self.conn.our_state is h11.IDLE:
            body = Problem(ProblemKind.BAD_REQUEST, "this is not HTTP/1.1 as RFC 9112 has it").body("")
            headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _make_room(self) -> None:
        """Close what has been idle for longest, or else this: who asks for nothing must not keep out who would."""
        self._counters.refused += 1
        idle = [each for each in self.connections if isinstance(each, _Connection) and each.is_idle]
        min(idle, key=lambda each: each.heard_at).transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether it has asked for nothing that is not answered."""
        return not self._is_answering and not self.transport.is_closing()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_request(self) -> None:
        if self._request_timer is None and not self.transport.is_closing():
            self._request_timer = self.loop.call_later(self._limits.request_seconds, self._cut_slow)

    def _cut_slow(self) -> None:
        self._counters.slow += 1
        self.transport.abort()

    def _cut_stalled(self) -> None:
        self._counters.stalled += 1
        self.transport.abort()

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
