"""The error codes of a stream, those of mod_audio_stream, and why a stream cannot do what it is asked."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Why the WebSocket failed."""

    IO = 1
    INVALID_HEADER = 2
    SERVER_MASKED = 3
    NOT_SUPPORTED = 4
    PING_TIMEOUT = 5
    CONNECT_FAILED = 6
    TLS_INIT_FAILED = 7
    SSL_HANDSHAKE_FAILED = 8
    SSL_ERROR = 9
    TIMEOUT = 10
    PROTOCOL = 11


class CommandError(ValueError):
    """A stream cannot do what it is asked; nothing has been done."""

    http_status = 409  # the state that it is in does not allow it

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(reason)
        self.field = field  # which of the command is to blame


class NoSuchStream(CommandError):
    """There is none of that name, or not any more."""

    http_status = 404


class InvalidCommand(CommandError):
    """Nobody could do it, in whatever state."""

    http_status = 422


class ForbiddenCommand(CommandError):
    """The operator does not want it done."""

    http_status = 403


class Overfull(CommandError):
    """Too much of that waits already; later, it may be possible."""

    http_status = 503
