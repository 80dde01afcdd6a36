"""The address of one who is behind a network address translator: where its packets come from, not what it says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rtp.packet import HEADER_BYTES


@dataclass(slots=True)
class LearnedAddress:
    """Believes the first packet that is what was agreed on; from then on nobody else is heard.

    What is encrypted can do better: it is heard, and believed once it has proved to be genuine, see `learn`.
    """

    payload_types: Collection[int]
    needs_proof: bool = False
    address: tuple[str, int] | None = None  # None: not learned yet

    def accepts(self, data: bytes | memoryview, source: tuple[str, int]) -> bool:
        """Whether a datagram is to be heard."""
        if self.address is not None:
            return source == self.address
        valid = len(data) >= HEADER_BYTES and data[0] >> 6 == 2 and data[1] & 0x7F in self.payload_types
        if valid and not self.needs_proof:
            self.address = source
        return valid

    def learn(self, source: tuple[str, int]) -> None:
        """A packet from there was genuine."""
        self.address = source
