"""Attaching a stream to a call that is up in a FreeSWITCH: what is asked for, and who can do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """A stream that is wanted."""

    call: str  # the UUID of the channel
    options: Mapping[str, str]  # of the stream, as text, by name: as headers give them
    profile: str | None = None  # the profile that the options go before; None: the default one
    freeswitch: str | None = None  # the server by its name in the settings; None: whichever has the call


class AttachError(Exception):
    """The stream cannot be attached; the message says why."""

    def __init__(self, reason: str, *, http_status: int) -> None:
        super().__init__(reason)
        self.http_status = http_status


class Attacher(Protocol):
    """Whoever knows the FreeSWITCH servers."""

    async def attach(self, request: AttachRequest) -> str:
        """Return the id of the new stream once its legs are up; raise `AttachError`, or `OptionError`."""
