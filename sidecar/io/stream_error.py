"""Why a stream cannot begin."""

from __future__ import annotations

from sidecar.core.errors import ErrorCode


class StreamError(Exception):
    """It is told as an event `error`."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
