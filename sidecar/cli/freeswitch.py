"""`sidecar freeswitch`."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli.arguments import ConfigFile, read_settings


def freeswitch(
    name: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Print this file alone.", show_default="all, each after its name"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Print dialplan and script for FreeSWITCH, made for this configuration.

    docs/freeswitch.md says what each is for.
    """
    from sidecar.freeswitch_examples import NAMES, example

    if name not in (None, *NAMES):
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(NAMES)}", param_hint="FILE")
    settings = read_settings(config)
    for each in NAMES if name is None else (name,):
        if name is None:
            typer.echo(f"==> {each} <==")
        typer.echo(example(each, settings))
