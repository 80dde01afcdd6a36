"""How a stream is at a moment, for the outside to see."""

from __future__ import annotations

import msgspec


class StreamSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stream."""

    id: str
    call: str  # the option CALL; without it the SIP Call-ID
    call_id: str  # of SIP
    state: str  # starting, up, ending: of the call
    bot: str  # connecting, connected, reconnecting, gone
    paused: bool  # no audio is sent to the bot
    from_: str = msgspec.field(name="from")
    to: str
    url: str  # of the bot, without what may be secret
    mix: str
    rate: int  # Hz, of what the bot hears
    sample_rate: int  # Hz, of what it says
    buffer_size: int  # ms
    codec: str | None  # of the leg; None: not settled yet
    started_at: float  # seconds since 1970
    events: int  # how many there have been
    pod: str = ""  # the sidecar that has it, where many know of each other
