"""The fixed headers of many packets at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtp.packet import HEADER_BYTES
from rtp.payload_coding import Bytes

Headers = NDArray[np.uint32]
"""What packets begin with, uint32[n, 4]: version, payload type (without the marker) and sequence number; timestamp;
SSRC; and the length of the packet. See RFC 3550, section 5.1."""

_BUT_MARKER = np.uint32(0xFF7F_FFFF)


def read_headers(data: Bytes, lengths: NDArray[np.uint32]) -> Headers:
    """Read the header of each of some datagrams uint8[n, m]."""
    headers = np.empty((len(data), 4), np.uint32)
    headers[:, :3] = data[:, :HEADER_BYTES].view(">u4")
    headers[:, 3] = lengths
    headers[:, 0] &= _BUT_MARKER
    return headers


def first_word(payload_type: int, sequence: int) -> int:
    """Return the first word of the header of a packet with no padding, extension or contributing source."""
    return 0x8000_0000 | payload_type << 16 | sequence


def payload_types(headers: Headers) -> NDArray[np.uint8]:
    """Return the payload type of each packet, uint8[n]."""
    return (headers[:, 0] >> 16 & 0x7F).astype(np.uint8)


def sequence_numbers(headers: Headers) -> NDArray[np.uint16]:
    """Return the sequence number of each packet, uint16[n]."""
    return headers[:, 0].astype(np.uint16)
