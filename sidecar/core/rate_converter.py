"""Raw audio of one call, from the rate that it has to the rate that its queue has."""

from __future__ import annotations

import numpy as np

from rtp import Resampler, frame_samples

_ROW = np.array([0])


class RateConverter:
    """Converts L16 little-endian of any length, in whole frames of 20 ms: what is left waits for more."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        """Convert from `rate_in` to `rate_out`, in Hz."""
        self.rate_in = rate_in
        self._resampler = Resampler(rate_in, rate_out, rows=1)
        self._frame_bytes = 2 * frame_samples(rate_in)
        self._rest = b""

    def convert(self, data: bytes) -> bytes:
        """Return what `data` completes."""
        data = self._rest + data
        whole = len(data) // self._frame_bytes * self._frame_bytes
        self._rest = data[whole:]
        frames = np.frombuffer(data[:whole], "<i2").reshape(-1, 1, self._frame_bytes // 2)
        return b"".join(self._resampler.process(_ROW, frame).astype("<i2").tobytes() for frame in frames)

    def flush(self) -> bytes:
        """Return what waits, filled up with silence to a whole frame."""
        return self.convert(bytes(-len(self._rest) % self._frame_bytes))

    def take_rest(self) -> bytes:
        """Return what waits as it is, and forget it."""
        rest, self._rest = self._rest, b""
        return rest
