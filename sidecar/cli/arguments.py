"""Arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli.outcome import WRONG_USE, fail

if TYPE_CHECKING:
    from sidecar.settings import Settings

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The configuration (TOML). Variables such as SIDECAR_SIP__PORT go before it.",
        show_default="variables alone",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def read_settings(config: Path | None) -> Settings:
    """Read the settings; settings that cannot be used are wrong use."""
    from sidecar.settings import SettingsError, load_settings

    try:
        return load_settings(config)
    except SettingsError as error:
        fail(str(error), code=WRONG_USE)
