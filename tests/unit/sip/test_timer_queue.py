from __future__ import annotations

import weakref

from sip.timer_queue import TimerQueue


class Thing:
    """What can be seen to be gone."""


def test_the_earliest_comes_first_and_only_once() -> None:
    queue: TimerQueue[str] = TimerQueue()
    for item, at in (("b", 2.0), ("a", 1.0), ("c", 3.0), ("d", 1.0)):
        queue.set(item, at)
    assert queue.next_timeout() == 1.0
    assert queue.pop_due(now=2.0) == ["a", "d", "b"]
    assert (queue.next_timeout(), len(queue)) == (3.0, 1)


def test_a_deadline_can_be_moved_and_removed() -> None:
    queue: TimerQueue[str] = TimerQueue()
    for at in (5.0, 6.0, 5.0, 5.0):
        queue.set("a", at)
    queue.set("b", 1.0)
    queue.set("b", None)
    queue.set("b", None)
    assert queue.pop_due(now=4.0) == []
    assert queue.pop_due(now=9.0) == ["a"]
    assert queue.next_timeout() is None


def test_deadlines_that_were_moved_do_not_pile_up() -> None:
    queue: TimerQueue[str] = TimerQueue()
    for at in range(10_000):
        queue.set("a", float(at))
    assert len(queue._heap) < 2000
    assert queue.pop_due(now=10_000.0) == ["a"]


def test_what_has_no_deadline_any_more_is_kept_by_nothing() -> None:
    """A call that is over has had one half an hour ahead, when its session would have expired."""
    queue: TimerQueue[Thing] = TimerQueue()
    removed, popped, other = Thing(), Thing(), Thing()
    queue.set(other, 100.0)
    queue.set(removed, 1768.0)
    queue.set(removed, 32.0)
    queue.set(removed, None)
    queue.set(popped, 1768.0)
    queue.set(popped, 1.0)
    assert queue.pop_due(now=1.0) == [popped]
    gone = [weakref.ref(removed), weakref.ref(popped)]
    del removed, popped
    assert [each() for each in gone] == [None, None]
    assert queue.pop_due(now=2000.0) == [other]
