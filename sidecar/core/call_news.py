"""What a bot is told of its call, where EVENTS has `call`: messages of that type; `event` says which."""

from __future__ import annotations

from typing import Self

import msgspec

from sidecar.core.event_body import EventBody
from sidecar.core.stream_snapshot import StreamSnapshot


class CallNews(EventBody, frozen=True, tag_field="event"):
    """One of them."""

    kind = "call"


class CallStarted(CallNews, frozen=True, tag="start"):
    """Which call it is; the first of them, for each bot that is connected."""

    stream: str
    call: str
    call_id: str
    from_: str = msgspec.field(name="from")
    to: str
    mix: str
    rate: int  # Hz
    buffer_size: int  # ms

    @classmethod
    def of(cls, seen: StreamSnapshot) -> Self:
        """Say what is seen of a stream that is of interest to its bot."""
        return cls(seen.id, seen.call, seen.call_id, seen.from_, seen.to, seen.mix, seen.rate, seen.buffer_size)


class CallAnswered(CallNews, frozen=True, tag="answered"):
    """The caller's side has confirmed the answer."""


class CallHeld(CallNews, frozen=True, tag="hold"):
    """The caller does not listen any more."""


class CallUnheld(CallNews, frozen=True, tag="unhold"):
    """The caller listens again."""


class CallTransferring(CallNews, frozen=True, tag="transfer"):
    """How a transfer goes, whoever has asked for it; the `status` is one of SIP."""

    status: int
    final: bool


class FormatChanged(CallNews, frozen=True, tag="changed"):
    """The audio that follows is in another format."""

    mix: str
    rate: int  # Hz
    buffer_size: int  # ms
