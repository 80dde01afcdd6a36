"""The way up of all calls of one format: from frames of RTP to messages to the bot."""

from __future__ import annotations

from dataclasses import dataclass

from rtp import FRAME_MS, JitterRows, Pcm, Resampler, Rows, frame_samples, interleave
from sidecar.core.message_cutter import MessageCutter
from sidecar.core.options import MixMode


@dataclass(frozen=True, slots=True)
class UplinkKey:
    """An uplink format."""

    mix: MixMode
    wire_rate: int  # Hz, of the codec
    rate: int  # Hz, of the messages
    buffer_ms: int


class Uplink:
    """What the rows of one uplink format share: from frames at the wire's rate to WebSocket frames."""

    def __init__(self, key: UplinkKey, rows: int, *, number: int, jitter_frames: int) -> None:
        channels = 2 if key.mix is MixMode.STEREO else 1
        self.key = key
        self.number = number
        self.mix = key.mix
        self.calls = 0
        self.callers: JitterRows | None = None  # their voices, where they are paired with what they hear
        if key.mix in (MixMode.MIXED, MixMode.STEREO):
            samples = frame_samples(key.wire_rate)
            self.callers = JitterRows(rows, frame_samples=samples, max_frames=jitter_frames)
        self._resamplers = [Resampler(key.wire_rate, key.rate, rows=rows) for _ in range(channels)]
        self._cutter = MessageCutter(
            frame_samples=channels * frame_samples(key.rate), frames=key.buffer_ms // FRAME_MS, rows=rows
        )

    def reset(self, row: int) -> None:
        """Begin a call in `row`."""
        for resampler in self._resamplers:
            resampler.reset(row)
        self._cutter.take_rest(row)
        if self.callers is not None:
            self.callers.reset(row)

    def dropped_frames(self, row: int) -> int:
        """Return how many frames of the caller in `row` were left out."""
        return 0 if self.callers is None else self.callers.dropped_frames(row)

    def messages(self, rows: Rows, voices: list[Pcm]) -> tuple[Rows, Pcm]:
        """Take a 20 ms frame int16[n, m] of each voice; give the messages that are complete, and whose they are."""
        pcm = [resampler.process(rows, voice) for resampler, voice in zip(self._resamplers, voices, strict=True)]
        return self._cutter.cut(rows, pcm[0] if len(pcm) == 1 else interleave(*pcm))

    def take_rest(self, row: int) -> Pcm:
        """Return the message of `row` that has begun, as far as it is, and forget it."""
        return self._cutter.take_rest(row)

    def begin_with(self, row: int, rest: Pcm) -> None:
        """Go on with a message that another format has begun."""
        self._cutter.begin_with(row, rest)
