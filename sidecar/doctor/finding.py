"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # calls go through, though not all, or not as one would think
    FAIL = "fail"  # it does not start, or calls do not go through, or something that is configured does nothing


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. It never holds a secret."""

    verdict: Verdict
    check: str
    what: str
    fix: str | None = None


def ok(check: str, what: str) -> Finding:
    """Nothing is wrong."""
    return Finding(Verdict.OK, check, what)


def warn(check: str, what: str, fix: str) -> Finding:
    """Something may be wrong."""
    return Finding(Verdict.WARN, check, what, fix)


def fail(check: str, what: str, fix: str) -> Finding:
    """Something is wrong."""
    return Finding(Verdict.FAIL, check, what, fix)
