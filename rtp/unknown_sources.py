"""Where datagrams come from that belong to no call: the busiest few, for whoever misses them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtp.routes import AddressKeys, address_of_key

MOST_SOURCES = 64
"""Sources that are remembered; when there are more, the quietest is forgotten."""

FORGOTTEN_AFTER = 2.0
"""Seconds without a datagram."""

FEWEST = 10
"""Datagrams that make a stream; fewer are somebody's scan."""


@dataclass(slots=True)
class _Source:
    packets: int
    heard: float


@dataclass(slots=True)
class UnknownSources:
    """Counts datagrams by the address that they come from, in bounded room."""

    _sources: dict[int, _Source] = field(default_factory=dict)

    def note(self, keys: AddressKeys, *, now: float) -> None:
        """Take note of where some datagrams came from; of many sources at once, the busiest count."""
        found, counts = np.unique(keys, return_counts=True)
        if len(found) > MOST_SOURCES:
            busiest = np.argpartition(counts, -MOST_SOURCES)[-MOST_SOURCES:]
            found, counts = found[busiest], counts[busiest]
        for key, count in zip(found.tolist(), counts.tolist(), strict=True):
            source = self._sources.get(key)
            if source is None or source.heard + FORGOTTEN_AFTER < now:
                self._make_room(key)
                self._sources[key] = _Source(count, now)
            else:
                source.packets += count
                source.heard = now

    def likeliest(self, host: str, *, now: float) -> tuple[str, int] | None:
        """Return the address that a call may be sent from which should come from `host`; None if there is none.

        It is a port of the same host, if there is one; else the busiest of all.
        """
        streams = [
            (address_of_key(key), source.packets)
            for key, source in self._sources.items()
            if source.packets >= FEWEST and source.heard + FORGOTTEN_AFTER >= now
        ]
        if not streams:
            return None
        return max(streams, key=lambda stream: (stream[0][0] == host, stream[1]))[0]

    def _make_room(self, key: int) -> None:
        self._sources.pop(key, None)
        if len(self._sources) >= MOST_SOURCES:
            del self._sources[
                min(self._sources, key=lambda key: (self._sources[key].packets, self._sources[key].heard))
            ]
