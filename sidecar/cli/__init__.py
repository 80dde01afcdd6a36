"""The command line. Exit codes: 0 ok, 1 failed, 2 wrong use.

Imports of the commands are inside them, so that `sidecar --help` does not wait for what it does not need.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from sidecar.cli.bench import bench
from sidecar.cli.call import call
from sidecar.cli.demo import demo
from sidecar.cli.doctor import doctor
from sidecar.cli.echo import echo
from sidecar.cli.freeswitch import freeswitch
from sidecar.cli.serve import serve

__all__ = ["app", "main"]

app = typer.Typer(
    help="Connects telephone calls to voice bots: SIP and RTP in, WebSocket out. Begin with `sidecar demo`.",
    epilog="Exit codes: 0 ok, 1 failed, 2 wrong use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (serve, doctor, freeswitch, demo, echo, call, bench):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sidecar import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command that was given."""
    # The matrix products of the media plane are small: threads would only wait for each other. numpy reads it once,
    # when it is imported, which is later than here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app(prog_name="sidecar")
