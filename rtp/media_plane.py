"""The RTP of many calls at once: calls are rows, what is known of them are columns.

Nothing here is done per packet in the common case. A batch of datagrams is routed, checked, and decoded by a handful of
array operations, whether it holds one packet or a thousand (`PlainRows`). What is not plainly the next packet of a
known call goes to that call's `ReceiveStream`, one at a time; its frames are the same as if all packets had gone there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from rtp.codec import Codec
from rtp.errors import RtpError
from rtp.gate import Gate
from rtp.headers import Headers, read_headers
from rtp.heard_rows import HeardRows
from rtp.leg import Leg
from rtp.packet import RtpPacket
from rtp.payload_coding import Bytes
from rtp.pcm import Frames, Pcm, Rows, groups
from rtp.plain_rows import PlainRows
from rtp.receive_counters import ReceiveCounters
from rtp.receive_stream import ReceiveStream
from rtp.reception import Reception
from rtp.routes import AddressKeys
from rtp.send_rows import SendRows
from rtp.telephone_event import TelephoneEvent

_MOST_ROUNDS = 100  # packets of one call in a batch: 2 s

_LOSSY_SECONDS = 1.0
"""So long after datagrams were dropped here, all that is missing is taken to be among them."""

_RTCP_PAYLOAD_TYPES = range(64, 96)  # with their markers, packets of these look like RTCP: RFC 5761, section 4


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
        self._plain = PlainRows(rows)
        self._encrypted = np.zeros(rows + 1, np.bool_)
        self._lossy_until = -np.inf
        self._first_of_row = np.zeros(rows + 1, np.int64)  # scratch

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
        self.heard.set_telephone_event(row, leg.telephone_event_payload_type)
        self._encrypted[row] = leg.srtp is not None

    def close(self, row: int) -> ReceiveCounters:
        """Give the row back; return what happened to the packets of the call."""
        counters = self.receive_counters(row)
        del self._streams[row]
        self.sending.close(row)
        self._waiting.discard(row)
        self._with_frames.discard(row)
        self._with_events.discard(row)
        self._plain.end(row)
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

    def reception(self, row: int) -> tuple[int, Reception] | None:
        """Return the source that is heard in `row`, and what came of it; None while nothing did."""
        self._load(row)
        return self.heard.reception(row)

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
        rows, headers = self.gate.find(sources), read_headers(data, lengths)
        plain = self._plain.expects(headers, rows) & self._comes_first(rows)
        if self.gate.decrypts:  # what a row that is encrypted is sent is nothing before it is opened
            plain &= ~self._encrypted.take(rows)
        if np.count_nonzero(plain) == len(rows):
            yield from self._receive_plainly(data, headers, rows, now=now)
            return
        yield from self._receive_some_plainly(data, headers, rows, plain, now=now)
        data, lengths, rows, sources = data[~plain], lengths[~plain], rows[~plain], sources[~plain]
        data, lengths, rows = self.gate.admit(data, lengths, sources, rows, now=now)
        for chosen in self._rounds(rows):
            yield from self._receive_round(data[chosen], lengths[chosen], rows[chosen], now=now)

    def lose(self, *, now: float) -> None:
        """Take note that datagrams were dropped before they came here, of whichever calls.

        What is missing then is not waited for, nor filled: who could not keep up must not have more to do for it.
        """
        self._lossy_until = now + _LOSSY_SECONDS

    def handle_timeout(self, *, now: float) -> Iterator[Frames]:
        """Conceal what has been missing for too long; let pauses go on."""
        if now >= self._lossy_until:
            self._fill(now=now)
        self.gate.handle_timeout(now=now)
        yield from self._slow_frames()

    def _fill(self, *, now: float) -> None:
        for row in self._plain.pauses(now=now):
            self._load(row)
            self._plain.end(row)
            self._waiting.add(row)
        for row in list(self._waiting):
            at = self._streams[row].next_timeout()
            if at is not None and at <= now:
                self._streams[row].handle_timeout(now=now)
                self._store(row)

    def next_timeout(self) -> float | None:
        """Return when a gap is to be concealed, or a pause to be filled, next."""
        deadlines = [at for row in self._waiting if (at := self._streams[row].next_timeout()) is not None]
        deadlines += self._plain.deadlines().tolist()
        return min(deadlines, default=None)

    def _comes_first(self, rows: Rows) -> NDArray[np.bool_]:
        """Tell which of these are the first of their row in the batch, bool[n]."""
        order = np.arange(len(rows))
        self._first_of_row[rows[::-1]] = order[::-1]
        first: NDArray[np.bool_] = self._first_of_row.take(rows) == order
        return first

    def _rounds(self, rows: Rows) -> Iterator[slice | NDArray[np.int64]]:
        """Split a batch so that no row comes twice in a round.

        What one call sends beyond `_MOST_ROUNDS` packets is dropped: it must not keep all others waiting.
        """
        if self._comes_first(rows).all():
            if len(rows):
                yield slice(None)
            return
        by_row = np.argsort(rows, kind="stable")
        starts = np.flatnonzero(np.diff(rows[by_row], prepend=-1))
        run_start = np.repeat(starts, np.diff(starts, append=len(rows)))
        turn = np.empty_like(by_row)
        turn[by_row] = np.arange(len(rows)) - run_start
        self.gate.counters.flooded += int(np.count_nonzero(turn >= _MOST_ROUNDS))
        for number in range(min(int(turn.max()) + 1, _MOST_ROUNDS)):
            yield np.flatnonzero(turn == number)

    def _receive_round(self, data: Bytes, lengths: NDArray[np.uint32], rows: Rows, *, now: float) -> Iterator[Frames]:
        headers = read_headers(data, lengths)
        plain = self._plain.expects(headers, rows)
        if now < self._lossy_until:
            plain |= self._plain.resumes(headers, rows)
        yield from self._receive_some_plainly(data, headers, rows, plain, now=now)
        understood = []
        for at in np.flatnonzero(~plain).tolist():
            if self._receive_slowly(int(rows[at]), data[at, : lengths[at]].tobytes(), now=now):
                understood.append(at)
        if understood:
            self.heard.receive(rows[understood], headers[understood], now=now)
        yield from self._slow_frames()

    def _receive_some_plainly(
        self, data: Bytes, headers: Headers, rows: Rows, plain: NDArray[np.bool_], *, now: float
    ) -> Iterator[Frames]:
        chosen = np.flatnonzero(plain)
        yield from self._receive_plainly(data[chosen, : self._plain.most_bytes], headers[chosen], rows[chosen], now=now)

    def _receive_plainly(self, data: Bytes, headers: Headers, rows: Rows, *, now: float) -> Iterator[Frames]:
        """Decode the next packet of each of `rows`."""
        for chosen in groups(headers[:, 3]):
            some, ours = headers[chosen], rows[chosen]
            frames, clock_rate = self._plain.receive(data[chosen], some, ours, now=now)
            self.heard.go_on(ours, some[:, 1], clock_rate=clock_rate, now=now)
            yield frames

    def _receive_slowly(self, row: int, datagram: bytes, *, now: float) -> bool:
        """Let the row's stream take what may be a packet; return whether it is one."""
        try:
            packet = RtpPacket.parse(datagram)
        except RtpError:
            self.gate.counters.malformed += 1
            return False
        self._load(row)
        stream = self._streams[row]
        stream.receive(packet, now=now, skips_gaps=now < self._lossy_until)
        assert stream.ssrc is not None, "who is heard has a source"
        self.heard.set_source(row, stream.ssrc, clock_rate=stream.codec.clock_rate)
        self._store(row)
        return True

    def _load(self, row: int) -> None:
        """Make the row's `ReceiveStream`, and its counts, know what its columns know."""
        if row not in self._plain:
            return
        known = self._plain.take(row)
        if known.packets:
            self._streams[row].skip(
                known.payloads,
                packets=known.packets,
                lost=known.lost,
                sequence=known.sequence,
                timestamp=known.timestamp,
                now=known.arrived,
            )
            self.heard.count(row, packets=known.packets, lost=known.lost, sequence=known.sequence)
        if known.noticed is not None:
            self._streams[row].notice_pause(now=known.noticed)

    def _store(self, row: int) -> None:
        """Make the columns know what the row's `ReceiveStream` knows, if it has nothing else to do."""
        stream = self._streams[row]
        is_plain = stream.settled and not stream.codec.has_memory and stream.payload_type not in _RTCP_PAYLOAD_TYPES
        self._plain.end(row)
        if is_plain:
            self._plain.begin(row, stream)
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
