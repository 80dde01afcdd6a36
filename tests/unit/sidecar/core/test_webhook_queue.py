from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.webhook_queue import LONGEST_WAIT, Delivery, WebhookQueue


def queue(**bounds: int) -> WebhookQueue:
    return WebhookQueue(Random(1), **bounds)


def add(hook: WebhookQueue, *names: str, now: float = 0.0) -> None:
    for name in names:
        hook.add(Delivery(name, name[0], name.encode()), now=now)


def take(hook: WebhookQueue, now: float = 0.0) -> Delivery:
    delivery = hook.next(now=now)
    assert delivery is not None
    return delivery


def test_the_events_of_a_stream_go_out_one_after_the_other() -> None:
    hook = queue()
    add(hook, "a1", "a2", "b1")
    a1, b1 = take(hook), take(hook)
    assert (a1.id, b1.id) == ("a1", "b1")
    assert hook.next(now=0.0) is None
    assert hook.next_timeout() is None
    hook.succeeded(a1)
    assert take(hook).id == "a2"
    hook.succeeded(b1)
    assert (len(hook), hook.counters.delivered) == (1, 2)


def test_only_so_many_are_under_way_at_once() -> None:
    hook = queue(at_once=2)
    add(hook, "a1", "b1", "c1")
    first = take(hook)
    take(hook)
    assert hook.next(now=0.0) is None
    assert hook.next_timeout() is None
    hook.succeeded(first)
    assert take(hook).id == "c1"


def test_one_that_fails_comes_again_later_and_before_what_follows_it() -> None:
    hook = queue()
    add(hook, "a1", "a2", "b1")
    a1 = take(hook)
    hook.failed(a1, now=0.0)
    assert hook.is_failing
    b1 = take(hook)  # the other stream goes on
    assert b1.id == "b1"
    hook.succeeded(b1)
    assert not hook.is_failing
    due = hook.next_timeout()
    assert due is not None
    assert 0.5 <= due <= 1.0
    assert hook.next(now=due - 0.01) is None
    assert take(hook, due) is a1
    assert a1.attempts == 1
    hook.succeeded(a1)
    assert take(hook, due).id == "a2"


def test_a_webhook_that_is_down_is_tried_by_one_alone_and_ever_later() -> None:
    hook = queue()
    add(hook, *(f"{chr(97 + n)}1" for n in range(20)))
    now, attempts = 0.0, []
    for _ in range(40):
        hook.failed(take(hook, now), now=now)
        assert hook.counters.failed < 2 or hook.next(now=now) is None
        attempts.append(now)
        now = max(now, hook.next_timeout() or 0.0)
    pauses = [after - before for before, after in pairwise(attempts[3:])]
    assert pauses[0] >= 1.0
    assert max(pauses) <= 60.0
    assert min(pauses[-10:]) >= 30.0
    assert len(hook) == 20
    while (delivery := hook.next(now=now)) is not None:  # it is back: all is sent
        hook.succeeded(delivery)
        now = max(now, hook.next_timeout() or 0.0)
    assert len(hook) == 0
    assert hook.counters.delivered == 20


def test_a_webhook_may_ask_for_time() -> None:
    hook = queue()
    add(hook, "a1", "b1")
    hook.failed(take(hook), retry_after=120.0, now=0.0)
    assert hook.next(now=119.0) is None
    assert hook.next_timeout() == 120.0
    hook.failed(take(hook, 120.0), retry_after=1e9, now=120.0)
    assert hook.next_timeout() == 420.0


def test_when_full_the_oldest_is_dropped_by_number_and_by_size() -> None:
    hook = queue(most=3)
    add(hook, "a1", "a2", "b1", "b2")
    assert (len(hook), hook.counters.dropped_full) == (3, 1)
    assert [take(hook).id, take(hook).id] == ["a2", "b1"]
    hook = queue(most_bytes=5)
    add(hook, "a1", "b1", "c1")
    assert [take(hook).id, take(hook).id] == ["b1", "c1"]
    assert hook.next(now=0.0) is None


def test_one_that_is_larger_than_the_bound_is_taken_alone() -> None:
    hook = queue(most_bytes=1)
    add(hook, "a1", "b1")
    assert take(hook).id == "b1"
    assert hook.counters.dropped_full == 1


def test_what_is_too_old_is_dropped() -> None:
    hook = queue()
    add(hook, "a1")
    add(hook, "a2", "b1", now=10.0)
    assert [take(hook, LONGEST_WAIT + 1).id for _ in range(2)] == ["a2", "b1"]
    assert hook.counters.dropped_old == 1


def test_a_stream_whose_events_were_all_dropped_begins_anew() -> None:
    hook = queue()
    add(hook, "a1")
    hook.failed(take(hook), now=0.0)
    assert hook.next(now=LONGEST_WAIT) is None
    assert (len(hook), hook.next_timeout(), hook.counters.dropped_old) == (0, None, 1)
    add(hook, "a2", now=LONGEST_WAIT)
    assert take(hook, LONGEST_WAIT).id == "a2"


@settings(max_examples=200)
@given(st.randoms(use_true_random=False), st.integers(1, 12), st.integers(1, 4))
def test_every_event_is_delivered_in_order_or_dropped_and_counted(random: Random, most: int, at_once: int) -> None:
    hook = WebhookQueue(random, most=most, at_once=at_once)
    now, added, under_way = 0.0, 0, list[Delivery]()
    delivered: dict[str, list[int]] = {}
    for _ in range(200):
        match random.choice(("add", "take", "end", "wait")):
            case "add":
                added += 1
                stream = random.choice("abcd")
                hook.add(Delivery(f"{stream}{added}", stream, b"x"), now=now)
            case "take" if (delivery := hook.next(now=now)) is not None:
                assert delivery.stream not in {each.stream for each in under_way}
                under_way.append(delivery)
            case "end" if under_way:
                delivery = under_way.pop(random.randrange(len(under_way)))
                if random.random() < 0.5:
                    hook.failed(delivery, now=now)
                else:
                    hook.succeeded(delivery)
                    delivered.setdefault(delivery.stream, []).append(delivery.number)
            case "wait":
                now += random.uniform(0, LONGEST_WAIT / 20)
        assert len(under_way) <= at_once
        assert len(hook) <= most + at_once
    for delivery in under_way:
        hook.succeeded(delivery)
        delivered.setdefault(delivery.stream, []).append(delivery.number)
    while len(hook):  # in the end nothing is forgotten
        now = max(now, hook.next_timeout() or 0.0)
        if (last := hook.next(now=now)) is not None:  # else what was left is too old
            hook.succeeded(last)
            delivered.setdefault(last.stream, []).append(last.number)
    assert all(numbers == sorted(numbers) for numbers in delivered.values())
    counters = hook.counters
    assert counters.delivered + counters.dropped_full + counters.dropped_old == added
