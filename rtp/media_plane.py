"""The RTP of many calls at once: calls are rows, what is known of them are columns.

Nothing here is done per packet in the common case. A batch of datagrams is routed, checked, and decoded by a handful of
array operations, whether it holds one packet or a thousand. What is not plainly the next packet of a known call goes
to that call's `ReceiveStream`, one at a time; its frames are the same as if all packets had gone there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp.errors import RtpError
from rtp.g711 import CLOCK_RATE, Codec, decode, encode
from rtp.packet import HEADER_BYTES, RtpPacket
from rtp.pcm import Pcm, Rows, frame_samples
from rtp.receive_stream import ReceiveCounters, ReceiveStream
from rtp.routes import NOBODY, AddressKeys, Routes

FRAME_SAMPLES = frame_samples(CLOCK_RATE)
PACKET_BYTES = HEADER_BYTES + FRAME_SAMPLES

Bytes = NDArray[np.uint8]

STILL_HEARD = 2.0
"""Seconds for which a call that moved is heard from where it was, until it is heard from where it is: the other side
moves once it has our answer."""

_MOST_ROUNDS = 100  # packets of one call in a batch: 2 s


class Frames(NamedTuple):
    """One 20 ms frame of each of some calls."""

    rows: Rows
    pcm: Pcm  # int16[n, 160]


@dataclass(slots=True)
class PlaneCounters:
    """Datagrams that reached no call."""

    unknown_source: int = 0
    malformed: int = 0
    oversized: int = 0
    flooded: int = 0  # more of one call at a time than anybody can have said


@dataclass
class MediaPlane:
    """Receives and sends the RTP of up to `capacity` calls."""

    capacity: int
    random: Random
    counters: PlaneCounters = field(default_factory=PlaneCounters)

    def __post_init__(self) -> None:
        rows = self.capacity
        self._routes = Routes()
        self._free = list(range(rows - 1, -1, -1))
        self._streams: dict[int, ReceiveStream] = {}
        self._addresses: dict[int, tuple[int, ...]] = {}
        self._moved: dict[int, float] = {}  # until when these rows are heard from where they were
        self._waiting: set[int] = set()  # rows whose stream has a deadline
        self._with_frames: set[int] = set()  # rows whose stream has audio to give
        self._codec = np.zeros(rows, np.uint8)
        self._payload_type = np.zeros(rows, np.uint8)
        # Receiving. While a row is `_fast`, these columns are its state; else its `ReceiveStream` is.
        self._fast = np.zeros(rows, np.bool_)
        self._ssrc = np.zeros(rows, np.uint32)
        self._expected = np.zeros(rows, np.uint16)
        self._last_payload = np.zeros((rows, FRAME_SAMPLES), np.uint8)
        self._fast_received = np.zeros(rows, np.int64)
        self._arrived = np.zeros(rows)  # seconds: when the last of them came
        # Sending.
        self._destination = np.zeros(rows, np.uint64)
        self._send_payload_type = np.zeros(rows, np.uint8)
        self._send_ssrc = np.zeros(rows, np.uint32)
        self._send_sequence = np.zeros(rows, np.uint16)
        self._send_timestamp = np.zeros(rows, np.uint32)
        self._marker = np.zeros(rows, np.uint8)
        self._sent = np.zeros(rows, np.int64)
        self._last_of_row = np.zeros(rows, np.int64)  # scratch of `_rounds`

    # --- calls come and go

    @property
    def calls(self) -> int:
        """How many rows are taken."""
        return len(self._streams)

    def open(
        self, *, codec: Codec, payload_type: int, send_payload_type: int, destination: int | None, sources: list[int]
    ) -> int | None:
        """Take a row for a call; addresses are keys (`address_key`). Without `destination`, `change` gives one later.

        Return None when all rows are taken, or when `destination` is already the address of another call: a call
        must never hear, or be heard by, another's bot.
        """
        if not self._free:
            return None
        row = self._free[-1]
        if destination is not None and not self._routes.add(destination, row):
            return None
        self._free.pop()
        self._streams[row] = ReceiveStream(codec, payload_type)
        self._set(row, codec, payload_type, send_payload_type, destination, sources)
        self._fast[row] = False
        self._fast_received[row] = 0
        self._send_ssrc[row] = self.random.getrandbits(32)
        self._send_sequence[row] = self.random.getrandbits(16)
        self._send_timestamp[row] = self.random.getrandbits(32)
        self._sent[row] = 0
        return row

    def change(
        self,
        row: int,
        *,
        codec: Codec,
        payload_type: int,
        send_payload_type: int,
        destination: int,
        sources: list[int],
        now: float,
    ) -> bool:
        """Let the call in `row` go on with another codec, or elsewhere; `now` in seconds.

        False, and all is as before, if `destination` is the address of another call. What is received stays in order
        across the change, what is sent keeps its SSRC, and its next packet begins a talkspurt (RFC 3551, section 4.1).
        """
        if not self._routes.add(destination, row):
            return False
        self._routes.remove_row(row, but=(*self._addresses[row], destination))  # moved twice: nothing adds up
        self._moved[row] = now + STILL_HEARD
        self._load(row)
        self._streams[row].change(codec, payload_type)
        self._set(row, codec, payload_type, send_payload_type, destination, sources)
        return True

    def _set(
        self,
        row: int,
        codec: Codec,
        payload_type: int,
        send_payload_type: int,
        destination: int | None,
        sources: list[int],
    ) -> None:
        for source in sources:
            self._routes.add(source, row)
        self._addresses[row] = (*sources,) if destination is None else (destination, *sources)
        self._codec[row] = codec
        self._payload_type[row] = payload_type
        self._destination[row] = destination or 0
        self._send_payload_type[row] = send_payload_type
        self._marker[row] = 0x80

    def close(self, row: int) -> ReceiveCounters:
        """Give the row back; return what happened to the packets of the call."""
        counters = self.receive_counters(row)
        del self._streams[row]
        self._waiting.discard(row)
        self._with_frames.discard(row)
        self._moved.pop(row, None)
        self._fast[row] = False
        self._routes.remove_row(row)
        self._free.append(row)
        return counters

    def receive_counters(self, row: int) -> ReceiveCounters:
        """Return what happened to the packets of the call in `row` so far."""
        self._load(row)
        return self._streams[row].counters

    def packets_sent(self, row: int) -> int:
        """Return how many packets the call in `row` was sent."""
        return int(self._sent[row])

    # --- receiving

    def receive(
        self, data: Bytes, lengths: NDArray[np.uint32], sources: AddressKeys, *, now: float
    ) -> Iterator[Frames]:
        """Take datagrams uint8[n, m] of which `lengths` bytes each are filled; give their audio.

        A datagram that fills its whole row did not fit, and is dropped.
        """
        rows = self._routes.find(sources)
        if self._moved:
            self._note_arrivals(sources)
        known = rows != NOBODY
        fits = lengths < data.shape[1]
        if not (known & fits).all():
            self.counters.unknown_source += int(np.count_nonzero(~known))
            self.counters.oversized += int(np.count_nonzero(known & ~fits))
            keep = np.flatnonzero(known & fits)
            data, lengths, rows = data[keep], lengths[keep], rows[keep]
        for chosen in self._rounds(rows):
            if chosen is None:
                yield from self._receive_round(data, lengths, rows, now=now)
            else:
                yield from self._receive_round(data[chosen], lengths[chosen], rows[chosen], now=now)

    def handle_timeout(self, *, now: float) -> Iterator[Frames]:
        """Conceal what has been missing for too long."""
        for row in list(self._waiting):
            at = self._streams[row].next_timeout()
            if at is not None and at <= now:
                self._streams[row].handle_timeout(now=now)
                self._store(row)
        self._leave([row for row, until in self._moved.items() if until <= now])
        yield from self._slow_frames()

    def next_timeout(self) -> float | None:
        """Return when a gap is to be concealed next."""
        deadlines = (self._streams[row].next_timeout() for row in self._waiting)
        return min((at for at in deadlines if at is not None), default=None)

    def _note_arrivals(self, sources: AddressKeys) -> None:
        """Where a call is heard from its new place, it has left the old one; what came from there before counts."""
        self._leave([row for row in self._moved if np.isin(sources, self._addresses[row]).any()])

    def _leave(self, rows: Iterable[int]) -> None:
        for row in rows:
            del self._moved[row]
            self._routes.remove_row(row, but=self._addresses[row])

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
        self.counters.flooded += int(np.count_nonzero(turn >= _MOST_ROUNDS))
        for number in range(min(int(turn.max()) + 1, _MOST_ROUNDS)):
            yield np.flatnonzero(turn == number)

    def _receive_round(self, data: Bytes, lengths: NDArray[np.uint32], rows: Rows, *, now: float) -> Iterator[Frames]:
        header = np.ascontiguousarray(data[:, :HEADER_BYTES])
        sequence = header[:, 2:4].copy().view(">u2")[:, 0].astype(np.uint16)
        ssrc = header[:, 8:12].copy().view(">u4")[:, 0].astype(np.uint32)
        plain = (
            (lengths == PACKET_BYTES)
            & (header[:, 0] == 0x80)
            & (header[:, 1] & 0x7F == self._payload_type[rows])
            & (sequence == self._expected[rows])
            & (ssrc == self._ssrc[rows])
            & self._fast[rows]
        )
        slow = None
        if not plain.all():
            slow = np.flatnonzero(~plain)
            slow_data, slow_lengths, slow_rows = data[slow], lengths[slow], rows[slow]
            data, rows, sequence = data[plain], rows[plain], sequence[plain]
        if len(rows):
            payload = data[:, HEADER_BYTES:PACKET_BYTES]
            self._expected[rows] = sequence + np.uint16(1)
            self._last_payload[rows] = payload
            self._fast_received[rows] += 1
            self._arrived[rows] = now
            yield Frames(rows, decode(payload, self._codec[rows]))
        if slow is not None:
            for at, row in enumerate(slow_rows.tolist()):
                self._receive_slowly(row, slow_data[at, : slow_lengths[at]].tobytes(), now=now)
            yield from self._slow_frames()

    def _receive_slowly(self, row: int, datagram: bytes, *, now: float) -> None:
        try:
            packet = RtpPacket.parse(datagram)
        except RtpError:
            self.counters.malformed += 1
            return
        self._load(row)
        self._streams[row].receive(packet, now=now)
        self._store(row)

    def _load(self, row: int) -> None:
        """Make the row's `ReceiveStream` know what the columns know."""
        stream = self._streams[row]
        if self._fast[row] and self._fast_received[row]:
            stream.skip(
                packets=int(self._fast_received[row]),
                expected_sequence=int(self._expected[row]),
                last_payload=self._last_payload[row].tobytes(),
                now=float(self._arrived[row]),
            )
            self._fast_received[row] = 0

    def _store(self, row: int) -> None:
        """Make the columns know what the row's `ReceiveStream` knows."""
        stream = self._streams[row]
        self._fast[row] = stream.settled
        if stream.settled:
            self._expected[row] = stream.expected_sequence
            self._ssrc[row] = stream.ssrc or 0
        if stream.next_timeout() is None:
            self._waiting.discard(row)
        else:
            self._waiting.add(row)
        if stream.has_frames:
            self._with_frames.add(row)

    def _slow_frames(self) -> Iterator[Frames]:
        """Give what the slow path has ready, in rounds that hold each row once."""
        ready = [(row, self._streams[row].take_frames()) for row in sorted(self._with_frames)]
        self._with_frames.clear()
        while ready:
            yield Frames(np.array([row for row, _ in ready]), np.stack([frames.pop(0) for _, frames in ready]))
            ready = [(row, frames) for row, frames in ready if frames]

    # --- sending

    def send(self, frames: Frames, packets: Bytes, destinations: AddressKeys) -> int:
        """Write one packet of each frame into `packets` uint8[>= n, 172], its address into `destinations`; return n."""
        rows, count = frames.rows, len(frames.rows)
        packets, destinations = packets[:count], destinations[:count]
        packets[:, 0] = 0x80
        packets[:, 1] = self._send_payload_type[rows] | self._marker[rows]
        packets[:, 2:4] = self._send_sequence[rows].astype(">u2").view(np.uint8).reshape(-1, 2)
        packets[:, 4:8] = self._send_timestamp[rows].astype(">u4").view(np.uint8).reshape(-1, 4)
        packets[:, 8:12] = self._send_ssrc[rows].astype(">u4").view(np.uint8).reshape(-1, 4)
        packets[:, HEADER_BYTES:PACKET_BYTES] = encode(frames.pcm, self._codec[rows])
        destinations[:] = self._destination[rows]
        self._send_sequence[rows] += np.uint16(1)
        self._send_timestamp[rows] += np.uint32(FRAME_SAMPLES)
        self._marker[rows] = 0
        self._sent[rows] += 1
        return count

    def skip(self, rows: Rows, frames: int) -> None:
        """Let time pass without packets: timestamps follow it, and the next packet begins a talkspurt."""
        self._send_timestamp[rows] += np.uint32(frames * FRAME_SAMPLES % (1 << 32))
        self._marker[rows] = 0x80
