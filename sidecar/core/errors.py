"""The error codes of a stream, those of mod_audio_stream."""

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
