"""The RTP of many calls at once: calls are rows, what is known of them are columns.

Nothing here is done per packet in the common case. A batch of datagrams is routed, checked, and decoded by a handful of
array operations, whether it holds one packet or a thousand. What is not plainly the next packet of a known call goes
to that call's `ReceiveStream`, one at a time; its frames are the same as if all packets had gone there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from rtp.codec import Codec
from rtp.concealment import HISTORY_MS
from rtp.errors import RtpError
from rtp.gate import Gate
from rtp.heard_rows import HeardRows
from rtp.leg import Leg
from rtp.packet import HEADER_BYTES, RtpPacket
from rtp.payload_coding import Bytes, decode_rows
from rtp.pcm import FRAME_MS, Frames, Pcm, Rows, groups
from rtp.receive_counters import ReceiveCounters
from rtp.receive_stream import PAUSE_AFTER, ReceiveStream
from rtp.routes import AddressKeys
from rtp.send_rows import SendRows
from rtp.telephone_event import TelephoneEvent

_RECENT = HISTORY_MS // FRAME_MS  # payloads that are kept of each call
_LONGEST_PLAIN = max(codec.frame_bytes for codec in Codec)

_MOST_ROUNDS = 100  # packets of one call in a batch: 2 s


@dataclass
class MediaPlane:
    """Receives and sends the RTP of up to `capacity` calls."""

    capacity: int
    random: Random
    gate: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        rows = self.capacity
        self.heard = HeardRows(rows)
        self.sending = SendRows(rows)
        self._free = list(range(rows - 1, -1, -1))
        self._streams: dict[int, ReceiveStream] = {}
        self._waiting: set[int] = set()  # rows whose stream has a deadline
        self._with_frames: set[int] = set()  # rows whose stream has audio to give
        self._with_events: set[int] = set()  # rows whose stream has telephone events to give
        self._codec = np.zeros(rows, np.uint8)
        self._payload_type = np.zeros(rows, np.uint8)
        # Receiving. While a row is `_fast`, these columns are its state; else its `ReceiveStream` is.
        self._fast = np.zeros(rows, np.bool_)
        self._ssrc = np.zeros(rows, np.uint32)
        self._expected = np.zeros(rows, np.uint16)
        self._expected_timestamp = np.zeros(rows, np.uint32)
        self._plain_bytes = np.zeros(rows, np.uint32)  # of a packet that is plain; 0: none is
        self._frame_ticks = np.zeros(rows, np.uint32)
        self._recent = np.zeros((rows, _RECENT, _LONGEST_PLAIN), np.uint8)
        self._fast_received = np.zeros(rows, np.int64)
        self._arrived = np.zeros(rows)  # seconds: when the last of them came
        self._next_look = np.inf  # before that, none of them can have paused
        self._last_of_row = np.zeros(rows, np.int64)  # scratch of `_rounds`

    # --- calls come and go

    @property
    def calls(self) -> int:
        """How many rows are taken."""
        return len(self._streams)

    def open(self, leg: Leg) -> int | None:
        """Take a row for a call. If its leg has no destination, `change` gives one later.

        Return None when all rows are taken, or when the destination is already the address of another call: a call must
        never hear, or be heard by, another's bot. Raise ImportError or OSError if this machine lacks what the codec
        needs.
        """
        if not self._free:
            return None
        row = self._free[-1]
        stream = ReceiveStream(leg.codec, leg.payload_type, leg.telephone_event_payload_type, fills_pauses=True)
        if not self.gate.open(row, leg):
            return None
        self._free.pop()
        self._streams[row] = stream
        self._fast[row] = False
        self._fast_received[row] = 0
        self.heard.open(row)
        self._set(row, leg)
        self.sending.open(row, leg, self.random)
        return row

    def change(self, row: int, leg: Leg, *, now: float) -> bool:
        """Let the call in `row` go on with another codec, or elsewhere; `now` in seconds.

        False, and all is as before, if the destination is the address of another call. What is received stays in order
        across the change, what is sent keeps its SSRC, and its next packet begins a talkspurt (RFC 3551, section 4.1).
        """
        if not self.gate.change(row, leg, now=now):
            return False
        self._load(row)
        self._streams[row].change(leg.codec, leg.payload_type, leg.telephone_event_payload_type)
        self._set(row, leg)
        self.sending.change(row, leg)
        self._store(row)
        return True

    def _set(self, row: int, leg: Leg) -> None:
        self._codec[row] = leg.codec
        self._payload_type[row] = leg.payload_type
        self._plain_bytes[row] = 0 if leg.codec.has_memory else HEADER_BYTES + leg.codec.frame_bytes
        self._frame_ticks[row] = leg.codec.frame_ticks
        self.heard.set_telephone_event(row, leg.telephone_event_payload_type)

    def close(self, row: int) -> ReceiveCounters:
        """Give the row back; return what happened to the packets of the call."""
        counters = self.receive_counters(row)
        del self._streams[row]
        self.sending.close(row)
        self._waiting.discard(row)
        self._with_frames.discard(row)
        self._with_events.discard(row)
        self._fast[row] = False
        self.gate.close(row)
        self._free.append(row)
        return counters

    def receive_counters(self, row: int) -> ReceiveCounters:
        """Return what happened to the packets of the call in `row` so far."""
        self._load(row)
        return self._streams[row].counters

    def codec(self, row: int) -> Codec:
        """Return the codec of the call in `row`."""
        return self._streams[row].codec

    def is_silent(self, row: int) -> bool:
        """Tell whether the other side has announced that it sends nothing for a while (RFC 3389)."""
        return self._streams[row].is_silent

    def rows_with_events(self) -> list[int]:
        """Return the rows that have got telephone events since the last time."""
        rows = sorted(self._with_events)
        self._with_events.clear()
        return rows

    def take_telephone_events(self, row: int) -> list[TelephoneEvent]:
        """Return the packets of telephone events (RFC 4733) that came since the last time."""
        return self._streams[row].take_telephone_events()

    # --- receiving

    def receive(
        self, data: Bytes, lengths: NDArray[np.uint32], sources: AddressKeys, *, now: float
    ) -> Iterator[Frames]:
        """Take datagrams uint8[n, m] of which `lengths` bytes each are filled; give their audio."""
        data, lengths, rows = self.gate.admit(data, lengths, sources, now=now)
        for chosen in self._rounds(rows):
            if chosen is None:
                yield from self._receive_round(data, lengths, rows, now=now)
            else:
                yield from self._receive_round(data[chosen], lengths[chosen], rows[chosen], now=now)

    def handle_timeout(self, *, now: float) -> Iterator[Frames]:
        """Conceal what has been missing for too long; let pauses go on."""
        if self._next_look <= now:
            self._look_for_pauses(now)
        for row in list(self._waiting):
            at = self._streams[row].next_timeout()
            if at is not None and at <= now:
                self._streams[row].handle_timeout(now=now)
                self._store(row)
        self.gate.handle_timeout(now=now)
        yield from self._slow_frames()

    def next_timeout(self) -> float | None:
        """Return when a gap is to be concealed, or a pause to be filled, next."""
        deadlines = [at for row in self._waiting if (at := self._streams[row].next_timeout()) is not None]
        deadlines += (self._arrived[self._fast] + PAUSE_AFTER).tolist()
        return min(deadlines, default=None)

    def _look_for_pauses(self, now: float) -> None:
        """Hand fast rows of which nothing was heard for a while to their streams."""
        due = self._arrived + PAUSE_AFTER
        for row in np.flatnonzero(self._fast & (due <= now)).tolist():
            self._load(row)
            self._waiting.add(row)
        self._next_look = float(due[self._fast & (due > now)].min(initial=np.inf))

    def _rounds(self, rows: Rows) -> Iterator[NDArray[np.int64] | None]:
        """Split a batch so that no row comes twice in a round; None stands for the whole batch.

        What one call sends beyond `_MOST_ROUNDS` packets is dropped: it must not keep all others waiting.
        """
        order = np.arange(len(rows))
        self._last_of_row[rows] = order
        if (self._last_of_row[rows] == order).all():
            if len(rows):
                yield None
            return
        by_row = np.argsort(rows, kind="stable")
        starts = np.flatnonzero(np.diff(rows[by_row], prepend=-1))
        run_start = np.repeat(starts, np.diff(starts, append=len(rows)))
        turn = np.empty_like(order)
        turn[by_row] = order - run_start
        self.gate.counters.flooded += int(np.count_nonzero(turn >= _MOST_ROUNDS))
        for number in range(min(int(turn.max()) + 1, _MOST_ROUNDS)):
            yield np.flatnonzero(turn == number)

    def _receive_round(self, data: Bytes, lengths: NDArray[np.uint32], rows: Rows, *, now: float) -> Iterator[Frames]:
        header = np.ascontiguousarray(data[:, :HEADER_BYTES])
        sequence = header[:, 2:4].copy().view(">u2")[:, 0].astype(np.uint16)
        timestamp = header[:, 4:8].copy().view(">u4")[:, 0].astype(np.uint32)
        ssrc = header[:, 8:12].copy().view(">u4")[:, 0].astype(np.uint32)
        plain = (
            (lengths == self._plain_bytes[rows])
            & (header[:, 0] == 0x80)
            & (header[:, 1] & 0x7F == self._payload_type[rows])
            & (sequence == self._expected[rows])
            & (timestamp == self._expected_timestamp[rows])
            & (ssrc == self._ssrc[rows])
            & self._fast[rows]
        )
        self.heard.receive(rows, header[:, 1] & np.uint8(0x7F), sequence, timestamp, ssrc, now=now)
        slow = None
        if not plain.all():
            slow = np.flatnonzero(~plain)
            slow_data, slow_lengths, slow_rows = data[slow], lengths[slow], rows[slow]
            data, lengths, rows = data[plain], lengths[plain], rows[plain]
        for chosen in groups(lengths):
            yield self._receive_plainly(data[chosen], int(lengths[chosen][0]), rows[chosen], now=now)
        if slow is not None:
            for at, row in enumerate(slow_rows.tolist()):
                self._receive_slowly(row, slow_data[at, : slow_lengths[at]].tobytes(), now=now)
            yield from self._slow_frames()

    def _receive_plainly(self, data: Bytes, length: int, rows: Rows, *, now: float) -> Frames:
        """Decode the next packet of each of `rows`, all of the same length."""
        payload = data[:, HEADER_BYTES:length]
        self._expected[rows] += np.uint16(1)
        self._expected_timestamp[rows] += self._frame_ticks[rows]
        self._recent[rows, self._fast_received[rows] % _RECENT, : length - HEADER_BYTES] = payload
        self._fast_received[rows] += 1
        self._arrived[rows] = now
        return Frames(rows, decode_rows(payload, self._codec[rows]))

    def _receive_slowly(self, row: int, datagram: bytes, *, now: float) -> None:
        try:
            packet = RtpPacket.parse(datagram)
        except RtpError:
            self.gate.counters.malformed += 1
            return
        self._load(row)
        stream = self._streams[row]
        stream.receive(packet, now=now)
        assert stream.ssrc is not None, "who is heard has a source"
        self.heard.set_source(row, stream.ssrc, clock_rate=stream.codec.clock_rate)
        self._store(row)

    def _load(self, row: int) -> None:
        """Make the row's `ReceiveStream` know what the columns know."""
        stream = self._streams[row]
        received = int(self._fast_received[row])
        if self._fast[row] and received:
            recent = range(max(0, received - _RECENT), received)
            stream.skip(
                [self._recent[row, number % _RECENT, : stream.codec.frame_bytes].tobytes() for number in recent],
                packets=received,
                sequence=int(self._expected[row]),
                timestamp=int(self._expected_timestamp[row]),
                now=float(self._arrived[row]),
            )
            self._fast_received[row] = 0

    def _store(self, row: int) -> None:
        """Make the columns know what the row's `ReceiveStream` knows."""
        stream = self._streams[row]
        self._fast[row] = stream.settled and self._plain_bytes[row] > 0
        if self._fast[row]:
            self._expected[row] = stream.expected_sequence
            self._expected_timestamp[row] = stream.expected_timestamp
            self._ssrc[row] = stream.ssrc or 0
            self._arrived[row] = stream.last_played_at
            self._next_look = min(self._next_look, stream.last_played_at + PAUSE_AFTER)
            self._waiting.discard(row)
        elif stream.next_timeout() is not None:
            self._waiting.add(row)
        if stream.has_frames:
            self._with_frames.add(row)
        if stream.has_telephone_events:
            self._with_events.add(row)

    def _slow_frames(self) -> Iterator[Frames]:
        """Give what the slow path has ready, in rounds that hold each row once."""
        ready = [(row, self._streams[row].take_frames()) for row in sorted(self._with_frames)]
        self._with_frames.clear()
        while ready:
            by_size: dict[int, list[tuple[int, Pcm]]] = {}
            for row, frames in ready:
                by_size.setdefault(frames[0].size, []).append((row, frames.pop(0)))
            for chosen in by_size.values():
                yield Frames(np.array([row for row, _ in chosen]), np.stack([pcm for _, pcm in chosen]))
            ready = [(row, frames) for row, frames in ready if frames]

    # --- sending

    def send(self, frames: Frames, packets: Bytes, lengths: NDArray[np.uint64], destinations: AddressKeys) -> int:
        """Write the packets that these frames complete; see `SendRows.send`."""
        return self.sending.send(frames, packets, lengths, destinations)

    def skip(self, rows: Rows, frames: int) -> None:
        """Let time pass without packets: timestamps follow it, and the next packet begins a talkspurt."""
        self.sending.skip(rows, frames)
