from __future__ import annotations

import re

from .error import MessageTooLarge, SipError

MAX_MESSAGE = 65_535

_PING = b"\r\n\r\n"
_PONG = b"\r\n"
_LENGTH = re.compile(rb"(?:^|\n)(?:Content-Length|l)[ \t]*:[ \t\r\n]*([^\r\n]*)", re.IGNORECASE)


class StreamFramer:
    """Cuts the bytes of one TCP or TLS connection into messages. See RFC 3261, section 18.3.

    After `SipError` the connection is to be closed: nobody knows where the next message begins.
    """

    def __init__(self, *, max_message: int = MAX_MESSAGE) -> None:
        self._max_message = max_message
        self._buffer = bytearray()
        self._searched = 0  # no empty line begins before
        self._total = 0  # the length of the message that has begun; 0: its head is not whole yet
        self._outbox = b""
        self.keepalives = 0

    def receive_data(self, data: bytes) -> list[bytes]:
        """Bytes came in; return the messages that are whole now.

        What is wrong behind them is raised when it is alone: by the next call.
        """
        self._buffer += data
        messages: list[bytes] = []
        try:
            while (message := self._next_message()) is not None:
                messages.append(message)
            if len(self._buffer) > self._max_message:
                raise MessageTooLarge("Message Too Large")
        except SipError:
            if not messages:
                raise
        return messages

    def data_to_send(self) -> bytes:
        """Return what is to be sent, and forget it: a pong for each ping. See RFC 5626, section 4.4.1."""
        data, self._outbox = self._outbox, b""
        return data

    @property
    def is_amid_message(self) -> bool:
        """Whether a message has begun and is not whole; line ends between messages do not count."""
        return bool(self._buffer[:4].strip(_PONG))

    def _next_message(self) -> bytes | None:
        if not self._total:
            self._read_head()
        if not self._total or len(self._buffer) < self._total:
            return None
        message = bytes(self._buffer[: self._total])
        self._forget(self._total)
        return message

    def _read_head(self) -> None:
        """Find out how long the message is, once: a body may come byte by byte."""
        self._take_keepalives()
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - 3)
            return
        total = end + 4 + self._body_length(end)
        if total > self._max_message:
            raise MessageTooLarge("Message Too Large")
        self._total = total

    def _take_keepalives(self) -> None:
        """Answer pings; a single line end between messages is forgiven, and may be half a ping."""
        while self._buffer.startswith(_PING):
            self._forget(len(_PING))
            self._outbox += _PONG if len(self._outbox) < 64 else b""
            self.keepalives += 1
        if self._buffer.startswith(_PONG) and len(self._buffer) > 3 and not self._buffer.startswith(b"\r\n\r"):
            self._forget(len(_PONG))

    def _body_length(self, end: int) -> int:
        """Return what Content-Length says: on a stream it must be there, once (20.14)."""
        values = {value.strip() for value in _LENGTH.findall(self._buffer[:end])}
        if len(values) != 1:
            raise SipError("No Content-Length, or more than one")
        (value,) = values
        if not re.fullmatch(rb"[0-9]{1,9}", value):
            raise SipError("Malformed Content-Length")
        return int(value)

    def _forget(self, count: int) -> None:
        del self._buffer[:count]
        self._searched = self._total = 0
