"""The rows of a `MediaPlane` whose next packet is known before it comes: its header, and its length.

Most packets of most calls are that: in order, of the codec agreed on, from the source heard before. Whether one is
takes a single comparison, for all that came at once, and what there is to be noted of it a few columns. While a row is
plain, these columns are its state; else its `ReceiveStream` is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp.codec import Codec
from rtp.concealment import HISTORY_MS
from rtp.headers import Headers, first_word
from rtp.packet import HEADER_BYTES
from rtp.payload_coding import Bytes, decode_rows
from rtp.pcm import FRAME_MS, Frames, Rows, records
from rtp.receive_limits import FARTHEST_SKIPPED, FILL_EVERY, PAUSE_AFTER
from rtp.receive_stream import ReceiveStream

_RECENT = HISTORY_MS // FRAME_MS  # payloads that are kept of each call
_CODECS = tuple(Codec)
_STEPS = np.array([[1, codec.frame_ticks, 0, 0] for codec in _CODECS], np.uint32)  # from one header to the next
_LONGEST = max(codec.frame_bytes for codec in _CODECS)
_SEQUENCE = 0xFFFF
_NEVER = 0xFFFF_FFFF  # the length of no packet


class Plain(NamedTuple):
    """What is known of a row that is plain: its packets since it was last asked for."""

    packets: int
    lost: int
    payloads: list[bytes]  # of the newest of them
    sequence: int  # of the next
    timestamp: int
    arrived: float  # the newest, seconds
    noticed: float | None  # when it was seen that none came for a while


class PlainRows:
    """What the next packet of each row looks like. The row after the last is nobody's: it is never plain."""

    most_bytes = HEADER_BYTES + _LONGEST

    def __init__(self, rows: int) -> None:
        self._expected = np.zeros((rows + 1, 4), np.uint32)
        self._expected[:, 3] = _NEVER
        self._is_plain = np.zeros(rows, np.bool_)
        self._codec = np.zeros(rows, np.uint8)
        self._since = np.zeros(rows, np.uint32)  # sequence number from which packets are counted
        self._lost = np.zeros(rows, np.int64)
        self._recent = np.zeros((rows * _RECENT, _LONGEST), np.uint8)
        self._arrived = np.zeros(rows)  # seconds: when the last of them came
        self._noticed = np.zeros(rows)  # seconds: when it was seen that none came; of now, if it is after that
        self._next_look = np.inf  # before that, nothing can be noticed

    def begin(self, row: int, stream: ReceiveStream) -> None:
        """Let a row be plain from now on, as far as its stream has come."""
        length = HEADER_BYTES + stream.codec.frame_bytes
        word = first_word(stream.payload_type, stream.expected_sequence)
        self._expected[row] = word, stream.expected_timestamp, stream.ssrc or 0, length
        self._codec[row] = stream.codec
        self._is_plain[row] = True
        self._since[row], self._lost[row] = stream.expected_sequence, 0
        self._arrived[row], self._noticed[row] = stream.last_played_at, -np.inf
        self._next_look = min(self._next_look, stream.last_played_at + PAUSE_AFTER)

    def end(self, row: int) -> None:
        """Let a row not be plain."""
        self._expected[row, 3] = _NEVER
        self._is_plain[row] = False

    def __contains__(self, row: int) -> bool:
        return bool(self._is_plain[row])

    def take(self, row: int) -> Plain:
        """Return what is known of a row that is plain; what came is told once."""
        sequence = int(self._expected[row, 0]) & _SEQUENCE
        packets = (sequence - int(self._since[row])) & _SEQUENCE
        newest = range(max(0, packets - _RECENT), packets)
        size = int(self._expected[row, 3]) - HEADER_BYTES
        arrived, noticed, lost = float(self._arrived[row]), float(self._noticed[row]), int(self._lost[row])
        self._since[row], self._lost[row] = sequence, 0
        return Plain(
            packets,
            lost,
            [self._recent[row * _RECENT + number % _RECENT, :size].tobytes() for number in newest],
            sequence,
            int(self._expected[row, 1]),
            arrived,
            noticed if noticed > arrived else None,
        )

    # --- packets

    def expects(self, headers: Headers, rows: Rows) -> NDArray[np.bool_]:
        """Tell which of these are plainly the next packets of their rows, bool[n]."""
        wrong = headers != self._expected.take(rows, axis=0)
        plain: NDArray[np.bool_] = wrong.view(np.uint32)[:, 0] == 0  # all four at once
        return plain

    def resumes(self, headers: Headers, rows: Rows) -> NDArray[np.bool_]:
        """Tell which of these would be the next packets of their rows, had some before them not been lost, bool[n]."""
        expected = self._expected.take(rows, axis=0)
        ahead = headers[:, 0] - expected[:, 0]  # of other versions and payload types, far too much
        is_next: NDArray[np.bool_] = (
            (ahead > 0)
            & (ahead <= FARTHEST_SKIPPED)
            & (headers[:, 2] == expected[:, 2])
            & (headers[:, 3] == expected[:, 3])
        )
        resumed = rows[is_next]
        self._lost[resumed] += ahead[is_next]
        self._since[resumed] += ahead[is_next]
        return is_next

    def receive(self, data: Bytes, headers: Headers, rows: Rows, *, now: float) -> tuple[Frames, int]:
        """Decode plain packets of one length, none of the same row; return their clock rate too."""
        length = int(headers[0, 3])
        payload, codecs = data[:, HEADER_BYTES:length], self._codec.take(rows)
        codec = _CODECS[int(codecs[0])]  # those of one length differ in their tables alone
        number = (headers[:, 0] - self._since.take(rows)) & _SEQUENCE
        self._recent[rows * _RECENT + number % _RECENT, : codec.frame_bytes] = payload
        # After 65535 this counts on into the payload type: that packet goes the slow way, which sets it right.
        records(self._expected)[rows] = records(headers + _STEPS[codec])
        self._arrived[rows] = now
        return Frames(rows, decode_rows(payload, codecs)), codec.clock_rate

    # --- pauses

    def deadlines(self) -> NDArray[np.float64]:
        """Return when something is to be noticed of each row that is plain: seconds, float64[n]."""
        noticed = self._noticed > self._arrived
        at = np.where(noticed, self._noticed + FILL_EVERY, self._arrived + PAUSE_AFTER)
        return at[self._is_plain]

    def pauses(self, *, now: float) -> list[int]:
        """Notice of which rows nothing comes; return those of which it was noticed, and still nothing has come."""
        if now < self._next_look:
            return []
        silent = self._is_plain & (self._arrived + PAUSE_AFTER <= now)
        noticed = self._noticed > self._arrived
        paused = silent & noticed & (self._noticed + FILL_EVERY <= now)
        self._noticed[silent & ~noticed] = now
        self._next_look = float(self.deadlines().min(initial=np.inf))
        return np.flatnonzero(paused).tolist()
