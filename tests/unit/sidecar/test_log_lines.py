"""The log neither stops nor holds up who writes it, whatever becomes of what is written."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import structlog

from sidecar.log import LogLines, log_to_stderr

LINE = "a" * 99 + "\n"
LONG = "b" * 3 * select.PIPE_BUF + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, LogLines]]:
    """Give the end to read of a pipe, and the log at its other end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb"), os.fdopen(writing, "w") as stream:
        yield reading, LogLines(stream)


@pytest.fixture(autouse=True)
def _nothing_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogLines, "lost", 0)


def all_of(reading: int) -> str:
    """Read what is there."""
    return os.read(reading, 1 << 20).decode()


def fill(lines: LogLines) -> int:
    """Write until there is no room; return how many lines there was room for."""
    written = 0
    while not LogLines.lost:
        lines.write(LINE)
        written += 1
    return written - 1


def test_a_line_is_there_at_once_however_long(pipe: tuple[int, LogLines]) -> None:
    reading, lines = pipe
    lines.write(LINE)
    lines.write(LONG)
    assert all_of(reading) == LINE + LONG
    assert LogLines.lost == 0


def test_lines_that_nobody_reads_are_left_out_and_counted(pipe: tuple[int, LogLines]) -> None:
    reading, lines = pipe
    count = fill(lines)
    lines.write(LONG)
    assert LogLines.lost == 2
    assert all_of(reading) == LINE * count
    lines.write(LINE)
    assert all_of(reading) == LINE
    assert LogLines.lost == 2


def test_after_a_torn_line_there_is_a_line_of_its_own(pipe: tuple[int, LogLines]) -> None:
    reading, lines = pipe
    fill(lines)
    os.read(reading, 2 * select.PIPE_BUF)
    lines.write(LONG)
    assert LogLines.lost == 2
    lines.write(LINE)
    assert LogLines.lost == 3, "there is still no room"
    assert all_of(reading).endswith("b")
    lines.write(LINE)
    lines.write(LINE)
    assert all_of(reading) == "\n" + LINE + LINE


def test_a_log_that_nobody_can_read_any_more_is_no_matter() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        LogLines(stream).write(LINE)
    assert LogLines.lost == 1


def test_a_full_disk_is_no_matter() -> None:
    with Path("/dev/full").open("w") as stream, redirect_stderr(stream):
        log_to_stderr("info")
        structlog.get_logger("test").info("worker_lost")
    structlog.reset_defaults()
    assert LogLines.lost == 1


def test_a_log_may_have_been_closed_before_it_begins() -> None:
    with redirect_stderr(None):
        log_to_stderr("info")
        structlog.get_logger("test").info("ready")
        sys.stderr.close()
    structlog.reset_defaults()
    assert LogLines.lost == 0
