"""The address of one who is behind a network address translator: where its packets come from, not what it says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rtp.packet import HEADER_BYTES


@dataclass(slots=True)
class LearnedAddress:
    """Believes the first packet that is what was agreed on; from then on nobody else is heard."""

    payload_types: Collection[int]
    address: tuple[str, int] | None = None  # None: not learned yet

    def accepts(self, data: bytes | memoryview, source: tuple[str, int]) -> bool:
        """Whether a datagram is to be heard."""
        if self.address is not None:
            return source == self.address
        valid = len(data) >= HEADER_BYTES and data[0] >> 6 == 2 and data[1] & 0x7F in self.payload_types
        if valid:
            self.address = source
        return valid
