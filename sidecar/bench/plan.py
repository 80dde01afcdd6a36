"""What is to be measured."""

from __future__ import annotations

from dataclasses import dataclass

from rtp import frame_samples
from sidecar.core.options import MixMode

MOST_CALLS = 4096
"""As many as the sidecar takes, and as the board has room for."""

_HEADER_BYTES = 8  # of a masked WebSocket frame of 126 to 65,535 bytes
_BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """Calls of G.711 at 8 kHz on the wire, full duplex, 20 ms a message."""

    calls: int
    seconds: float  # for which the sidecar is measured; the floor as long, half before and half after
    mix: MixMode = MixMode.MONO
    rate: int = 16000  # Hz, both ways
    workers: int = 1  # of the sidecar; 0: inside its control process

    @property
    def channels(self) -> int:
        """How many voices a message to a bot has."""
        return 2 if self.mix is MixMode.STEREO else 1

    @property
    def message_bytes(self) -> int:
        """A message to a bot, with all that is around it."""
        return _HEADER_BYTES + self.channels * _BYTES_PER_SAMPLE * frame_samples(self.rate)

    @property
    def answer(self) -> str:
        """What the bots answer, 20 ms of one channel: what they hear, unless they would hear it again."""
        return {MixMode.MONO: "echo", MixMode.STEREO: "left"}.get(self.mix, "silence")

    @property
    def headers(self) -> dict[str, str]:
        """The stream options of every call, but for the URL."""
        return {"X-STREAM_MIX": self.mix.value, "X-STREAM_RATE": str(self.rate)}
