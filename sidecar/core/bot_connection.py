"""One WebSocket to a bot, without the socket.

The `websockets` library does the handshake, control frames, text, fragments and the rules. Whole binary frames, which
are nearly all there is, are cut out of the bytes received before it sees them: it costs a third.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from sidecar.core.bot_uri import parse_bot_uri
from sidecar.core.errors import ErrorCode
from sidecar.core.websocket_frames import unmasked_payload

MAX_TEXT_BYTES = 16 << 20
"""Of one text message: several minutes of base64 audio."""

# A read may hold this many frames, and more only if they are this long on average: nobody talks in pieces of nothing.
_FRAMES_A_READ = 64
_LEAST_FRAME_BYTES, _LEAST_OTHER_FRAME_BYTES = 16, 256

# What compressed messages may become in one read: a few KiB of them could keep the media loop busy for long.
_MOST_INFLATED_BYTES = 4 << 20

_MAX_RESPONSE_BYTES = 64 << 10
_MAX_REASON_BYTES = 123  # of a close frame: RFC 6455, section 5.5
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]")
_FINAL_BINARY = 0x80 | Opcode.BINARY

# No message of ours refers to one before it, so that any may be dropped. PCM hardly shrinks: little effort is enough.
_DEFLATE = ClientPerMessageDeflateFactory(client_no_context_takeover=True, compress_settings={"level": 1})


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake is done."""


@dataclass(frozen=True, slots=True)
class TextReceived:
    """A whole text message came."""

    text: str
    audio_before: int = field(default=0, compare=False)  # pieces of `take_audio` that came before it


@dataclass(frozen=True, slots=True)
class Closed:
    """The bot said goodbye."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The handshake was refused, or the connection is broken."""

    code: ErrorCode
    error: str
    forbidden: bool = False  # the bot's address is none that may be called


ConnectionEvent = Opened | TextReceived | Closed | Failed


