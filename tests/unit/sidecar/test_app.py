"""What becomes of the events of streams."""

from __future__ import annotations

from structlog.testing import capture_logs

from sidecar.app import _on_event
from sidecar.core.events import StreamEvent


def test_events_are_logged_but_those_that_are_to_be_quiet() -> None:
    with capture_logs() as logs:
        _on_event(print, StreamEvent("json", "s", "c", 1, "secret", quiet=True))
        _on_event(print, StreamEvent("json", "s", "c", 2, "said"))
    assert [(log["event"], log["body"]) for log in logs] == [("json", "said")]
