"""The received audio of one call, put back in order: the slow path, and the oracle of the fast one."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtp.concealment import conceal
from rtp.g711 import CLOCK_RATE, Codec, decode_one
from rtp.packet import RtpPacket
from rtp.pcm import Pcm, frame_samples
from rtp.sequence import next_sequence_number, sequence_delta

REORDER_WAIT = 0.060
"""Seconds that a gap may wait for its packet before it is concealed."""

FARTHEST_AHEAD = 100
"""Packets that may be missing in a gap; beyond it the sender has restarted, and nothing is filled in."""

FARTHEST_BEHIND = 100
"""Packets that one may come too late; beyond it the sender has restarted."""

LONGEST_PAYLOAD = 480
"""Bytes of a packet, 60 ms; a longer one is ignored."""

CONCEALMENT_LEAD = 0.200
"""Seconds by which concealed audio may run ahead of the clock: no more can be missing than time has passed."""

MOST_FRAMES = 150
"""Frames that wait to be taken, 3 s; a sender that floods is not heard beyond it."""

_REMEMBERED_LOSSES = 128


@dataclass(slots=True)
class ReceiveCounters:
    """What happened to the packets of one call."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    ignored: int = 0  # of another payload type, or without payload
    restarts: int = 0
    concealed: int = 0  # packets whose time was filled; the others that were lost had none
    overrun_frames: int = 0


