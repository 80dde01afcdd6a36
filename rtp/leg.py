"""The telephone side of a call, as the media plane must know it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from rtp.codec import Codec
from rtp.pcm import FRAME_MS
from rtp.srtp import Srtp


class Leg(NamedTuple):
    """What SDP has settled; addresses are keys (`address_key`)."""

    codec: Codec
    payload_type: int  # of what we receive
    send_payload_type: int
    destination: int | None  # where we send, and what is heard; None: not known yet
    sources: Collection[int] = ()  # what is heard too
    ptime_ms: int = FRAME_MS  # of what we send
    telephone_event_payload_type: int | None = None  # of what we receive
    send_telephone_event_payload_type: int | None = None
    srtp: Srtp | None = None  # other keys are another object
