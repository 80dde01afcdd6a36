"""What can go wrong between us and a FreeSWITCH."""

from __future__ import annotations

from enum import Enum

from sidecar.core.attaching import AttachError


class EventSocketError(Exception):
    """The event socket cannot do what was asked: it is not connected, broke, or too much waits for it."""


class Failure(Enum):
    """Why a stream is not attached to a call, and the HTTP status that says so."""

    NO_SUCH_CALL = 404
    NO_AUDIO = 409  # the call is not answered yet, or is over
    REFUSED = 502  # the leg, by FreeSWITCH or by the sidecar itself
    NO_SERVER = 503  # none is configured, or the one that may have the call is not connected
    TIMEOUT = 504


class AttachFailed(AttachError):
    """A stream could not be attached to a call."""

    def __init__(self, failure: Failure, why: str, *, cause: str | None = None) -> None:
        super().__init__(why, http_status=failure.value)
        self.failure = failure
        self.cause = cause  # as FreeSWITCH names it, such as NORMAL_TEMPORARY_FAILURE
