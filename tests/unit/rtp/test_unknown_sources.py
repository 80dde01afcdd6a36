"""Who sends to us without being asked."""

from __future__ import annotations

import numpy as np

from rtp import UnknownSources, address_key
from rtp.unknown_sources import FEWEST, FORGOTTEN_AFTER, MOST_SOURCES

HOST = "192.0.2.1"


def note(sources: UnknownSources, host: str, port: int, count: int = FEWEST, *, now: float = 0.0) -> None:
    sources.note(np.full(count, address_key(host, port), np.uint64), now=now)


def test_nobody_is_likely_while_there_is_no_stream() -> None:
    sources = UnknownSources()
    assert sources.likeliest(HOST, now=0.0) is None
    note(sources, HOST, 5000, FEWEST - 1)
    assert sources.likeliest(HOST, now=0.0) is None
    note(sources, HOST, 5000, 1)
    assert sources.likeliest(HOST, now=0.0) == (HOST, 5000)


def test_another_port_of_the_host_is_likelier_than_the_busiest() -> None:
    sources = UnknownSources()
    note(sources, "192.0.2.9", 5000, 1000)
    assert sources.likeliest(HOST, now=0.0) == ("192.0.2.9", 5000)
    note(sources, HOST, 5002)
    assert sources.likeliest(HOST, now=0.0) == (HOST, 5002)


def test_who_is_not_heard_any_more_is_forgotten_and_begins_anew() -> None:
    sources = UnknownSources()
    note(sources, HOST, 5000)
    later = FORGOTTEN_AFTER + 0.1
    assert sources.likeliest(HOST, now=later) is None
    note(sources, HOST, 5000, 1, now=later)
    assert sources.likeliest(HOST, now=later) is None


def test_a_flood_of_sources_takes_bounded_room_and_does_not_hide_a_stream() -> None:
    sources = UnknownSources()
    for turn in range(30):
        now = turn * 0.02
        spoofed = [address_key("198.51.100.1", 1024 + turn * 300 + number) for number in range(300)]
        stream = [address_key(HOST, 5000)] * 2
        sources.note(np.array(spoofed + stream, np.uint64), now=now)
        assert len(sources._sources) <= MOST_SOURCES
    assert sources.likeliest("203.0.113.1", now=0.6) == (HOST, 5000)
