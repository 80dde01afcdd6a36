"""Why a stream cannot begin."""

from __future__ import annotations

from sidecar.core.errors import ErrorCode


class StreamError(Exception):
    """It is told as an event `error`."""

    def __init__(self, code: ErrorCode, text: str, *, forbidden: bool = False) -> None:
        """Tell whether the bot is one that must not be called."""
        super().__init__(text)
        self.code = code
        self.forbidden = forbidden
