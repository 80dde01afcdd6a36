"""The files that calls are written to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sidecar.cli.outcome import fail

if TYPE_CHECKING:
    from rtp import Pcm


def check_writable(path: Path, option: str) -> None:
    """Refuse before the call what would fail after it."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"{path}: no file can be written there", param_hint=option)


def write_recording(path: Path, pcm: Pcm) -> str:
    """Write what was heard, and return where."""
    from sidecar.io.wav import WavError, write_wav

    try:
        write_wav(path, pcm)
    except WavError as error:
        fail(str(error))
    return str(path)
