"""What control knows of one call: how far its two sides have come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sidecar.core.link import MediaLeg
from sidecar.core.options import StreamOptions
from sip import CallRef, Negotiated, Origin


class BotState(Enum):
    """How far the WebSocket has come."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    GONE = "gone"


@dataclass(slots=True)
class StreamSession:
    """One call and its stream. It ends when both the SIP call and the worker's stream have."""

    stream: str
    call: CallRef
    call_id: str
    options: StreamOptions
    media: Negotiated
    origin: Origin
    leg: MediaLeg
    bot: BotState = BotState.CONNECTING
    answered: bool = False
    media_started: bool = False
    call_over: bool = False
    stream_over: bool = False
    closing: bool = False  # the worker has been told to close the stream
    events: int = 0
