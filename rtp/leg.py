"""The telephone side of a call, as the media plane must know it."""

from __future__ import annotations

from typing import NamedTuple

from rtp.codec import Codec
from rtp.pcm import FRAME_MS


class Leg(NamedTuple):
    """What SDP has settled; the address is a key (`address_key`)."""

    codec: Codec
    payload_type: int  # of what we receive
    send_payload_type: int
    destination: int | None  # None: not known yet
    ptime_ms: int = FRAME_MS  # of what we send
    telephone_event_payload_type: int | None = None  # of what we receive
