"""What a media worker is told when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtp import Codec
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.bridge import JITTER_FRAMES
from sidecar.core.silence_watch import MediaTimeouts


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Of one worker; the same for all."""

    capacity: int = 2000  # calls
    connect_timeout: float = 5.0  # seconds
    uplink_seconds: float = 2.0  # audio kept for a bot that does not read, or is not connected yet
    bot_hosts: BotHosts = field(default_factory=BotHosts)
    portable: bool = False  # use no system call that only Linux has
    jitter_frames: int = JITTER_FRAMES
    codecs: Sequence[Codec] = ()  # to be loaded before the first call
    timeouts: MediaTimeouts = field(default_factory=MediaTimeouts)
    inband_digits: bool = False  # looked for in the audio of who sends no telephone events
