"""What the outside is told of a bot: each change once, and, if there was a `connect`, one `disconnect`, at the end."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.bot_side import BotSide, BotState
from sidecar.core.link import BotClosed, BotConnected, BotFailed, BotLost, BotNews, BotResumed, BotStalled
from sidecar.core.options import StreamOptions

CONNECTED = BotConnected("s")
LOST = BotLost("s", 1006, "connection lost", 1)
RESTARTS = BotLost("s", 1012, "restart")
RESUMED = BotResumed("s", 1000, 980)
STALLED = BotStalled("s", 2000)
FAILED = BotFailed("s", 6, "Connection refused")
CLOSED = BotClosed("s", 1000, "bye")


def told(*messages: BotNews, then: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    side = BotSide(StreamOptions("ws://bot.example/"), lambda body: events.append((body.kind, body.value())))
    for message in messages:
        side.receive_message(message)
    if then is not None:
        side.call_ended(then)
        assert side.state is BotState.GONE
    return events


def disconnected(code: int, reason: str) -> tuple[str, dict[str, Any]]:
    return "disconnect", {"status": "disconnected", "message": {"code": code, "reason": reason}}


def test_a_bot_that_is_lost_and_comes_back() -> None:
    assert told(CONNECTED, LOST, RESUMED, then="remote_bye") == [
        ("connect", {"status": "connected"}),
        ("error", {"status": "error", "message": {"code": 1, "error": "connection lost"}}),
        ("reconnecting", {"status": "reconnecting", "message": {"code": 1006, "reason": "connection lost"}}),
        ("reconnected", {"status": "reconnected", "gap_ms": 1000, "replayed_ms": 980}),
        disconnected(1000, "remote_bye"),
    ]


def test_a_close_for_now_is_no_error() -> None:
    assert [kind for kind, _ in told(CONNECTED, RESTARTS)] == ["connect", "reconnecting"]


def test_a_call_that_ends_while_its_bot_is_away_was_disconnected_by_the_loss() -> None:
    assert told(CONNECTED, RESTARTS, then="remote_bye")[-1] == disconnected(1012, "restart")


def test_a_bot_that_is_gone_for_good() -> None:
    assert told(CONNECTED, LOST, FAILED, then="local_bye")[-2:] == [
        ("error", {"status": "error", "message": {"code": 6, "error": "Connection refused"}}),
        disconnected(1006, "Connection refused"),
    ]


def test_a_bot_that_never_was_there_is_not_disconnected() -> None:
    assert [kind for kind, _ in told(LOST, FAILED, then="local_bye")] == ["error", "reconnecting", "error"]
    assert told(then="cancelled") == []


def test_a_fallback_that_is_the_first_bot_is_a_connect() -> None:
    assert [kind for kind, _ in told(LOST, CONNECTED)] == ["error", "reconnecting", "connect"]


def test_a_bot_that_reads_too_slowly_is_an_error() -> None:
    error = "the bot does not read fast enough: of its audio the last 2000 ms are kept"
    assert told(STALLED) == [("error", {"status": "error", "message": {"code": 10, "error": error}})]


@given(st.lists(st.sampled_from([LOST, RESTARTS, RESUMED, STALLED]), max_size=20), st.sampled_from([FAILED, CLOSED]))
def test_a_disconnect_comes_once(messages: list[BotNews], end: BotNews) -> None:
    kinds = [kind for kind, _ in told(CONNECTED, *messages, end, then="local_bye")]
    assert kinds.count("connect") == kinds.count("disconnect") == 1
