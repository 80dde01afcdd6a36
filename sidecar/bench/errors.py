"""Why there are no figures."""

from __future__ import annotations


class BenchError(Exception):
    """The bench could not be run; the message says what is missing or went wrong."""
