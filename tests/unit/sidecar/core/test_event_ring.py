from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.event_ring import EventRing


def ring(**bounds: int) -> EventRing:
    return EventRing(epoch="abc", **bounds)


def test_an_event_has_a_number_and_an_id() -> None:
    events = ring()
    first = events.publish("connect", "s1", b"{}")
    second = events.publish("stop", "s2", b"[]")
    assert (first.number, second.number, events.newest) == (1, 2, 2)
    assert list(events.after(0)) == [first, second]
    assert list(events.after(1)) == [second]
    assert list(events.after(2)) == []
    assert events.id_of(second.number) == "abc-2"
    assert events.number_of("abc-2") == 2


def test_an_id_of_another_life_or_of_none_has_no_number() -> None:
    events = ring()
    events.publish("connect", "s1", b"{}")
    assert events.number_of("abc-0") == 0
    for id in ("abd-1", "abc-2", "abc-", "abc-x", "abc-²", "1", "", "abc--1", "abc-" + "9" * 5000):
        assert events.number_of(id) is None, id


@given(st.lists(st.integers(0, 40)), st.integers(1, 5), st.integers(1, 60), st.integers(-1, 60))
def test_the_newest_are_kept_within_both_bounds(sizes: list[int], most: int, most_bytes: int, after: int) -> None:
    events = ring(most=most, most_bytes=most_bytes)
    everything = [events.publish("json", "s", bytes(size)) for size in sizes]
    kept = list(events.after(0))
    assert kept == everything[events.forgotten :]
    assert len(kept) <= most
    assert sum(len(event.data) for event in kept) <= most_bytes
    if events.forgotten:  # no more than must be
        more = everything[events.forgotten - 1 :]
        assert len(more) > most or sum(len(event.data) for event in more) > most_bytes
    assert list(events.after(after)) == [event for event in kept if event.number > after]


def test_events_may_bring_an_id_of_their_own() -> None:
    events = ring(most=2)
    events.publish("json", "s", b"", id="17-0")
    events.publish("json", "s", b"")
    assert [event.id for event in events.after(0)] == ["17-0", "abc-2"]
    assert (events.number_of("17-0"), events.number_of("abc-2"), events.id_of(1)) == (1, 2, "17-0")
    events.publish("json", "s", b"", id="18-0")
    assert events.number_of("17-0") is None
    assert events.number_of("18-0") == 3


def test_what_is_not_known_is_skipped_and_nothing_from_before_is_kept() -> None:
    events = ring(most_bytes=10)
    events.publish("json", "s", b"12345678", id="17-0")
    events.skip()
    assert (list(events.after(0)), events.newest, events.forgotten) == ([], 2, 2)
    assert events.number_of("17-0") is None
    assert events.publish("json", "s", b"12345678").number == 3
    assert events.forgotten == 2
