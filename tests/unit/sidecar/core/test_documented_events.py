"""The tables of events, and of what is counted, in the documentation are true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sidecar.core import events, playback_events, speech_events
from sidecar.core.event_body import EventBody
from sidecar.core.link import StreamStats

PAGE = (Path(__file__).parents[4] / "docs/websocket-protocol.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| `(.+?)`[,|\s]", PAGE[PAGE.index("\n## Events\n") :], re.MULTILINE)

COUNTS = PAGE[PAGE.index("\n### What `stop` and `stats` count\n") : PAGE.index("\n### Codes\n")]
COUNTED = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", COUNTS, re.MULTILINE)


def kinds() -> dict[str, Any]:
    """Return the records of each kind."""
    found: dict[str, Any] = {"playback": playback_events.Progress, "vad": speech_events.SpeechEvent}
    for module in (events, playback_events):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, EventBody) and hasattr(each, "kind"):
                found.setdefault(each.kind, each)
    return found


def test_each_kind_has_a_row() -> None:
    assert sorted(kind for kind, _ in ROWS) == sorted(kinds())


@pytest.mark.parametrize(("kind", "example"), ROWS, ids=[kind for kind, _ in ROWS])
def test_an_example_is_a_body(kind: str, example: str) -> None:
    if kind in ("stats", "stop"):
        counts = msgspec.json.decode(example, type=StreamStats, strict=True)
        assert json.loads(example).keys() <= msgspec.to_builtins(counts).keys()
    elif kind in ("playback", "vad"):
        assert msgspec.json.decode(example, type=kinds()[kind]).value() == json.loads(example)
    else:
        assert kinds()[kind].parse(example).value() == json.loads(example)


def test_each_figure_has_a_row() -> None:
    assert tuple(field for field, _, _ in COUNTED) == StreamStats.__struct_fields__


@pytest.mark.parametrize(("field", "unit", "meaning"), COUNTED, ids=[field for field, _, _ in COUNTED])
def test_a_figure_says_its_unit_and_when_there_is_none(field: str, unit: str, meaning: str) -> None:
    assert (unit == "ms") == ("_ms" in field)
    assert ("null:" in meaning) == (getattr(StreamStats(), field) is None)
