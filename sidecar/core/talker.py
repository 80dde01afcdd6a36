"""The audio of one call as a telephone has it: what it says, what it hears, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from rtp import CLOCK_RATE, FRAME_MS, Codec, Pacer, Pcm, ReceiveStream, RtpError, RtpPacket, frame_samples
from rtp.g711 import encode_one
from rtp.sequence import TIMESTAMP_MODULUS, next_sequence_number

Address = tuple[str, int]

_FRAME = frame_samples(CLOCK_RATE)
_CATCH_UP_MAX = 5  # frames sent at once after a stall
_HEARD_TOO_MUCH = 500  # frames that may come in beyond those that we send: the bound of the recording


@dataclass(frozen=True, slots=True)
class TalkEnded:
    """The last frame is sent, and its time is over."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where the audio of a call goes, and how, as SDP has settled it."""

    remote: Address
    codec: Codec
    payload_type: int  # to send with
    receive_payload_type: int


@dataclass(frozen=True, slots=True)
class Recording:
    """What was said and heard: int16 at 8 kHz, and for each 20 ms of it the time in seconds, float64[frames].

    A frame is sent when its packet is, and is heard when its packet arrives.
    """

    sent: Pcm = field(default_factory=lambda: np.empty(0, np.int16))
    sent_at: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    heard: Pcm = field(default_factory=lambda: np.empty(0, np.int16))
    heard_at: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    frames_skipped: int = 0  # ours, that were too late to be sent
    packets_ignored: int = 0  # theirs, that are no audio of this call
    packets_lost: int = 0  # theirs, that never came


class Talker:
    """Says a signal, then silence, in packets of 20 ms on a grid; keeps what comes back in order.

    `signal` is int16[n] at 8 kHz; the talk ends after `frames` frames of 20 ms.
    """

    def __init__(self, signal: Pcm, *, frames: int, random: Random) -> None:
        samples = frames * _FRAME
        self._signal = np.zeros(samples, np.int16)
        self._signal[: min(len(signal), samples)] = signal[:samples]
        self._frames = frames
        self._ssrc = random.getrandbits(32)
        self._sequence_number = random.getrandbits(16)
        self._timestamp = random.getrandbits(32)
        self._pacer = Pacer(FRAME_MS / 1000, _CATCH_UP_MAX)
        self._line: Line | None = None
        self._stream: ReceiveStream | None = None
        self._next_frame = 0
        self._ended = False
        self._outbox: list[tuple[bytes, Address]] = []
        self._events: list[TalkEnded] = []
        self._sent: list[tuple[int, float]] = []  # the frame, and when
        self._heard: list[tuple[Pcm, float]] = []
        self._ignored = 0

    @property
    def frames_sent(self) -> int:
        """Frames of 20 ms sent so far."""
        return len(self._sent)

    @property
    def frames_heard(self) -> int:
        """Frames of 20 ms heard so far."""
        return len(self._heard)

    def start(self, line: Line, *, now: float) -> None:
        """Begin to send and to listen; `now` in seconds."""
        self._line = line
        self._stream = ReceiveStream(line.codec, line.receive_payload_type)
        self._pacer.next_timeout = now

    def receive_datagram(self, data: bytes, addr: Address, *, now: float) -> None:
        """Take one packet; what is no RTP, or comes from elsewhere, is counted and dropped."""
        if self._line is None or self._stream is None or addr != self._line.remote:
            self._ignored += 1
            return
        try:
            packet = RtpPacket.parse(data)
        except RtpError:
            self._ignored += 1
            return
        self._stream.receive(packet, now=now)
        self._keep(now)

    def handle_timeout(self, *, now: float) -> None:
        """Send the frames that are due; give up on packets that waited too long for others."""
        if self._stream is None:
            return
        self._stream.handle_timeout(now=now)
        self._keep(now)
        if self._ended:
            return
        skipped, due = self._pacer.due(now=now)
        self._next_frame += skipped
        for _ in range(due):
            self._say(now)

    def next_timeout(self) -> float | None:
        """Return when the next frame is due, or a gap in what we hear has waited long enough."""
        due = None if self._ended else self._pacer.next_timeout
        gap = self._stream.next_timeout() if self._stream is not None else None
        return min((at for at in (due, gap) if at is not None), default=None)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent, and forget it."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> TalkEnded | None:
        """Return `TalkEnded` once, 20 ms after the last frame."""
        return self._events.pop() if self._events else None

    def recording(self) -> Recording:
        """Return what was said and heard until now."""
        numbers = np.array([frame for frame, _ in self._sent], np.int64)
        received = self._stream.counters if self._stream is not None else None
        return Recording(
            sent=self._signal.reshape(-1, _FRAME)[numbers].reshape(-1),
            sent_at=np.array([at for _, at in self._sent], np.float64),
            heard=np.concatenate([np.empty(0, np.int16), *(frame for frame, _ in self._heard)]),
            heard_at=np.array([at for _, at in self._heard], np.float64),
            frames_skipped=self._pacer.skipped,
            packets_ignored=self._ignored + (received.ignored if received else 0),
            packets_lost=received.lost if received else 0,
        )

    def _say(self, now: float) -> None:
        frame = self._next_frame
        if frame >= self._frames:
            self._ended = True
            self._events = [TalkEnded()]
            return
        assert self._line is not None
        packet = RtpPacket(
            self._line.payload_type,
            self._sequence_number,
            (self._timestamp + frame * _FRAME) % TIMESTAMP_MODULUS,
            self._ssrc,
            encode_one(self._signal[frame * _FRAME : (frame + 1) * _FRAME], self._line.codec),
            marker=not self._sent,
        )
        self._outbox.append((bytes(packet), self._line.remote))
        self._sent.append((frame, now))
        self._sequence_number = next_sequence_number(self._sequence_number)
        self._next_frame += 1

    def _keep(self, now: float) -> None:
        assert self._stream is not None
        for frame in self._stream.take_frames():
            if len(self._heard) < self._frames + _HEARD_TOO_MUCH:
                self._heard.append((frame, now))