class BotConnection:
    """A WebSocket client (RFC 6455): bytes in, bytes, events and audio out."""

    def __init__(self, url: str, *, headers: Mapping[str, str], deflate: bool = False) -> None:
        self.uri = parse_bot_uri(url)
        extensions = [_DEFLATE] if deflate else None
        max_size = _MOST_INFLATED_BYTES if deflate else MAX_TEXT_BYTES
        self._protocol = ClientProtocol(self.uri, extensions=extensions, max_size=max_size)
        self._headers = headers
        self._events: list[ConnectionEvent] = []
        self._audio: list[bytes] = []
        self._head = b""  # of the HTTP response, or of a frame whose header is not complete
        self._left = 0  # bytes of the current frame still to come
        self._left_is_audio = False
        self._fragmented = False
        self._text: bytearray | None = None  # of a message of which more is to come
        self._frames_allowed = self._other_frames_allowed = self._inflated = 0
        self._over = False
        self._library_used = False  # since `data_to_send`: asking it each time costs as much as reading a frame

    @property
    def secure(self) -> bool:
        """Whether TLS goes below."""
        return self.uri.secure

    @property
    def is_open(self) -> bool:
        """Whether audio may be sent now."""
        return self._protocol.state is State.OPEN

    @property
    def deflates(self) -> bool:
        """Whether both sides have agreed to compress messages."""
        return bool(self._protocol.extensions)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it: the socket may be closed when all is written."""
        return self._over

    @property
    def has_closed(self) -> bool:
        """Whether we have sent a close frame, be it first or in answer to the bot's."""
        return self._protocol.close_sent is not None

    @property
    def is_plain(self) -> bool:
        """Whether a binary frame that came now, whole and alone, would be nothing but audio."""
        return self.is_open and not (self._over or self._head or self._left or self._fragmented)

    # --- what comes in

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self._over:
            return
        if self._protocol.state is State.CONNECTING:
            self._head += data
            data = self._receive_response()
        elif self._head:
            data, self._head = self._head + data, b""
        at, end, self._inflated = 0, len(data), 0
        self._frames_allowed = _FRAMES_A_READ + end // _LEAST_FRAME_BYTES
        self._other_frames_allowed = _FRAMES_A_READ + end // _LEAST_OTHER_FRAME_BYTES
        while at < end and not self._over:
            if not self._left:
                start = self._begin_frame(data, at)
                if start is None:
                    self._head = data[at:]
                    break
                at = start
            upto = min(at + self._left, end)
            self._left -= upto - at
            if self._left_is_audio:
                self._audio.append(data[at:upto])
            else:
                self._give_to_library(data[at:upto])
            at = upto

    def receive_eof(self) -> None:
        """The bot has closed the socket."""
        self._end(Failed(ErrorCode.IO, "connection lost"))
        self._protocol.receive_eof()

    def fail(self, code: ErrorCode, error: str, *, forbidden: bool = False) -> None:
        """The socket is broken, too much time has passed, or the bot must not be called."""
        self._end(Failed(code, error, forbidden))

    def refuse(self, why: str) -> None:
        """The bot asks too much: say so, and end it (RFC 6455, section 7.4.1: 1008)."""
        self._library_used = True
        self._protocol.fail(CloseCode.POLICY_VIOLATION, why)
        self._end(Failed(ErrorCode.PROTOCOL, f"the bot sends {why}"))

    def take_audio(self) -> list[bytes]:
        """Return the audio received since the last call, in pieces of any size."""
        audio, self._audio = self._audio, []
        return audio

    def take_events(self) -> list[ConnectionEvent]:
        """Return what happened since the last call."""
        events, self._events = self._events, []
        return events

    # --- what goes out

    def connect(self, *, authorization: str | None = None) -> None:
        """Begin the handshake; `authorization` goes before what the URL or the headers say of it."""
        self._library_used = True
        request: Request = self._protocol.connect()
        headers = Headers(request.headers)
        extra = dict(self._headers)
        if authorization is not None:
            extra = {name: value for name, value in extra.items() if name.lower() != "authorization"}
            extra["Authorization"] = authorization
        for name, value in extra.items():
            headers.pop(name, None)  # to set a header is to add one
            headers[name] = value
        self._protocol.send_request(Request(request.path, headers))

    def send_text(self, text: str) -> None:
        """Send a text message, if there is a connection to send it on."""
        if self.is_open:
            self._library_used = True
            self._protocol.send_text(text.encode())

    def ping(self) -> None:
        """Ask the bot for a sign of life, if there is a connection."""
        if self.is_open:
            self._library_used = True
            self._protocol.send_ping(b"")

    def deflated(self, frame: bytes) -> bytes:
        """Return a binary frame of ours as the library frames the same message, compressed."""
        assert not self._library_used, "what was framed before must go first"
        self._protocol.send_binary(unmasked_payload(frame))
        return b"".join(self._protocol.data_to_send())

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, if there is a connection to end."""
        if self._protocol.state is State.OPEN:
            self._library_used = True
            self._protocol.send_close(code, reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))

    @property
    def has_data_to_send(self) -> bool:
        """Whether `data_to_send` may have something to give."""
        return self._library_used

    def data_to_send(self) -> Iterator[bytes]:
        """Give what is to be written: the handshake, text and control frames, each whole."""
        self._library_used = False
        return (data for data in self._protocol.data_to_send() if data)

    # --- how it works

    def _receive_response(self) -> bytes:
        """Give the library the HTTP response alone, once it is whole; return what came behind it."""
        end = self._head.find(b"\r\n\r\n") + 4
        if end == 3:
            if len(self._head) > _MAX_RESPONSE_BYTES:
                self._end(Failed(ErrorCode.INVALID_HEADER, "endless HTTP response"))
            return b""
        response, rest, self._head = self._head[:end], self._head[end:], b""
        status = _STATUS_LINE.match(response)
        if status is not None and status[1] != b"101":  # the library would wait for the body
            said = f"HTTP {status[1].decode()}"
            if said.startswith("HTTP 3"):  # to follow would be to let the bot choose whom the caller is heard by
                self._end(Failed(ErrorCode.NOT_SUPPORTED, f"the bot redirects, which is not followed: {said}"))
            else:
                self._end(Failed(ErrorCode.CONNECT_FAILED, f"the bot refused: {said}"))
            return b""
        self._give_to_library(response)
        return rest

    def _begin_frame(self, data: bytes, at: int) -> int | None:
        """Read a frame's header at `at`; set how much is to come, and return where that starts.

        Audio starts behind the header, a frame that is the library's at it. None: the header is not complete.
        """
        available = len(data) - at
        first, second = (data[at], data[at + 1]) if available >= 2 else (0, 0)
        header = {126: 4, 127: 10}.get(second & 0x7F, 2)
        if available < header:
            return None
        self._frames_allowed -= 1
        if self._frames_allowed < 0 or self._other_frames_allowed < 0:
            self.refuse("too many small messages")
            return None
        length = second & 0x7F if header == 2 else int.from_bytes(data[at + 2 : at + header])
        self._left_is_audio = first == _FINAL_BINARY and second < 0x80 and not self._fragmented
        if self._left_is_audio:
            self._left = length
            return at + header
        self._other_frames_allowed -= 1
        if first & 0x0F < Opcode.CLOSE:
            self._fragmented = first < 0x80
        self._left = header + length + (4 if second & 0x80 else 0)
        return at

    def _give_to_library(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._read_library()

    def _read_library(self) -> None:
        self._library_used = True
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._receive_frame(event)
            elif self._protocol.handshake_exc is None:  # it is the response
                self._events.append(Opened())
        failure = self._protocol.handshake_exc or self._protocol.parser_exc
        if failure is not None and not self._over:
            self._end(Failed(*_explain(failure)))

    def _receive_frame(self, frame: Frame) -> None:
        self._inflated += len(frame.data)
        if self.deflates and self._inflated > _MOST_INFLATED_BYTES:
            self.refuse("more than it seems")
        elif frame.opcode is Opcode.CLOSE:
            received = self._protocol.close_rcvd
            code = CloseCode.NO_STATUS_RCVD if received is None else received.code
            self._end(Closed(code, "" if received is None else received.reason))
        elif frame.opcode is Opcode.TEXT or (frame.opcode is Opcode.CONT and self._text is not None):
            self._text = bytearray() if self._text is None else self._text
            self._text += frame.data
            if frame.fin:
                message, self._text = self._text, None
                try:
                    self._events.append(TextReceived(message.decode(), len(self._audio)))
                except UnicodeDecodeError:
                    self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                    self._end(Failed(ErrorCode.PROTOCOL, "text is not UTF-8"))
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._audio.append(bytes(frame.data))

    def _end(self, event: Closed | Failed) -> None:
        """The first of all reasons to end is the one that is told."""
        if not self._over:
            self._over = True
            self._events.append(event)


def _explain(failure: Exception) -> tuple[ErrorCode, str]:
    if isinstance(failure, NegotiationError):
        return ErrorCode.NOT_SUPPORTED, f"the bot wants what was not offered: {failure}"
    if isinstance(failure, InvalidHandshake):
        return ErrorCode.INVALID_HEADER, f"the bot's handshake is wrong: {failure}"
    if str(failure) == "incorrect masking":
        return ErrorCode.SERVER_MASKED, "the bot masks its frames, which only clients do"
    return ErrorCode.PROTOCOL, f"the bot broke the protocol: {failure}"
