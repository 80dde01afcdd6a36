"""What calls are sent: one column a field of the header, one row a call."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from rtp.leg import Leg
from rtp.packet import HEADER_BYTES
from rtp.packetizer import LONGEST_PAYLOAD, Packetizer, packet_ms
from rtp.payload_coding import Bytes, encode_rows
from rtp.pcm import FRAME_MS, Frames, Rows, groups
from rtp.routes import AddressKeys

PACKET_BYTES = HEADER_BYTES + LONGEST_PAYLOAD
"""The longest packet that is sent."""

PACKETS_A_FRAME = 2
"""The most packets that are sent for one frame: of 10 ms each."""


class SendRows:
    """The sending side of a `MediaPlane`."""

    def __init__(self, rows: int) -> None:
        self._codec = np.zeros(rows, np.uint8)
        self._destination = np.zeros(rows, np.uint64)
        self._payload_type = np.zeros(rows, np.uint8)
        self._ssrc = np.zeros(rows, np.uint32)
        self._sequence = np.zeros(rows, np.uint16)
        self._timestamp = np.zeros(rows, np.uint32)
        self._marker = np.zeros(rows, np.uint8)
        self._frame_ticks = np.zeros(rows, np.uint32)
        self._packet_ticks = np.zeros(rows, np.uint32)
        self._packet_bytes = np.zeros(rows, np.uint32)  # where each frame is one packet, of a codec without memory
        self._packetizers: dict[int, Packetizer] = {}  # of all other rows
        self._plain = np.zeros(rows, np.bool_)
        self._sent = np.zeros(rows, np.int64)

    def open(self, row: int, leg: Leg, random: Random) -> None:
        """Begin a stream (RFC 3550, section 5.1)."""
        self._ssrc[row] = random.getrandbits(32)
        self._sequence[row] = random.getrandbits(16)
        self._timestamp[row] = random.getrandbits(32)
        self._sent[row] = 0
        self.change(row, leg)

    def change(self, row: int, leg: Leg) -> None:
        """Go on with another codec, packet time or address."""
        ptime_ms = packet_ms(leg.codec, leg.ptime_ms)
        self.close(row)
        self._plain[row] = ptime_ms == FRAME_MS and not leg.codec.has_memory
        if not self._plain[row]:
            self._packetizers[row] = Packetizer(leg.codec, ptime_ms)
        self._codec[row] = leg.codec
        self._frame_ticks[row] = leg.codec.frame_ticks
        self._packet_ticks[row] = leg.codec.frame_ticks * ptime_ms // FRAME_MS
        self._packet_bytes[row] = HEADER_BYTES + leg.codec.frame_bytes
        self._destination[row] = leg.destination or 0
        self._payload_type[row] = leg.send_payload_type
        self._marker[row] = 0x80

    def close(self, row: int) -> None:
        """Forget what is kept of the row's codec."""
        self._packetizers.pop(row, None)

    def packets_sent(self, row: int) -> int:
        """Return how many packets the call in `row` was sent."""
        return int(self._sent[row])

    def send(self, frames: Frames, packets: Bytes, lengths: NDArray[np.uint64], destinations: AddressKeys) -> int:
        """Write the packets that these frames complete into `packets` uint8[m, PACKET_BYTES]; return how many.

        Their lengths and their addresses go into the other two; there is room for `PACKETS_A_FRAME` of each frame.
        """
        plain = self._plain[frames.rows]
        if plain.all():
            return self._send_plainly(frames, packets, lengths, destinations)
        count = self._send_plainly(Frames(frames.rows[plain], frames.pcm[plain]), packets, lengths, destinations)
        for row, pcm in zip(frames.rows[~plain].tolist(), frames.pcm[~plain], strict=True):
            for payload in self._packetizers[row].write(pcm):
                packets[count, HEADER_BYTES : HEADER_BYTES + len(payload)] = np.frombuffer(payload, np.uint8)
                lengths[count] = HEADER_BYTES + len(payload)
                self._write_headers(np.array([row]), packets[count : count + 1], destinations[count : count + 1])
                count += 1
        return count

    def _send_plainly(
        self, frames: Frames, packets: Bytes, lengths: NDArray[np.uint64], destinations: AddressKeys
    ) -> int:
        """Write one packet of each frame."""
        done = 0
        sizes = self._packet_bytes[frames.rows]
        for chosen in groups(sizes):
            rows, size = frames.rows[chosen], int(sizes[chosen][0])
            part = slice(done, done + len(rows))
            payload = encode_rows(frames.pcm[chosen], self._codec[rows], size - HEADER_BYTES)
            packets[part, HEADER_BYTES:size] = payload
            lengths[part] = size
            self._write_headers(rows, packets[part], destinations[part])
            done += len(rows)
        return done

    def _write_headers(self, rows: Rows, packets: Bytes, destinations: AddressKeys) -> None:
        """Write the header and the address of one packet of each of `rows`."""
        packets[:, 0] = 0x80
        packets[:, 1] = self._payload_type[rows] | self._marker[rows]
        packets[:, 2:4] = self._sequence[rows].astype(">u2").view(np.uint8).reshape(-1, 2)
        packets[:, 4:8] = self._timestamp[rows].astype(">u4").view(np.uint8).reshape(-1, 4)
        packets[:, 8:12] = self._ssrc[rows].astype(">u4").view(np.uint8).reshape(-1, 4)
        destinations[:] = self._destination[rows]
        self._sequence[rows] += np.uint16(1)
        self._timestamp[rows] += self._packet_ticks[rows]
        self._marker[rows] = 0
        self._sent[rows] += 1

    def skip(self, rows: Rows, frames: int) -> None:
        """Let time pass without packets: timestamps follow it, and the next packet begins a talkspurt."""
        ticks = self._frame_ticks[rows].astype(np.uint64) * np.uint64(frames)
        self._timestamp[rows] += ticks.astype(np.uint32)
        self._marker[rows] = 0x80
        for row in self._packetizers.keys() & set(rows.tolist()):
            self._timestamp[row] += np.uint32(self._packetizers[row].clear())
