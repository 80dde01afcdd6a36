from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timers:
    """The times of RFC 3261, table 4, in seconds."""

    t1: float = 0.5  # an estimate of the round trip
    t2: float = 4.0  # the longest interval between two retransmissions
    t4: float = 5.0  # how long a datagram stays in the network
    c: float = 180.0  # how long a call that we placed may ring
    session_expires: int = 0  # the session interval that we ask for (RFC 4028); 0: that of the other side
    min_se: int = 90  # the smallest that we take

    @property
    def transaction(self) -> float:
        """The life of a transaction: timers B, F, H, J, L and M."""
        return 64 * self.t1

    @property
    def d(self) -> float:
        """How long retransmitted final responses to our INVITE are answered; at least 32 s."""
        return max(32.0, 64 * self.t1)
