"""What becomes of the events of streams."""

from __future__ import annotations

from structlog.testing import capture_logs

from sidecar.core.events import BotSaid, Connected, StreamEvent
from sidecar.io.event_feed import EventFeed, log_event


def test_events_are_logged_but_those_that_are_to_be_quiet() -> None:
    with capture_logs() as logs:
        log_event(StreamEvent(BotSaid("secret"), "s", "c", 1, 0.0, quiet=True))
        log_event(StreamEvent(BotSaid("said"), "s", "c", 2, 0.0))
    assert [(log["event"], log["body"]) for log in logs] == [("json", "said")]


def test_an_outlet_hears_of_all_from_its_subscription_to_its_end() -> None:
    feed, heard = EventFeed(), list[int]()
    feed.publish(StreamEvent(Connected(), "s", "c", 1, 0.0))
    end = feed.subscribe(lambda event: heard.append(event.sequence))
    feed.publish(StreamEvent(Connected(), "s", "c", 2, 0.0))
    end()
    feed.publish(StreamEvent(Connected(), "s", "c", 3, 0.0))
    assert heard == [2]


def test_what_one_outlet_gets_wrong_is_no_matter_of_the_others() -> None:
    def broken(event: StreamEvent) -> None:
        raise KeyError(event.kind)

    feed, heard = EventFeed(), list[int]()
    feed.subscribe(broken)
    feed.subscribe(lambda event: heard.append(event.sequence))
    with capture_logs() as logs:
        feed.publish(StreamEvent(Connected(), "s", "c", 1, 0.0))
    assert (heard, feed.failed) == ([1], 1)
    assert [log["event"] for log in logs] == ["event not told"]
