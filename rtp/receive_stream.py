"""The received audio of one call, put back in order: the slow path, and the oracle of the fast one."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtp import receive_limits as limits
from rtp.codec import Codec
from rtp.comfort_noise import background_level, noise_level
from rtp.concealment import HISTORY_MS, Concealment
from rtp.errors import RtpError
from rtp.packet import RtpPacket
from rtp.payload_coding import Decoder, new_decoder
from rtp.pcm import FRAME_MS, Pcm, converted
from rtp.receive_counters import ReceiveCounters
from rtp.sequence import TIMESTAMP_MODULUS, next_sequence_number, sequence_delta, timestamp_delta
from rtp.telephone_event import TelephoneEvent

COMFORT_NOISE_PAYLOAD_TYPE = 13
"""RFC 3551, section 6."""

_REMEMBERED_LOSSES = 128
_MOST_EVENTS = 64
_MOST_AHEAD_FRAMES = 3  # by which pauses filled by the clock may be too long, until the next pause
_LONGEST_PAUSE_FRAMES = 500  # 10 s: beyond it, and with a packet lost, a timestamp has not waited but jumped


@dataclass(slots=True)
class ReceiveStream:
    """Takes RTP packets as they come; gives 20 ms frames in order, one after the other, without a hole.

    A packet in order is passed on at once. A gap waits up to `REORDER_WAIT` for its packets, then is concealed. What
    follows the last packet in sequence but not in time comes after a pause, which is filled with noise; so are, if
    `fills_pauses`, pauses that have not ended yet, by the clock.
    """

    codec: Codec
    payload_type: int
    telephone_event_payload_type: int | None = None
    fills_pauses: bool = False
    counters: ReceiveCounters = field(default_factory=ReceiveCounters)
    ssrc: int | None = None
    expected_sequence: int = 0
    expected_timestamp: int = 0
    last_played_at: float = -math.inf  # seconds: when the packet came that was played last
    _decoder: Decoder = field(init=False)
    _former: tuple[Codec, int, Decoder] | None = None  # agreed on before: its packets may still be on their way
    _is_new: bool = False  # the codec is, and nothing of it was heard: its timestamps may be others
    _history: Pcm = field(init=False)
    _last_samples: int = 0  # of the last packet
    _waiting: dict[int, tuple[RtpPacket, float]] = field(default_factory=dict)
    _candidate: RtpPacket | None = None  # the first of another source, if a second one follows
    _heard_until: float = -math.inf  # time up to which there is audio, real or filled in
    _concealment: Concealment | None = None  # since the last packet that was played
    _noise_level: float | None = None  # that the sender has asked for, in this pause
    _fill_at: float | None = None  # in a pause: when its next frame is due
    _ahead: int = 0  # samples by which the pauses so far were filled too long
    _lost: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_LOSSES))
    _rest: Pcm = field(default_factory=lambda: np.empty(0, np.int16))  # less than a frame, until more comes
    _frames: list[Pcm] = field(default_factory=list)
    _events: deque[TelephoneEvent] = field(default_factory=lambda: deque(maxlen=_MOST_EVENTS))

    def __post_init__(self) -> None:
        self._decoder = new_decoder(self.codec)
        self._history = np.empty(0, np.int16)

    @property
    def settled(self) -> bool:
        """Whether a packet in order needs nothing but decoding: the fast path may take over."""
        waits = self._waiting or self._candidate or len(self._rest) or self._is_new
        return not (waits or math.isinf(self.last_played_at) or self._concealment or self._fill_at is not None)

    def receive(self, packet: RtpPacket, *, now: float, skips_gaps: bool = False) -> None:
        """Take one packet; `now` in seconds.

        With `skips_gaps`, what is missing before it is known to be lost: it is not waited for, nor filled.
        """
        self.counters.received += 1
        if self.ssrc is None or (packet.ssrc != self.ssrc and math.isinf(self.last_played_at)):
            self._restart(packet)  # before anything was heard, nobody has to prove anything: no first word is lost
        ahead = sequence_delta(packet.sequence_number, self.expected_sequence)
        farthest = limits.FARTHEST_SKIPPED if skips_gaps else limits.FARTHEST_AHEAD
        if packet.ssrc != self.ssrc or not -limits.FARTHEST_BEHIND <= ahead <= farthest:
            self._consider(packet, now=now)
            return
        self._candidate = None
        if ahead < 0:
            self._drop_old(packet)
        elif packet.sequence_number in self._waiting:
            self.counters.duplicate += 1
        else:
            self._waiting[packet.sequence_number] = (packet, now)
            self._play_in_order()
            while skips_gaps and self._waiting:
                self._skip_gap()

    def change(self, codec: Codec, payload_type: int, telephone_event_payload_type: int | None = None) -> None:
        """Go on with another codec; packets of the one before are still understood."""
        self.telephone_event_payload_type = telephone_event_payload_type
        if (codec, payload_type) == (self.codec, self.payload_type):
            return
        self._former, self._is_new = (self.codec, self.payload_type, self._decoder), True
        rate = self.codec.sample_rate
        self.codec, self.payload_type, self._decoder = codec, payload_type, new_decoder(codec)
        self._history = converted(self._history, rate, codec.sample_rate)
        self._rest = converted(self._rest, rate, codec.sample_rate)
        self._last_samples = self._last_samples * codec.sample_rate // rate
        self._ahead = 0
        self._concealment = None

    def skip(
        self, payloads: list[bytes], *, packets: int, lost: int = 0, sequence: int, timestamp: int, now: float
    ) -> None:
        """Take note of packets in order that were decoded elsewhere: how many, and the `payloads` of the last few.

        So many of them are `lost`, and were skipped. `sequence` and `timestamp` are those of the packet to come; `now`
        is when the last one came.
        """
        self.counters.received += packets
        self.counters.lost += lost
        self.expected_sequence, self.expected_timestamp = sequence, timestamp
        self._remember(self._decoder.decode(b"".join(payloads)))
        self._last_samples = self.codec.frame_samples
        self.last_played_at = max(self.last_played_at, now)
        self._heard_until = max(self._heard_until, now)
        self._fill_at = None

    def notice_pause(self, *, now: float) -> None:
        """Take note of when it was noticed that nothing comes; packets may yet be on their way."""
        self._fill_at = now + limits.FILL_EVERY

    def handle_timeout(self, *, now: float) -> None:
        """Conceal the gaps that have waited long enough; let a pause go on."""
        while self._waiting and self._oldest_arrival() + limits.REORDER_WAIT <= now:
            self._conceal_gap()
            self._play_in_order()
        due = self.next_timeout()
        if due is not None and not self._waiting and due <= now:
            self._fill_pause(now)

    def next_timeout(self) -> float | None:
        """Return when the oldest gap has waited long enough, or a pause is to be filled."""
        if self._waiting:
            return self._oldest_arrival() + limits.REORDER_WAIT
        if not self.fills_pauses or (self._fill_at is None and math.isinf(self.last_played_at)):
            return None
        return self.last_played_at + limits.PAUSE_AFTER if self._fill_at is None else self._fill_at

    @property
    def has_frames(self) -> bool:
        """Whether `take_frames` has something to give."""
        return bool(self._frames)

    @property
    def is_silent(self) -> bool:
        """Whether the sender has announced that it sends nothing for a while (RFC 3389)."""
        return self._noise_level is not None

    @property
    def has_telephone_events(self) -> bool:
        """Whether `take_telephone_events` has something to give."""
        return bool(self._events)

    def take_frames(self) -> list[Pcm]:
        """Return the frames int16[samples] that are ready, oldest first; each is given once."""
        frames, self._frames = self._frames, []
        return frames

    def take_telephone_events(self) -> list[TelephoneEvent]:
        """Return the packets of telephone events since the last time, the newest 64 at most."""
        events = list(self._events)
        self._events.clear()
        return events

    def _oldest_arrival(self) -> float:
        return min(arrival for _, arrival in self._waiting.values())

    def _first_waiting(self) -> int:
        return min(self._waiting, key=lambda number: sequence_delta(number, self.expected_sequence))

    # --- which source is heard

    def _restart(self, packet: RtpPacket) -> None:
        """Go on with a new source (RFC 3550, section 8.2): what waited of the old one is played, its gaps are not."""
        while self._waiting:
            self.expected_sequence = self._first_waiting()
            self.expected_timestamp = self._waiting[self.expected_sequence][0].timestamp
            self._play_in_order()
        if len(self._rest):  # of a source with other packet sizes: padded, or the row would never be settled again
            self._emit(np.zeros(self.codec.frame_samples - len(self._rest), np.int16))
        if self.ssrc is not None:
            self.counters.restarts += 1
        self.ssrc = packet.ssrc
        self.expected_sequence, self.expected_timestamp = packet.sequence_number, packet.timestamp
        self._candidate = None
        self._ahead = 0
        self._lost.clear()

    def _consider(self, packet: RtpPacket, *, now: float) -> None:
        """Believe a new source, or a jump, when a second packet follows the first (RFC 3550, appendix A.1).

        Then both are played: nothing that was said is lost.
        """
        first, self._candidate = self._candidate, packet
        self.counters.ignored += 1
        if first is None or packet.ssrc != first.ssrc:
            return
        if packet.sequence_number != next_sequence_number(first.sequence_number):
            return
        self.counters.ignored -= 2
        self._restart(first)
        self._play(first, arrival=now)
        self._play(packet, arrival=now)

    def _drop_old(self, packet: RtpPacket) -> None:
        if packet.sequence_number in self._lost:
            self._lost.remove(packet.sequence_number)
            self.counters.late += 1
        else:
            self.counters.duplicate += 1

    # --- what is heard

    def _play_in_order(self) -> None:
        while (entry := self._waiting.pop(self.expected_sequence, None)) is not None:
            self._play(entry[0], arrival=entry[1])

    def _play(self, packet: RtpPacket, *, arrival: float) -> None:
        self.expected_sequence = next_sequence_number(packet.sequence_number)
        if packet.payload_type == self.telephone_event_payload_type:
            self.counters.telephone_events += 1
            self.counters.dropped_events += len(self._events) == _MOST_EVENTS
            self._events.append(TelephoneEvent(packet.timestamp, packet.payload, packet.marker))
        elif packet.payload_type == COMFORT_NOISE_PAYLOAD_TYPE != self.payload_type:
            self._play_noise(packet, arrival=arrival)
        else:
            codec, pcm = self._decoded(packet)
            if pcm is None:
                self.counters.ignored += 1
            else:
                self._play_audio(packet.timestamp, codec, pcm, arrival=arrival)

    def _decoded(self, packet: RtpPacket) -> tuple[Codec, Pcm | None]:
        """Return the samples of an audio packet; None if it has none that we can hear."""
        codec, payload_type, decoder = self.codec, self.payload_type, self._decoder
        if self._former is not None and packet.payload_type == self._former[1] != payload_type:
            codec, payload_type, decoder = self._former
        too_long = codec.frame_bytes and len(packet.payload) > codec.frame_bytes * limits.LONGEST_MS // FRAME_MS
        if packet.payload_type != payload_type or not packet.payload or too_long:
            return codec, None
        try:
            return codec, decoder.decode(packet.payload)
        except RtpError:
            return codec, None

    def _play_audio(self, timestamp: int, codec: Codec, pcm: Pcm, *, arrival: float) -> None:
        if codec is not self.codec:
            pcm = converted(pcm, codec.sample_rate, self.codec.sample_rate)
        elif self._is_new:
            self._is_new = False
        else:
            self._fill_to(timestamp, until=arrival)
        if self._concealment is not None and self._concealment.is_audible:
            pcm = self._concealment.join(pcm)
        self.expected_timestamp = (timestamp + self.codec.ticks(len(pcm))) % TIMESTAMP_MODULUS
        self._last_samples = len(pcm)
        self._noise_level = self._concealment = self._fill_at = None
        self.last_played_at = max(self.last_played_at, arrival)
        self._heard_until = max(self._heard_until, arrival)
        self._remember(pcm)
        self._emit(pcm)

    def _play_noise(self, packet: RtpPacket, *, arrival: float) -> None:
        """Begin a pause, or go on with it at another level. See RFC 3389."""
        self.counters.comfort_noise += 1
        self._fill_to(packet.timestamp, until=arrival)
        self.expected_timestamp = packet.timestamp
        self._heard_until = max(self._heard_until, arrival)
        self._noise_level = noise_level(packet.payload)
        self._concealment = None
        if self._fill_at is None:
            self._fill_at = arrival + limits.FILL_EVERY

    # --- what is filled in

    def _conceal_gap(self) -> None:
        """Fill the time of the packets that are missing before the first that waits."""
        first, arrival = self._waiting[self._first_waiting()]
        missing = sequence_delta(first.sequence_number, self.expected_sequence)
        short = self.codec.samples(timestamp_delta(first.timestamp, self.expected_timestamp))
        jumped = self._is_new or not 0 <= short <= max(missing, _LONGEST_PAUSE_FRAMES) * self.codec.frame_samples
        if jumped:
            is_audio = first.payload_type == self.payload_type
            short = missing * self._last_samples if is_audio else 0  # an event has the time at which it began
            self.expected_timestamp = (first.timestamp - self.codec.ticks(short)) % TIMESTAMP_MODULUS
        short -= self._let_pass(min(short, self._ahead))
        self.counters.lost += missing
        following = first.payload if first.payload_type == self.payload_type else None
        for left in range(missing, 0, -1):
            self._lost.append(self.expected_sequence)
            self.expected_sequence = next_sequence_number(self.expected_sequence)
            samples = min(self._last_samples, short)
            if samples and self._heard_until < arrival + limits.CONCEALMENT_LEAD:
                short -= samples
                self._heard_until += samples / self.codec.sample_rate
                self.expected_timestamp = self._later(samples)
                self.counters.concealed += 1
                self._emit(self._stand_in(samples, following if left == 1 else None))

    def _skip_gap(self) -> None:
        """Go on with the first packet that waits: what is missing before it is lost, and its time is left out."""
        first, _ = self._waiting[self._first_waiting()]
        self.counters.lost += sequence_delta(first.sequence_number, self.expected_sequence)
        self.expected_sequence = first.sequence_number
        if first.payload_type == self.payload_type:  # an event has the time at which it began
            self.expected_timestamp = first.timestamp
        self._play_in_order()

    def _let_pass(self, samples: int) -> int:
        """Go on by so many samples, that were filled in already; return how many they are."""
        self._ahead -= samples
        self.expected_timestamp = self._later(samples)
        return samples

    def _later(self, samples: int) -> int:
        return (self.expected_timestamp + self.codec.ticks(samples)) % TIMESTAMP_MODULUS

    def _stand_in(self, samples: int, following: bytes | None) -> Pcm:
        """Return what is heard in place of a lost packet: of its codec if it knows better than we."""
        try:
            pcm = self._decoder.conceal(samples) if following is None else self._decoder.recover(following, samples)
        except RtpError:
            pcm = None
        if pcm is not None:
            self._concealment = None
        else:
            if self._concealment is None:
                level = self._noise_level or 0.0
                self._concealment = Concealment(self._history, self.codec.sample_rate, noise_level=level)
            pcm = self._concealment.take(samples)
        self._remember(pcm)
        return pcm

    def _fill_to(self, timestamp: int, *, until: float) -> None:
        """Fill the pause before a packet that follows in sequence, but not in time; as far as time has passed."""
        gap = self.codec.samples(timestamp_delta(timestamp, self.expected_timestamp))
        gap -= self._let_pass(min(max(gap, 0), self._ahead))
        self._ahead = min(self._ahead, _MOST_AHEAD_FRAMES * self.codec.frame_samples)
        passed = until + limits.PAUSE_LEAD - self._heard_until
        if gap > 0 and 0.0 < passed < math.inf:
            samples = min(gap, round(passed * self.codec.sample_rate))
            self._heard_until += samples / self.codec.sample_rate
            self._fill(samples)

    def _fill_pause(self, now: float) -> None:
        """Let time go on while nothing comes, a frame at a time.

        The first time it is noticed, nothing happens: what seems to be a pause may be packets that nobody has read yet.
        Nothing is caught up after a stall either, for the same reason.
        """
        if self._fill_at is None:
            self.notice_pause(now=now)
        else:
            following = self._fill_at + limits.FILL_EVERY
            self._fill_at = following if now < following else now + limits.FILL_EVERY
            self._ahead += self.codec.frame_samples
            self._heard_until += limits.FILL_EVERY
            self._fill(self.codec.frame_samples)

    def _fill(self, samples: int) -> None:
        """Give noise: of the level that the sender asks for, else of what was heard last."""
        if self._concealment is None:
            heard, level = self._history[:0], self._noise_level
            if level is None:
                heard, level = self._history, background_level(self._history, self.codec.sample_rate)
            self._concealment = Concealment(heard, self.codec.sample_rate, noise_level=level)
        self.counters.filled_ms += samples * 1000 // self.codec.sample_rate
        self._emit(self._concealment.take(samples))

    def _remember(self, pcm: Pcm) -> None:
        size = self.codec.sample_rate * HISTORY_MS // 1000
        self._history = np.concatenate([self._history, pcm])[-size:] if len(pcm) < size else pcm[-size:]

    def _emit(self, samples: Pcm) -> None:
        size = self.codec.frame_samples
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        whole = len(samples) // size * size
        self._frames.extend(samples[:whole].reshape(-1, size))
        self._rest = samples[whole:]
        if len(self._frames) > limits.MOST_FRAMES:
            self.counters.overrun_frames += len(self._frames) - limits.MOST_FRAMES
            del self._frames[limits.MOST_FRAMES :]
