"""What is printed and logged of peers' text does nothing to a terminal."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sidecar.console import call_progress, print_error, print_heard
from sidecar.core.listening import judge
from sidecar.core.talker import Recording
from sidecar.io.caller import CallResult, CallState, HungUpBy
from sidecar.log import harmless, log_to_stderr

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
HOSTILE = "\x1b]0;mine\x07\x1b[2J\x9b31m\r\n"

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # ours


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[Terminal, io.StringIO], ids=["terminal", "file"])
def errors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What standard error is to be."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream: io.StringIO = request.param()
    yield stream
    structlog.reset_defaults()


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in (*value, *value.values()):
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


TEXTS = st.text(st.sampled_from([*CONTROLS, "a", "é", "\u2028"]), max_size=5)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_no_control_character_is_left_however_deep(event: dict[str, Any]) -> None:
    for text in strings(harmless(None, "info", event)):
        assert not any(control in text for control in CONTROLS)


def test_each_is_escaped_so_that_it_can_be_read() -> None:
    event = harmless(None, "info", {"call": "a\x1bb", "body": {"text": ["\x00\x9f", "Jörg"], "n": 1}})
    assert event == {"call": "a\\x1bb", "body": {"text": ["\\x00\\x9f", "Jörg"], "n": 1}}


def test_long_strings_are_cut_and_say_how_long_they_were() -> None:
    event = harmless(None, "info", {"short": "a" * 500, "body": {"text": "\x1b" + "a" * 500}})
    assert event["short"] == "a" * 500
    assert event["body"]["text"] == "\\x1b" + "a" * 499 + "... (501 characters)"


def test_a_log_line_of_a_peers_text_is_one_line_without_escapes(errors: io.StringIO) -> None:
    with redirect_stderr(errors):
        log_to_stderr("info")
        structlog.get_logger("test").info("text", call=HOSTILE, body={"text": [HOSTILE]})
    written = COLOUR.sub("", errors.getvalue())
    assert written.count("\n") == 1
    assert not any(control in written.rstrip("\n") for control in CONTROLS)


def test_a_traceback_keeps_its_lines_and_escapes_what_it_quotes(errors: io.StringIO) -> None:
    with redirect_stderr(errors):
        log_to_stderr("info")
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            structlog.get_logger("test").exception("failed")
    written = COLOUR.sub("", errors.getvalue())
    assert "\x1b" not in written
    assert "\x9b" not in written
    traceback = json.loads(written)["exception"] if written.startswith("{") else written
    assert traceback.count("\n") > 3


def test_reasons_of_peers_do_nothing_to_what_is_printed(errors: io.StringIO) -> None:
    reason = HOSTILE + "[/red] [bold]"
    recording = Recording(heard=np.zeros(160, np.int16), heard_at=np.zeros(1))
    with redirect_stderr(errors), redirect_stdout(io.StringIO()) as output:
        print_error(f"486 {reason}")
        with call_progress(1.0) as progress:
            progress.show(CallState(reason))
        print_heard(CallResult(200, reason, HungUpBy.CALLER, 0.1, recording), judge(recording))
    assert "\x1b" not in output.getvalue()
    for printed in (errors.getvalue(), output.getvalue()):
        assert "[/red] [bold]" in printed
        assert "\x1b]" not in printed
        assert "\x9b" not in printed
