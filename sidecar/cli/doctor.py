"""`sidecar doctor`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from sidecar.cli.arguments import AsJson, ConfigFile
from sidecar.cli.outcome import FAILED, run_to_end

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.doctor import Finding


def doctor(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check settings, ports, addresses, bots, FreeSWITCHes and this machine.

    One line a check: ok, warn or fail, and what would help. Each bot that a
    profile names is called, and hung up on; each FreeSWITCH is logged in to.
    A sidecar that runs is not disturbed. The exit code is 1 if a check fails.
    """
    from sidecar.console import print_findings, print_json
    from sidecar.doctor import Verdict

    if config is not None and not config.exists():
        raise typer.BadParameter(f"{config}: no such file", param_hint="--config")
    found = _examine(config)
    healthy = all(each.verdict is not Verdict.FAIL for each in found)
    if as_json:
        checks = [
            {"verdict": each.verdict.value, "check": each.check, "what": each.what, "fix": each.fix} for each in found
        ]
        print_json({"ok": healthy, "checks": checks})
    else:
        print_findings(found)
    raise typer.Exit(0 if healthy else FAILED)


def _examine(config: Path | None) -> list[Finding]:
    from sidecar.doctor import Finding, Verdict, examine
    from sidecar.log import log_to_stderr
    from sidecar.settings import SettingsError, load_settings, unused_variables

    try:
        settings = load_settings(config)
    except SettingsError as error:
        fix = "docs/configuration.md has every setting"
        return [Finding(Verdict.FAIL, "settings", line, fix) for line in str(error).splitlines()]
    log_to_stderr("error")  # what goes wrong is told by the findings
    source = "the environment" if config is None else f"{config} and the environment"
    valid = Finding(Verdict.OK, "settings", f"{source}: valid")
    if unused := unused_variables(os.environ):
        fix = "sections and names are parted by two underscores, as in SIDECAR_SIP__PORT"
        valid = Finding(Verdict.WARN, "settings", f"{source}: valid, but {', '.join(unused)} set nothing", fix)
    return [valid, *run_to_end(examine(settings))]
