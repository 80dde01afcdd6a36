"""Arithmetic of 16-bit sequence numbers and 32-bit timestamps: all wrap-around is here."""

from __future__ import annotations

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32


def next_sequence_number(sequence_number: int) -> int:
    """Return the sequence number that follows (RFC 3550, section 5.1)."""
    return (sequence_number + 1) % SEQUENCE_MODULUS


def sequence_delta(later: int, earlier: int) -> int:
    """Return how far `later` is ahead of `earlier`, -32768..32767, the short way around."""
    half = SEQUENCE_MODULUS // 2
    return (later - earlier + half) % SEQUENCE_MODULUS - half


def timestamp_delta(later: int, earlier: int) -> int:
    """Return how far `later` is ahead of `earlier`, in timestamp units, the short way around."""
    half = TIMESTAMP_MODULUS // 2
    return (later - earlier + half) % TIMESTAMP_MODULUS - half
