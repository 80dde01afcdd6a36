"""What the outside is told about streams: one record, whatever the outlet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Something happened to a stream. `body` is as mod_audio_stream has it, where it has that event."""

    kind: str  # connect, disconnect, dtmf, error, json, start, stop, transfer
    stream: str
    call: str  # the SIP Call-ID
    sequence: int  # counts the events of the stream, from 1
    body: dict[str, Any] | str
    quiet: bool = False  # not for the log (SUPPRESS_LOG)


def error_body(code: int, error: str) -> dict[str, Any]:
    """Return the body of an event `error`; `code` is one of `ErrorCode`."""
    return {"status": "error", "message": {"code": code, "error": error}}
