"""Events on their way from a worker to an outlet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.core.event_body import EventBody
from sidecar.core.events import (
    EVENT_KINDS,
    BotSaid,
    ClipTaken,
    CloseMessage,
    Connected,
    DigitPressed,
    Disconnected,
    Measured,
    Reconnected,
    Reconnecting,
    Started,
    Stopped,
    StreamEvent,
    Transferring,
    body_told,
    failure,
    told,
)
from sidecar.core.link import StreamStats
from sidecar.core.playback_events import ChunkPlayed, Cleared, MarkAnswered
from sidecar.core.speech_events import BargedIn, SpeechStarted

CLOSE = CloseMessage(1006, "lost")
BODIES: list[tuple[EventBody, str, Any]] = [
    (Connected(), "connect", {"status": "connected"}),
    (Disconnected(CLOSE), "disconnect", {"status": "disconnected", "message": {"code": 1006, "reason": "lost"}}),
    (Reconnecting(CLOSE), "reconnecting", {"status": "reconnecting", "message": {"code": 1006, "reason": "lost"}}),
    (Reconnected(40, 20), "reconnected", {"status": "reconnected", "gap_ms": 40, "replayed_ms": 20}),
    (failure(6, "no"), "error", {"status": "error", "message": {"code": 6, "error": "no"}}),
    (BotSaid("é"), "json", "é"),
    (ClipTaken({"id": 1}), "play", {"id": 1}),
    (MarkAnswered("m", "playout"), "mark", {"name": "m", "event": "playout"}),
    (ChunkPlayed(1, 2, 3), "playback", {"event": "chunk_played", "seq": 1, "size": 2, "remaining": 3}),
    (Cleared(1, 2, ["m"]), "playback", {"event": "cleared", "played_ms": 1, "dropped_ms": 2, "marks": ["m"]}),
    (BargedIn(40, "clear"), "vad", {"event": "barge_in", "at_ms": 40, "action": "clear"}),
    (DigitPressed("5", 90, "inband"), "dtmf", {"digit": "5", "duration_ms": 90, "source": "inband"}),
    (Transferring(200, True), "transfer", {"status": 200, "final": True}),
    (
        Started("id", "a", "b", "ws://c/", "mono", 8000, ["w"]),
        "start",
        {"call_id": "id", "from": "a", "to": "b", "url": "ws://c/", "mix": "mono", "rate": 8000, "warnings": ["w"]},
    ),
    (Stopped(None), "stop", {}),
]


@pytest.mark.parametrize(("body", "kind", "value"), BODIES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_body_is_written_and_read_back(body: EventBody, kind: str, value: Any) -> None:
    assert (body.kind, body.value(), json.loads(body.json())) == (kind, value, value)
    assert kind in ("playback", "vad") or list(json.loads(body.json())) == list(value)  # in that order
    assert type(body).parse(body.json()) == body
    event = json.loads(StreamEvent(body, "s", "c", 3, 0.5).json())
    head = {"event": kind, "stream": "s", "call": "c", "time": "1970-01-01T00:00:00.500Z", "sequence": 3}
    assert event == {**head, "body": value}


@pytest.mark.parametrize("body", [Stopped(StreamStats(7)), Measured(StreamStats(7))])
def test_counts_are_the_body(body: Stopped | Measured) -> None:
    assert body.value()["packets_received"] == 7
    assert type(body).parse(body.json()) == body


@pytest.mark.parametrize(
    "body",
    [
        failure(6, "no"),
        ClipTaken({"id": 1}),
        MarkAnswered("m", "cleared"),
        ChunkPlayed(1, 2, 3),
        Measured(StreamStats(7)),
        SpeechStarted(40),
    ],
)
def test_what_a_worker_tells_arrives_as_it_was(body: EventBody) -> None:
    assert body_told(told("s", body)) == body


def test_each_kind_of_event_is_known() -> None:
    def kinds(body: type[EventBody]) -> set[str]:
        return {getattr(body, "kind", "")}.union(*map(kinds, body.__subclasses__()))

    assert kinds(EventBody) - {"", "call"} <= set(EVENT_KINDS)  # `call` is for bots alone
    assert list(EVENT_KINDS) == sorted(EVENT_KINDS)
