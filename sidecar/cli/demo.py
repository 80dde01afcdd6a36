"""`sidecar demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli.arguments import AsJson
from sidecar.cli.outcome import FAILED, fail, run_to_end
from sidecar.cli.recording import check_writable, write_recording

if TYPE_CHECKING:
    from sidecar.io.caller import CallState


def demo(
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="For how long to call.")] = 8.0,
    as_json: AsJson = False,
    output: Annotated[
        Path,
        typer.Option(metavar="WAV", dir_okay=False, help="Where to record: left what is sent, right what is heard."),
    ] = Path("demo.wav"),
) -> None:
    """Call an echo bot through a sidecar, all on this machine, and tell what is heard.

    It needs nothing else, and takes free ports. Ctrl-C hangs up and tells
    what was heard so far; the exit code is then 1.
    """
    from sidecar.console import call_progress, print_error, print_heard, print_json, span_json
    from sidecar.core.listening import side_by_side
    from sidecar.demo import DemoResult, run_demo
    from sidecar.io.signals import stop_signal
    from sidecar.log import log_to_stderr

    async def run(on_state: Callable[[CallState], None]) -> DemoResult:
        return await run_demo(seconds=seconds, on_state=on_state, stopped=stop_signal())

    check_writable(output, "--output")
    log_to_stderr("warning")
    try:
        with call_progress(seconds) as progress:
            result = run_to_end(run(progress.show))
    except OSError as error:
        fail(f"this machine gives no ports: {error.strerror or error}")
    heard = result.heard
    recording = write_recording(output, side_by_side(result.call.recording)) if result.call.answered else None
    if as_json:
        print_json(
            {
                "ok": result.ok,
                "seconds": heard.frames_sent / 50,
                "frames_sent": heard.frames_sent,
                "frames_received": heard.frames_received,
                "round_trip_ms": span_json(heard.round_trip_ms),
                "recording": recording,
            }
        )
    elif result.call.answered:
        print_heard(result.call, heard)
        typer.echo(f"recording       {recording}")
        if result.ok:
            typer.echo("ok: the bot heard the caller, and the caller heard the bot")
    for problem in result.problems:
        print_error(problem)
    raise typer.Exit(0 if result.ok else FAILED)
