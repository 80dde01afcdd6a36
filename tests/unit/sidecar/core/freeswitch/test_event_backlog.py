from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.freeswitch.event_backlog import EventBacklog


@given(st.lists(st.integers(0, 60)), st.integers(1, 10), st.integers(50, 100))
def test_it_keeps_the_newest_that_fit(sizes: list[int], most: int, most_bytes: int) -> None:
    backlog = EventBacklog[int](most=most, most_bytes=most_bytes)
    for number, size in enumerate(sizes):
        backlog.add(number, size=size)
    kept = list(range(len(sizes)))
    while len(kept) > most or sum(sizes[each] for each in kept) > most_bytes:
        kept.pop(0)
    assert backlog.bytes <= most_bytes
    assert len(backlog) <= most
    assert len(backlog) + backlog.dropped == len(sizes)
    assert backlog.first == next(iter(range(backlog.dropped, len(sizes))), None)
    assert backlog.take(lambda _: True) == list(range(backlog.dropped, len(sizes))) == kept
    assert (backlog.bytes, len(backlog)) == (0, 0)


def test_one_that_is_larger_than_all_room_does_not_stay() -> None:
    backlog = EventBacklog[str](most_bytes=10)
    backlog.add("a", size=11)
    assert (backlog.first, backlog.bytes, backlog.dropped) == (None, 0, 1)


def test_who_has_been_told_goes_unless_gone() -> None:
    first, second, third = ["a"], ["a"], ["a"]
    backlog = EventBacklog[list[str]](most=2)
    for event in (first, second, third):
        backlog.add(event, size=1)
    backlog.remove(first)
    assert backlog.first is second
    backlog.remove(second)
    assert backlog.first is third
    assert backlog.bytes == 1


def test_those_of_one_owner_are_taken_in_order_and_the_others_stay() -> None:
    backlog = EventBacklog[tuple[str, int]]()
    for number, owner in enumerate("xyxyx"):
        backlog.add((owner, number), size=number)
    assert backlog.take(lambda each: each[0] == "x") == [("x", 0), ("x", 2), ("x", 4)]
    assert (backlog.bytes, len(backlog), backlog.first) == (4, 2, ("y", 1))
