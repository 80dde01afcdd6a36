"""Tickets: what a leg that we have asked for is let in by, and what its stream is to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

MOST_TICKETS = 1000
"""That wait for their legs. One more is refused: FreeSWITCH has not called for any of these."""

VALID_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a ticket stands for: the options of the leg, in place of those in its headers."""

    options: Mapping[str, str] = field(repr=False)


class Tickets:
    """The tickets that are out. Each is good once."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._claims: dict[str, tuple[Claim, float]] = {}  # and until when; the oldest first
        self.refused = 0  # there were too many

    def issue(self, claim: Claim, *, now: float) -> str | None:
        """Return a new ticket, None when too many are out."""
        while self._claims and next(iter(self._claims.values()))[1] <= now:
            del self._claims[next(iter(self._claims))]
        if len(self._claims) >= MOST_TICKETS:
            self.refused += 1
            return None
        ticket = f"{self._random.getrandbits(128):032x}"
        self._claims[ticket] = claim, now + VALID_SECONDS
        return ticket

    def revoke(self, tickets: Iterable[str]) -> None:
        """Let in nobody with these any more."""
        for ticket in tickets:
            self._claims.pop(ticket, None)

    def redeem(self, ticket: str, *, now: float) -> Claim | None:
        """Take a ticket; None if it is none of ours, or was used, or is too old."""
        claim, valid_until = self._claims.pop(ticket, (None, now))
        return claim if now < valid_until else None
