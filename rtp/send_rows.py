"""What calls are sent: one column a field of the header, one row a call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtp.dtmf_sender import DtmfSender, EventPacket
from rtp.leg import Leg
from rtp.packet import HEADER_BYTES, RtpPacket
from rtp.packetizer import LONGEST_PAYLOAD, Packetizer, packet_ms
from rtp.payload_coding import Bytes, encode_rows
from rtp.pcm import FRAME_MS, Frames, Pcm, Rows, groups
from rtp.routes import AddressKeys
from rtp.sequence import TIMESTAMP_MODULUS, next_sequence_number
from rtp.srtp import SRTP_BYTES

PACKET_BYTES = HEADER_BYTES + LONGEST_PAYLOAD + SRTP_BYTES
"""The longest packet that is sent."""

PACKETS_A_FRAME = 4
"""The most packets that are sent for one frame: the three ends of a digit, and the start of the next."""


class Sent(NamedTuple):
    """What a call was sent so far, as RTCP has it."""

    ssrc: int
    packets: int
    octets: int  # of payload
    timestamp: int  # of what is sent next


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
        self._octets = np.zeros(rows, np.int64)
        self._legs: dict[int, Leg] = {}
        self._dialing: dict[int, DtmfSender] = {}  # rows that are sent digits

    def open(self, row: int, leg: Leg, random: Random) -> None:
        """Begin a stream (RFC 3550, section 5.1)."""
        self._ssrc[row] = random.getrandbits(32)
        self._sequence[row] = random.getrandbits(16)
        self._timestamp[row] = random.getrandbits(32)
        self._sent[row] = self._octets[row] = 0
        self.change(row, leg)

    def change(self, row: int, leg: Leg) -> None:
        """Go on with another codec, packet time or address."""
        ptime_ms = packet_ms(leg.codec, leg.ptime_ms)
        former, dialing = self._legs.get(row), self._dialing.get(row)
        self.close(row)
        self._legs[row] = leg
        takes_events = leg.send_telephone_event_payload_type is not None
        if former and dialing and takes_events and leg.codec.clock_rate == former.codec.clock_rate:
            self._dialing[row] = dialing
        self._set_plain(row)
        self._codec[row] = leg.codec
        self._frame_ticks[row] = leg.codec.frame_ticks
        self._packet_ticks[row] = leg.codec.frame_ticks * ptime_ms // FRAME_MS
        self._packet_bytes[row] = HEADER_BYTES + leg.codec.frame_bytes
        self._destination[row] = leg.destination or 0
        self._payload_type[row] = leg.send_payload_type
        self._marker[row] = 0x80

    def close(self, row: int) -> None:
        """Forget what is kept of the row's call."""
        self._packetizers.pop(row, None)
        self._dialing.pop(row, None)
        self._legs.pop(row, None)

    def sent(self, row: int) -> Sent:
        """Return what the call in `row` was sent."""
        return Sent(int(self._ssrc[row]), int(self._sent[row]), int(self._octets[row]), int(self._timestamp[row]))

    def dial(self, row: int, digits: str, *, duration_ms: int) -> bool:
        """Send digits in place of audio (RFC 4733); False, and none are sent, if too many wait, or they are not taken.

        Raise `ValueError` if one is none.
        """
        leg = self._legs[row]
        if leg.send_telephone_event_payload_type is None:
            return False
        dialing = self._dialing.get(row) or DtmfSender(leg.codec.clock_rate, leg.codec.frame_ticks)
        if not dialing.dial(digits, duration_ms=duration_ms):
            return False
        if dialing.busy:
            self._dialing[row] = dialing
            self._set_plain(row)
        return True

    def _set_plain(self, row: int) -> None:
        """Let the row be sent together with others if it is like most; else give it a packetizer of its own."""
        leg = self._legs[row]
        ptime_ms = packet_ms(leg.codec, leg.ptime_ms)
        codes_plainly = ptime_ms == FRAME_MS and not leg.codec.has_memory
        self._plain[row] = codes_plainly and leg.srtp is None and row not in self._dialing
        if self._plain[row]:
            self._packetizers.pop(row, None)
        elif row not in self._packetizers:
            self._packetizers[row] = Packetizer(leg.codec, ptime_ms)

    def send(self, frames: Frames, packets: Bytes, lengths: NDArray[np.uint64], destinations: AddressKeys) -> int:
        """Write the packets that these frames complete into `packets` uint8[m, PACKET_BYTES]; return how many.

        Their lengths and their addresses go into the other two; there is room for `PACKETS_A_FRAME` of each frame.
        """
        plain = self._plain.take(frames.rows)
        if np.count_nonzero(plain) == len(plain):
            return self._send_plainly(frames, packets, lengths, destinations)
        count = self._send_plainly(Frames(frames.rows[plain], frames.pcm[plain]), packets, lengths, destinations)
        for row, pcm in zip(frames.rows[~plain].tolist(), frames.pcm[~plain], strict=True):
            for packet in self._packets(row, pcm):
                packets[count, : len(packet)] = np.frombuffer(packet, np.uint8)
                lengths[count], destinations[count] = len(packet), self._destination[row]
                count += 1
        return count

    def _packets(self, row: int, pcm: Pcm) -> Iterator[bytes]:
        """Make the packets of one call, one by one."""
        leg = self._legs[row]
        if row in self._dialing:
            for event in self._events(row):
                payload_type = leg.send_telephone_event_payload_type
                assert payload_type is not None, "nobody dials who takes no events"
                yield self._finished(row, RtpPacket(payload_type, 0, event.timestamp, 0, event.payload, event.marker))
            return
        for payload in self._packetizers[row].write(pcm):
            timestamp, marker = int(self._timestamp[row]), bool(self._marker[row])
            yield self._finished(row, RtpPacket(leg.send_payload_type, 0, timestamp, 0, payload, marker))
            self._let_pass(row, int(self._packet_ticks[row]))
            self._marker[row] = 0

    def _events(self, row: int) -> list[EventPacket]:
        """Return what is sent in place of this frame's audio. The ends of a digit fill the pause up to the next."""
        packetizer, dialing = self._packetizers[row], self._dialing[row]
        self._let_pass(row, packetizer.clear())
        events = dialing.packets(int(self._timestamp[row]))
        self._let_pass(row, int(self._frame_ticks[row]))
        if not dialing.busy:
            del self._dialing[row]
            self._set_plain(row)
        return events

    def _let_pass(self, row: int, ticks: int) -> None:
        self._timestamp[row] = (int(self._timestamp[row]) + ticks) % TIMESTAMP_MODULUS

    def _finished(self, row: int, packet: RtpPacket) -> bytes:
        """Return the bytes of a packet with its number and source, encrypted if need be."""
        packet = replace(packet, sequence_number=int(self._sequence[row]), ssrc=int(self._ssrc[row]))
        self._sequence[row] = next_sequence_number(packet.sequence_number)
        self._sent[row] += 1
        self._octets[row] += len(packet.payload)
        srtp = self._legs[row].srtp
        return bytes(packet) if srtp is None else srtp.protect(bytes(packet))

    def _send_plainly(
        self, frames: Frames, packets: Bytes, lengths: NDArray[np.uint64], destinations: AddressKeys
    ) -> int:
        """Write one packet of each frame."""
        done = 0
        sizes = self._packet_bytes.take(frames.rows)
        for chosen in groups(sizes):
            rows, size = frames.rows[chosen], int(sizes[chosen][0])
            part = slice(done, done + len(rows))
            payload = encode_rows(frames.pcm[chosen], self._codec[rows], size - HEADER_BYTES)
            packets[part, HEADER_BYTES:size] = payload
            lengths[part] = size
            self._write_headers(rows, packets[part], destinations[part])
            self._octets[rows] += size - HEADER_BYTES
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
            self._let_pass(row, self._packetizers[row].clear())
