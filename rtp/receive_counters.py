"""What is counted of the packets of one call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ReceiveCounters:
    """What happened to the packets of one call."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    ignored: int = 0  # of another payload type, without payload, or strays
    restarts: int = 0
    concealed: int = 0  # packets whose time was filled; the others that were lost had none
    comfort_noise: int = 0
    telephone_events: int = 0
    filled_ms: int = 0  # of noise, in pauses
    overrun_frames: int = 0
