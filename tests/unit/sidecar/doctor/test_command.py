"""`sidecar doctor` as far as it asks nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.console import print_findings
from sidecar.doctor.finding import fail, ok


def test_settings_that_cannot_be_used_are_a_failed_check_that_names_the_field(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.toml"
    path.write_text('[sip]\nport = 70000\n[api]\ntokens = {ops = "hush"}\n')
    result = CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"])
    told = json.loads(result.output)
    assert (result.exit_code, told["ok"]) == (1, False)
    assert [each["verdict"] for each in told["checks"]] == ["fail", "fail"]
    assert told["checks"][0]["what"].startswith("sip.port: ")
    assert "hush" not in result.output


def test_each_check_is_a_line_whatever_others_have_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([ok("a", "fine"), fail("longer", "said [red]\x1b[31m\nno", "see " + 300 * "x")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok    a       fine"
    assert lines[1].startswith(r"fail  longer  said [red]\x1b[31m\x0ano — see xxx")
    assert len(lines) == 2
