"""Makes RTP, and writes it to a capture file (pcap) that sipp can play.

sipp takes from a capture the UDP payloads, their times and their ports, the lowest destination port being
the RTP port; addresses and ports are then its own. It wants Ethernet frames, and no packet at time 0.
All its calls play the same packets: same SSRC, sequence numbers and timestamps. It plays through a raw
socket, which needs root or CAP_NET_RAW.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from tests.support.tones import Pcm

PCMU = 0
PCMA = 8
CLOCK_RATE = 8000

_ENCODE = {PCMU: encode_ulaw, PCMA: encode_alaw}
_DECODE = {PCMU: decode_ulaw, PCMA: decode_alaw}

_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")
_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_RTP = struct.Struct("!BBHII")

_START_SECONDS = 1_000_000
_LOOPBACK = bytes([127, 0, 0, 1])


@dataclass(frozen=True, slots=True)
class TimedPacket:
    """One UDP payload and when it leaves or came, in seconds."""

    at: float
    data: bytes


def rtp_packets(
    pcm: Pcm,
    *,
    payload_type: int = PCMU,
    ptime_ms: int = 20,
    ssrc: int = 0x5EED,
    sequence_number: int = 65_530,
    timestamp: int = 0xFFFF_F000,
) -> list[TimedPacket]:
    """Cut 8 kHz audio into RTP packets of G.711, the first one at 0 s and marked; a rest is left out.

    Unless told otherwise sequence numbers and timestamps begin just before they wrap around.
    """
    size = CLOCK_RATE * ptime_ms // 1000
    packets = []
    for index in range(len(pcm) // size):
        header = _RTP.pack(
            0x80,
            payload_type | (0x80 if index == 0 else 0),
            (sequence_number + index) & 0xFFFF,
            (timestamp + index * size) & 0xFFFF_FFFF,
            ssrc,
        )
        payload = _ENCODE[payload_type](pcm[index * size : (index + 1) * size])
        packets.append(TimedPacket(index * ptime_ms / 1000, header + payload))
    return packets


def write_capture(path: Path, packets: Iterable[TimedPacket]) -> None:
    """Write packets, in the order given, to a capture file."""
    with path.open("wb") as file:
        file.write(_FILE_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
        for packet in packets:
            frame = _ethernet_frame(packet.data)
            seconds, microseconds = divmod(round(packet.at * 1_000_000), 1_000_000)
            file.write(_RECORD_HEADER.pack(_START_SECONDS + seconds, microseconds, len(frame), len(frame)) + frame)


def pcm_of(packets: Iterable[TimedPacket]) -> Pcm:
    """Decode the G.711 of one stream, each packet at the place of its timestamp; what is missing is zero.

    Packets of other payload types and of later SSRCs are left out.
    """
    placed: dict[int, Pcm] = {}
    first: tuple[int, int] | None = None
    for packet in packets:
        _, marker_and_type, _, timestamp, ssrc = _RTP.unpack_from(packet.data)
        decode = _DECODE.get(marker_and_type & 0x7F)
        first = first or (ssrc, timestamp)
        if decode is None or ssrc != first[0]:
            continue
        offset = (timestamp - first[1] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        placed[offset] = decode(packet.data[_RTP.size :])
    if not placed:
        return np.zeros(0, dtype=np.int16)
    start = min(placed)
    pcm = np.zeros(max(offset + len(frame) for offset, frame in placed.items()) - start, dtype=np.int16)
    for offset, frame in placed.items():
        pcm[offset - start : offset - start + len(frame)] = frame
    return pcm


def _ethernet_frame(payload: bytes) -> bytes:
    udp = _UDP.pack(40_000, 40_000, _UDP.size + len(payload), 0)
    length = _IPV4.size + len(udp) + len(payload)
    fields = (0x45, 0, length, 0, 0x4000, 64, 17)
    checksum = _checksum(_IPV4.pack(*fields, 0, _LOOPBACK, _LOOPBACK))
    ip = _IPV4.pack(*fields, checksum, _LOOPBACK, _LOOPBACK)
    return _ETHERNET.pack(bytes(6), bytes(6), 0x0800) + ip + udp + payload


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    return ~(total % 0xFFFF) & 0xFFFF
