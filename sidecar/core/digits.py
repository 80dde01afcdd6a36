"""Digits that the caller is to hear."""

from __future__ import annotations

from rtp import DIGITS, LONGEST_MS, SHORTEST_MS
from sidecar.core.errors import InvalidCommand


def check_digits(digits: str, duration_ms: int) -> None:
    """Raise `InvalidCommand` for what cannot be sent as telephone events (RFC 4733)."""
    if unknown := set(digits) - set(DIGITS):
        raise InvalidCommand(f"{min(unknown)!r} is not a digit; digits are {DIGITS}", field="digits")
    if not SHORTEST_MS <= duration_ms <= LONGEST_MS:
        error = f"a digit lasts {SHORTEST_MS} to {LONGEST_MS} ms, not {duration_ms}"
        raise InvalidCommand(error, field="duration_ms")
