"""The demo, as a visitor runs it first: everything real, in one process."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from sidecar.core.listening import level_dbfs
from tests.integration.test_cli import run, start
from tests.support.tones import read_wav


async def test_the_demo_is_ok_and_prints_one_object(tmp_path: Path) -> None:
    # The demo takes its own ports: what the environment says of a sidecar that runs here is none of its business.
    result = await run("demo", "--json", "--seconds", "4", cwd=tmp_path, environment={"SIDECAR_SIP__PORT": "5070"})
    assert result.code == 0, result
    told = json.loads(result.output)
    assert list(told) == ["ok", "seconds", "frames_sent", "frames_received", "round_trip_ms", "recording"]
    assert told["ok"] is True
    assert 3.5 <= told["seconds"] <= 4.0
    assert told["frames_received"] >= 0.95 * told["frames_sent"]
    assert 0 < told["round_trip_ms"]["p50"] <= told["round_trip_ms"]["p99"] < 500
    assert told["recording"] == "demo.wav"
    stereo, rate = read_wav(tmp_path / "demo.wav")
    assert rate == 8000
    assert abs(level_dbfs(stereo[:, 0]) - level_dbfs(stereo[:, 1])) < 3.0


async def test_the_demo_tells_people_what_was_heard(tmp_path: Path) -> None:
    result = await run("demo", "--seconds", "2", "--output", "call.wav", cwd=tmp_path)
    assert result.code == 0, result
    for words in ("200 OK", "round trip", "silent gaps     none", "call.wav", "ok: "):
        assert words in result.output
    assert (tmp_path / "call.wav").exists()


def catches_sigterm(process_id: int) -> bool:
    """Return whether the process has a handler of its own; where that cannot be seen, True."""
    status = Path(f"/proc/{process_id}/status")
    if not status.exists():
        return True
    caught = int(status.read_text().partition("SigCgt:")[2].split()[0], 16)
    return bool(caught & 1 << (signal.SIGTERM - 1))


async def test_a_demo_that_is_stopped_ends_in_good_order(tmp_path: Path) -> None:
    process = await start("demo", "--json", "--seconds", "60", cwd=tmp_path)
    while not catches_sigterm(process.pid):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(2.0)  # nothing tells from outside that the call is up
    process.send_signal(signal.SIGTERM)
    output, errors = await asyncio.wait_for(process.communicate(), 10.0)
    assert process.returncode == 1
    assert json.loads(output)["ok"] is False
    assert b"stopped" in errors
    assert b"Traceback" not in errors
