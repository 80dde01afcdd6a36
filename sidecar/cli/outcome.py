"""How a command ends: 0 ok, 1 failed, 2 wrong use."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer

_T = TypeVar("_T")

FAILED, WRONG_USE = 1, 2


def run_to_end(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a command in an event loop; SIGTERM and Ctrl-C are what the command makes of them."""
    from sidecar.io.loop import run_in_loop

    return run_in_loop(coroutine)


def fail(text: str, *, code: int = FAILED) -> NoReturn:
    """Print what went wrong, and end."""
    from sidecar.console import print_error

    print_error(text)
    raise typer.Exit(code)
