"""What is to be measured."""

from __future__ import annotations

from dataclasses import dataclass

from rtp import frame_samples
from rtp.pcm import FRAME_MS
from sidecar.core.options import MixMode

MOST_CALLS = 4096
"""As many as the sidecar takes, and as the board has room for."""

PTIMES_MS = (10, 20, 30, 40, 60)
RTP_MODES = ("one", "ports")

_HEADER_BYTES = 8  # of a masked WebSocket frame of 126 to 65,535 bytes
_BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """Calls of G.711 at 8 kHz on the wire, full duplex, 20 ms a message to a bot and back."""

    calls: int
    seconds: float  # for which the sidecar is measured; the floor as long, half before and half after
    mix: MixMode = MixMode.MONO
    rate: int = 16000  # Hz, both ways
    workers: int = 1  # of the sidecar; 0: inside its control process
    ptime_ms: int = FRAME_MS  # of RTP, both ways
    rtp_mode: str = "one"  # or "ports", as the setting
    tls: bool = False  # to the bots
    deflate: bool = False  # permessage-deflate, both ways; then half of what callers say is noise

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
        headers = {"X-STREAM_MIX": self.mix.value, "X-STREAM_RATE": str(self.rate)}
        if self.tls:
            headers["X-STREAM_TLS_CA_FILE"] = "NONE"  # the bots make a certificate of their own
        if self.deflate:
            headers["X-STREAM_MESSAGE_DEFLATE"] = "false"
        return headers

    @property
    def scheme(self) -> str:
        """How the bots are reached."""
        return "wss" if self.tls else "ws"

    @property
    def descriptors(self) -> int:
        """How many sockets the calls need in one process, at the most."""
        return self.calls * (3 if self.rtp_mode == "ports" else 1)