@dataclass(slots=True)
class ReceiveStream:
    """Takes RTP packets as they come; gives 20 ms frames in order, one after the other, without a hole.

    A packet in order is passed on at once. A gap waits up to `REORDER_WAIT` for its packets, then is concealed.
    """

    codec: Codec
    payload_type: int
    counters: ReceiveCounters = field(default_factory=ReceiveCounters)
    ssrc: int | None = None
    expected_sequence: int = 0
    last_payload: bytes = b""
    _last_codec: Codec = Codec.PCMU  # of that payload
    _former: tuple[Codec, int] | None = None  # what was agreed on before: its packets may still be on their way
    _waiting: dict[int, tuple[RtpPacket, float]] = field(default_factory=dict)
    _restart_at: int | None = None
    _heard_until: float = -math.inf  # time up to which there is audio, real or concealed
    _concealed_run: int = 0  # samples concealed since the last packet that was played
    _lost: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_LOSSES))
    _rest: Pcm = field(default_factory=lambda: np.empty(0, np.int16))  # less than a frame, until more comes
    _frames: list[Pcm] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether a packet in order needs nothing but decoding: the fast path may take over."""
        return self.ssrc is not None and not self._waiting and not len(self._rest) and self._restart_at is None

    def receive(self, packet: RtpPacket, *, now: float) -> None:
        """Take one packet; `now` in seconds."""
        self.counters.received += 1
        if packet.ssrc != self.ssrc:
            self._restart(packet)
        ahead = sequence_delta(packet.sequence_number, self.expected_sequence)
        if not -FARTHEST_BEHIND <= ahead <= FARTHEST_AHEAD:
            self._consider_restart(packet, now=now)
            return
        self._restart_at = None
        if ahead < 0:
            self._drop_old(packet)
        elif packet.sequence_number in self._waiting:
            self.counters.duplicate += 1
        else:
            self._waiting[packet.sequence_number] = (packet, now)
            self._play_in_order()

    def change(self, codec: Codec, payload_type: int) -> None:
        """Go on with another codec; packets of the one before are still understood."""
        if (codec, payload_type) != (self.codec, self.payload_type):
            self._former = self.codec, self.payload_type
            self.codec, self.payload_type = codec, payload_type

    def skip(self, *, packets: int, expected_sequence: int, last_payload: bytes, now: float) -> None:
        """Take note of packets in order that were decoded elsewhere: the newest was `last_payload`, at `now`."""
        self._heard_until = max(self._heard_until, now)
        self.counters.received += packets
        self.expected_sequence = expected_sequence
        self.last_payload, self._last_codec = last_payload, self.codec
        self._concealed_run = 0

    def handle_timeout(self, *, now: float) -> None:
        """Conceal the gaps that have waited long enough."""
        while self._waiting and self._oldest_arrival() + REORDER_WAIT <= now:
            first = self._first_waiting()
            self._conceal(sequence_delta(first, self.expected_sequence), until=self._waiting[first][1])
            self._play_in_order()

    def next_timeout(self) -> float | None:
        """Return when the oldest gap has waited long enough, if there is one."""
        return self._oldest_arrival() + REORDER_WAIT if self._waiting else None

    @property
    def has_frames(self) -> bool:
        """Whether `take_frames` has something to give."""
        return bool(self._frames)

    def take_frames(self) -> list[Pcm]:
        """Return the frames int16[160] that are ready, oldest first; each is given once."""
        frames, self._frames = self._frames, []
        return frames

    def _oldest_arrival(self) -> float:
        return min(arrival for _, arrival in self._waiting.values())

    def _first_waiting(self) -> int:
        return min(self._waiting, key=lambda number: sequence_delta(number, self.expected_sequence))

    def _restart(self, packet: RtpPacket) -> None:
        """Go on with a new source (RFC 3550, section 8.2): what waited of the old one is played, its gaps are not."""
        while self._waiting:
            self.expected_sequence = self._first_waiting()
            self._play_in_order()
        if len(self._rest):  # of a source with other packet sizes: padded, or the row would never be settled again
            self._emit(np.zeros(frame_samples(CLOCK_RATE) - len(self._rest), np.int16))
        if self.ssrc is not None:
            self.counters.restarts += 1
        self.ssrc = packet.ssrc
        self.expected_sequence = packet.sequence_number
        self._restart_at = None
        self._lost.clear()

    def _consider_restart(self, packet: RtpPacket, *, now: float) -> None:
        """Believe a jump of the sequence number when a second packet follows it (RFC 3550, appendix A.1)."""
        if packet.sequence_number != self._restart_at:
            self._restart_at = next_sequence_number(packet.sequence_number)
            self.counters.ignored += 1
            return
        self._restart(packet)
        self._play(packet, arrival=now)

    def _drop_old(self, packet: RtpPacket) -> None:
        if packet.sequence_number in self._lost:
            self._lost.remove(packet.sequence_number)
            self.counters.late += 1
        else:
            self.counters.duplicate += 1

    def _play_in_order(self) -> None:
        while (entry := self._waiting.pop(self.expected_sequence, None)) is not None:
            self._play(entry[0], arrival=entry[1])

    def _play(self, packet: RtpPacket, *, arrival: float) -> None:
        self.expected_sequence = next_sequence_number(packet.sequence_number)
        codec = self._codec_of(packet.payload_type)
        if codec is None or not 0 < len(packet.payload) <= LONGEST_PAYLOAD:
            self.counters.ignored += 1
            return
        self.last_payload, self._last_codec = packet.payload, codec
        self._heard_until = max(self._heard_until, arrival)
        self._concealed_run = 0
        self._emit(decode_one(packet.payload, codec))

    def _codec_of(self, payload_type: int) -> Codec | None:
        if payload_type == self.payload_type:
            return self.codec
        return self._former[0] if self._former is not None and payload_type == self._former[1] else None

    def _conceal(self, missing: int, *, until: float) -> None:
        """Fill the time of `missing` packets, each as long as the last one, as far as time has passed `until` then."""
        last = decode_one(self.last_payload, self._last_codec)
        self.counters.lost += missing
        for _ in range(missing):
            self._lost.append(self.expected_sequence)
            self.expected_sequence = next_sequence_number(self.expected_sequence)
            if len(last) and self._heard_until < until + CONCEALMENT_LEAD:
                self._heard_until += len(last) / CLOCK_RATE
                self.counters.concealed += 1
                self._emit(conceal(last, already=self._concealed_run))
                self._concealed_run += len(last)

    def _emit(self, samples: Pcm) -> None:
        size = frame_samples(CLOCK_RATE)
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        whole = len(samples) // size * size
        self._frames.extend(samples[:whole].reshape(-1, size))
        self._rest = samples[whole:]
        if len(self._frames) > MOST_FRAMES:
            self.counters.overrun_frames += len(self._frames) - MOST_FRAMES
            del self._frames[MOST_FRAMES:]
