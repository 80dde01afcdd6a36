"""The log of a process: structured, and harmless to whoever reads it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_LONGEST_LOGGED = 500  # characters of one string
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OUR_TEXT = ("exception", "stack")  # tracebacks: their lines are ours, what they quote may be a peer's


def log_to_stderr(level: str) -> None:
    """Write the log of this process to standard error: for people at a terminal, as JSON elsewhere."""
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
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
