"""Requests that are sent twice: the second gets the answer of the first.

See draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

_A = TypeVar("_A")

MOST_KEYS = 4096
LONGEST_KEY = 255
KEPT_SECONDS = 3600.0


class KeyInUse(Exception):
    """The first request with this key has no answer yet."""


class KeyReused(Exception):
    """The key belongs to another request."""


@dataclass(slots=True)
class _Entry(Generic[_A]):
    fingerprint: bytes
    at: float
    answer: _A | None = None  # None: the request is being worked on


class IdempotencyKeys(Generic[_A]):
    """Remembers answers by key, for an hour; the oldest is forgotten when there are too many."""

    def __init__(self, *, most: int = MOST_KEYS) -> None:
        self._most = most
        self._entries: OrderedDict[str, _Entry[_A]] = OrderedDict()  # the oldest first
        self.replayed = 0
        self.forgotten = 0  # before their time

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, key: str, fingerprint: bytes, *, now: float) -> _A | None:
        """Return the answer that a request has had; None if it is new, and `finish` or `abandon` is to follow.

        `fingerprint` tells requests apart. Raise `KeyInUse` or `KeyReused`.
        """
        self._forget(now)
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._most:
                self._entries.popitem(last=False)
                self.forgotten += 1
            self._entries[key] = _Entry(fingerprint, now)
            return None
        if entry.fingerprint != fingerprint:
            raise KeyReused
        if entry.answer is None:
            raise KeyInUse
        self.replayed += 1
        return entry.answer

    def finish(self, key: str, answer: _A) -> None:
        """Remember the answer of a request."""
        if (entry := self._entries.get(key)) is not None:
            entry.answer = answer

    def abandon(self, key: str) -> None:
        """Forget a request that may be tried again."""
        self._entries.pop(key, None)

    def _forget(self, now: float) -> None:
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest].at + KEPT_SECONDS > now:
                return
            del self._entries[oldest]
