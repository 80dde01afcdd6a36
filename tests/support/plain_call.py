"""One call between telephone and bot, written for clarity alone: what `Bridge` must give for each of its rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rtp import Codec, JitterBuffer, Pcm, ReceiveStream, Resampler, RtpError, RtpPacket, is_rtcp
from rtp.payload_coding import new_encoder
from sidecar.core.options import MixMode, StreamOptions
from sidecar.core.playout import PlayoutBuffer

ROW = np.array([0])


class PlainCall:
    """A `ReceiveStream`, resamplers of one row, and a list; the way back the same in reverse."""

    def __init__(self, options: StreamOptions, codec: Codec, payload_type: int, *, playout_seconds: float) -> None:
        rate = options.playback_rate
        self.options = options
        self.stream = ReceiveStream(codec, payload_type, fills_pauses=True)
        self.playout = PlayoutBuffer(
            frame_bytes=rate // 50 * 2,
            preroll=options.preroll / 1000,
            preroll_bytes=rate * 2 * options.preroll // 1000,
            capacity_bytes=int(rate * 2 * playout_seconds),
        )
        self.malformed = 0
        self._jitter_buffer = JitterBuffer()
        self._change_rate(codec.sample_rate)
        self._codec = codec
        self._encoder = new_encoder(codec)
        self._gathered = b""

    def receive(self, datagram: bytes, *, now: float) -> list[bytes]:
        """Take one datagram; return the messages that it completes."""
        if is_rtcp(datagram):  # which goes its own way: RFC 5761
            return []
        try:
            self.stream.receive(RtpPacket.parse(datagram), now=now)
        except RtpError:
            self.malformed += 1
        return self._from_caller()

    def handle_timeout(self, *, now: float) -> list[bytes]:
        """Conceal what has been missing for too long."""
        self.stream.handle_timeout(now=now)
        return self._from_caller()

    def change(self, codec: Codec, payload_type: int) -> None:
        """Go on with another codec, both ways."""
        self.stream.change(codec, payload_type)
        self._encoder = new_encoder(codec)
        if codec.sample_rate != self._codec.sample_rate:
            self._change_rate(codec.sample_rate)
            self._jitter_buffer.clear()
        self._codec = codec

    def play(self, *, now: float) -> tuple[bytes, list[bytes]]:
        """Return the payload of the next RTP packet, and the messages that what it says completes."""
        frame = self.playout.read(now=now) or bytes(self.options.playback_rate // 50 * 2)
        callee = self._down.process(ROW, np.frombuffer(frame, np.int16)[None])[0]
        return self._encoder.encode(callee), self._from_callee(callee)

    def take_rest(self) -> bytes:
        """Return the message that is not complete."""
        rest, self._gathered = self._gathered, b""
        return rest

    def _change_rate(self, wire_rate: int) -> None:
        self._left = Resampler(wire_rate, self.options.rate, rows=1)
        self._right = Resampler(wire_rate, self.options.rate, rows=1)
        self._down = Resampler(self.options.playback_rate, wire_rate, rows=1)

    def _from_caller(self) -> list[bytes]:
        messages: list[bytes] = []
        for frame in self.stream.take_frames():
            if self.options.mix is MixMode.MONO:
                messages += self._cut(self._resampled(self._left, frame))
            elif self.options.mix is not MixMode.CALLEE:
                self._jitter_buffer.write(frame)
        return messages

    def _from_callee(self, callee: Pcm) -> list[bytes]:
        if self.options.mix is MixMode.MONO:
            return []
        if self.options.mix is MixMode.CALLEE:
            return list(self._cut(self._resampled(self._left, callee)))
        caller = self._jitter_buffer.read()
        if caller is None:
            caller = np.zeros(self._codec.frame_samples, np.int16)
        if self.options.mix is MixMode.MIXED:
            both = (caller.astype(int) + callee).clip(-32768, 32767).astype(np.int16)
            return list(self._cut(self._resampled(self._left, both)))
        left, right = self._resampled(self._left, caller), self._resampled(self._right, callee)
        return list(self._cut(np.stack([left, right], axis=1).reshape(-1)))

    def _resampled(self, resampler: Resampler, frame: Pcm) -> Pcm:
        converted: Pcm = resampler.process(ROW, frame[None])[0]
        return converted

    def _cut(self, pcm: Pcm) -> Iterator[bytes]:
        channels = 2 if self.options.mix is MixMode.STEREO else 1
        size = self.options.buffer_size * self.options.rate // 1000 * 2 * channels
        self._gathered += pcm.astype("<i2").tobytes()
        while len(self._gathered) >= size:
            yield self._gathered[:size]
            self._gathered = self._gathered[size:]
