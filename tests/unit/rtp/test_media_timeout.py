"""Calls that nobody is heard in."""

from __future__ import annotations

from rtp import MediaLost, MediaTimeout


def watch(*, first: float | None = 10.0, later: float | None = 30.0) -> MediaTimeout:
    timeout = MediaTimeout(first, later)
    timeout.resume(now=100.0)
    return timeout


def test_never_any_packet() -> None:
    timeout = watch()
    assert timeout.next_timeout() == 110.0
    timeout.handle_timeout(heard=None, now=109.9)
    assert timeout.next_event() is None
    timeout.handle_timeout(heard=None, now=110.0)
    assert timeout.next_event() == MediaLost(False, 10.0)
    assert timeout.next_timeout() is None
    timeout.handle_timeout(heard=None, now=200.0)
    assert timeout.next_event() is None


def test_none_since() -> None:
    timeout = watch()
    timeout.handle_timeout(heard=105.0, now=110.0)
    assert timeout.next_timeout() == 135.0
    timeout.handle_timeout(heard=120.0, now=135.0)
    assert timeout.next_timeout() == 150.0
    timeout.handle_timeout(heard=120.0, now=150.5)
    assert timeout.next_event() == MediaLost(True, 30.5)


def test_it_is_told_again_only_after_another_packet() -> None:
    timeout = watch()
    timeout.handle_timeout(heard=100.0, now=130.0)
    assert timeout.next_event() is not None
    timeout.handle_timeout(heard=100.0, now=300.0)
    assert timeout.next_event() is None
    timeout.handle_timeout(heard=301.0, now=302.0)
    assert timeout.next_timeout() == 331.0


def test_a_call_on_hold_is_not_watched_and_has_all_its_time_after_it() -> None:
    timeout = watch()
    timeout.handle_timeout(heard=105.0, now=110.0)
    timeout.hold()
    assert timeout.next_timeout() is None
    timeout.handle_timeout(heard=105.0, now=1000.0)
    assert timeout.next_event() is None
    timeout.resume(now=1000.0)
    assert timeout.next_timeout() == 1030.0


def test_announced_silence_is_no_loss() -> None:
    timeout = watch()
    timeout.handle_timeout(heard=105.0, silent=True, now=135.0)
    assert timeout.next_event() is None
    assert timeout.next_timeout() == 165.0


def test_without_limits_there_is_no_deadline() -> None:
    assert watch(first=None).next_timeout() is None
    timeout = watch(later=None)
    timeout.handle_timeout(heard=105.0, now=1000.0)
    assert timeout.next_timeout() is None
    assert MediaTimeout(1.0, 1.0).next_timeout() is None  # the call has not begun
