"""The log of a process: structured, and harmless to whoever reads it."""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, ClassVar, TextIO

import structlog

CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_LONGEST_LOGGED = 500  # characters of one string
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OUR_TEXT = ("exception", "stack")  # tracebacks: their lines are ours, what they quote may be a peer's


class LogLines:
    """The log as a file: who does not read it, or has no room for it, neither stops the process nor holds it up.

    A line that cannot be written at once is left out, and counted.
    """

    lost: ClassVar[int] = 0  # of this process

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._torn = False  # the last line has no end
        try:
            self._descriptor = stream.fileno()
        except OSError:  # it is no file of the system's
            self._descriptor = -1
            return
        self._room = select.poll()
        self._room.register(self._descriptor, select.POLLOUT)

    def write(self, text: str) -> None:
        """Write one line, with its end."""
        if self._descriptor < 0:
            self._stream.write(text)
            return
        line = ("\n" * self._torn + text).encode(errors="backslashreplace")
        while line and (written := self._some(line[: select.PIPE_BUF])):
            line, self._torn = line[written:], len(line) > written
        LogLines.lost += bool(line)

    def flush(self) -> None:
        """Nothing waits here."""

    def _some(self, data: bytes) -> int:
        """Write what there is room for, and return how much that was; no more than PIPE_BUF, which then fits."""
        try:
            return os.write(self._descriptor, data) if self._room.poll(0) else 0
        except OSError:  # the disk is full, nobody reads any more, ...
            return 0


def log_to_stderr(level: str) -> None:
    """Write the log of this process to standard error: for people at a terminal, as JSON elsewhere."""
    if sys.stderr is None:  # it was closed when we were started
        sys.stderr = open(os.devnull, "w")
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            harmless,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
            if terminal
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(LogLines(sys.stderr)),  # type: ignore[arg-type]  # it has what is called
    )


def harmless(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape control characters in all strings of a log event, and cut long ones: peers write what is logged."""
    return {
        printable(name): printable(value, CONTROL_BUT_LAYOUT)
        if name in _OUR_TEXT and isinstance(value, str)
        else _harmless(value)
        for name, value in event.items()
    }


def printable(text: str, control: re.Pattern[str] = _CONTROL) -> str:
    """Escape control characters: all, or those that `control` matches."""
    return control.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        cut = value if len(value) <= _LONGEST_LOGGED else value[:_LONGEST_LOGGED]
        return printable(cut) + (f"... ({len(value)} characters)" if cut is not value else "")
    if isinstance(value, Mapping):
        return {_harmless(name): _harmless(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_harmless(each) for each in value]
    return value
